//! A conversation told while it goes on, in the full style. A line is given once, when nothing that is still to come can
//! change it; what has been given is never taken back. It knows no future: where [`conversation`] leaves out the hellos
//! of a handshake that was finished, they are told here, since a peer that says nothing more leaves nothing else to see.
//!
//! [`conversation`]: super::conversation

use super::{Style, Teller};
use crate::event::Event;

/// How far a conversation has been told.
pub struct Following {
    teller: Teller<'static>,
    /// The events that were looked at.
    seen: usize,
}

impl Following {
    /// Of a conversation that has not begun.
    #[must_use]
    pub fn new(we_are_client: bool) -> Self {
        Self { teller: Teller::new(&[], Style::Full, we_are_client), seen: 0 }
    }

    /// The lines that have become whole since the last time; `events` are all of the log.
    pub fn lines(&mut self, events: &[Event]) -> Vec<String> {
        self.look(events);
        // An end of the same side may still be added to the last line.
        let whole = match self.teller.lines.last() {
            Some(last) if last.open => self.teller.lines.len() - 1,
            _ => self.teller.lines.len(),
        };
        self.give(whole)
    }

    /// As [`Following::lines`], when there is nothing more to come.
    pub fn rest(&mut self, events: &[Event]) -> Vec<String> {
        self.look(events);
        self.give(self.teller.lines.len())
    }

    fn look(&mut self, events: &[Event]) {
        for event in events.iter().skip(self.seen) {
            self.teller.tell(event);
        }
        self.seen = events.len();
    }

    fn give(&mut self, count: usize) -> Vec<String> {
        self.teller.lines.drain(..count).map(|line| line.shown(NAME)).collect()
    }
}

/// Columns of a connection's name: whether a longer one than `control` will come is not known yet.
const NAME: usize = "control".len();

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use ftpspec_wire::Reply;

    use super::super::conversation;
    use super::*;
    use crate::Log;
    use crate::event::{By, Handshake, What};

    /// A session with one transfer, event by event; `finished` says whether its handshakes came about.
    fn session(finished: bool) -> Vec<Event> {
        let log = Log::new(Instant::now());
        let (control, data): (Arc<str>, Arc<str>) = (Arc::from("control"), Arc::from("data"));
        let reply = |code| What::Reply { reply: Reply::new(code, "so"), protected: true, to: String::new() };
        let command = |line: &str| {
            let verb = line.split(' ').next().unwrap_or_default().to_owned();
            What::Command { verb, line: line.to_owned(), protected: true }
        };
        let handshake = || {
            What::Handshake(Box::new(Handshake {
                version: "1.3".to_owned(),
                suite: "TLS_AES_256_GCM_SHA384".to_owned(),
                resumed: None,
                server_name: None,
                certificate: None,
                client_certificate: "not-asked",
                shown: None,
                identity: None,
            }))
        };
        let shake = |on: &Arc<str>| {
            log.push(Some(on), By::Us, What::HandshakeStarted);
            log.push(Some(on), By::Us, What::ClientHello { summary: "TLS 1.3".to_owned(), offers: Default::default() });
            log.push(Some(on), By::Peer, What::ServerHello);
            if finished {
                log.push(Some(on), By::Us, handshake());
            }
        };
        log.push(Some(&control), By::Us, What::Connected { to: "127.0.0.1:21".parse().unwrap() });
        log.push(Some(&control), By::Peer, reply(220));
        log.push(Some(&control), By::Us, command("AUTH TLS"));
        log.push(Some(&control), By::Peer, reply(234));
        shake(&control);
        log.push(Some(&control), By::Us, command("RETR x"));
        log.push(Some(&control), By::Peer, reply(150));
        shake(&data);
        for count in [1, 2] {
            log.push(Some(&data), By::Peer, What::Octets { count, protected: true });
        }
        log.push(Some(&data), By::Peer, What::Content { count: 3, sha256: String::new(), protected: true });
        log.push(Some(&data), By::Peer, What::CloseNotify);
        log.push(Some(&data), By::Peer, What::Fin { inside_record: false });
        log.push(Some(&control), By::Peer, reply(226));
        log.push(Some(&control), By::Peer, What::Fin { inside_record: false });
        log.events()
    }

    /// What is given when the events come one by one.
    fn followed(events: &[Event]) -> Vec<String> {
        let mut following = Following::new(true);
        let mut given: Vec<_> = (0..=events.len()).flat_map(|seen| following.lines(&events[..seen])).collect();
        given.extend(following.rest(events));
        given
    }

    #[test]
    fn what_is_told_bit_by_bit_is_what_is_told_at_the_end() {
        let events = session(false);
        assert_eq!(followed(&events), conversation(&events, &[], Style::Full, true));
    }

    #[test]
    fn of_finished_handshakes_the_hellos_are_told_besides() {
        let events = session(true);
        let mut given = followed(&events);
        given.retain(|line| !line.contains("_hello"));
        assert_eq!(given, conversation(&events, &[], Style::Full, true));
    }

    #[test]
    fn a_line_is_given_as_soon_as_nothing_can_change_it_and_never_twice() {
        let events = session(false);
        let end = |events: &[Event], due: &dyn Fn(&What) -> bool| {
            events.iter().position(|event| due(&event.what)).map(|at| at + 1).unwrap()
        };
        let sent = end(&events, &|what| matches!(what, What::Command { verb, .. } if verb == "AUTH"));
        let mut following = Following::new(true);
        let first = following.lines(&events[..sent]);
        assert_eq!(first.last().map(String::as_str), Some("control  C> AUTH TLS"));
        // FIN may still follow the reply.
        assert_eq!(following.lines(&events[..=sent]), Vec::<String>::new());
        assert_eq!(following.rest(&events[..=sent]), ["control  <S 234 so"]);
        assert_eq!(following.rest(&events[..=sent]), Vec::<String>::new());
    }
}
