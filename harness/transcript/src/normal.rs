//! The conversation in words. The *normal form* is what a snapshot holds: between two acts of ours the events stand
//! connection by connection; reply prose, counts of records and tickets, and arrival times are not part of it. The
//! full style shows prose, for people.

mod following;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ftpspec_wire::{LooksLike, Reply, alert_name, escaped};

use crate::event::{By, Event, What};
use crate::log::Log;
use crate::order::{divides, divides_as_server};

pub use following::Following;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// What a snapshot holds.
    Normal,
    /// With prose and times, for a person.
    Full,
}

/// In place of a connection's name, where the client under test is meant as a program.
const CLIENT: &str = "client";

/// In place of a connection's name, where our own server does something of its own accord.
const SERVER: &str = "server";

/// The widest plaintext that is shown in a line.
const PLAINTEXT_SHOWN: usize = 96;

/// The normal form of a log.
#[must_use]
pub fn normal_form(log: &Log, we_are_client: bool) -> Vec<String> {
    conversation(&log.events(), &log.words(), Style::Normal, we_are_client)
}

/// The lines of a conversation: `control  C> AUTH TLS`. `words` are the values that stand as a word in the normal
/// form.
#[must_use]
pub fn conversation(events: &[Event], words: &[(String, String)], style: Style, we_are_client: bool) -> Vec<String> {
    let width = events.iter().filter_map(|event| event.connection.as_ref()).map(|name| name.len()).max().unwrap_or(0);
    let mut teller = Teller::new(words, style, we_are_client);
    for event in events {
        if let (What::Handshake(_), Some(connection)) = (&event.what, &event.connection) {
            teller.handshaken.push(connection);
        }
        if let (What::Rst, By::Peer, Some(connection)) = (&event.what, event.by, &event.connection) {
            teller.reset.push(connection);
        }
    }
    let ordered = match style {
        Style::Normal => by_connection(events, if we_are_client { divides } else { divides_as_server }),
        Style::Full => events.iter().collect(),
    };
    for event in ordered {
        teller.tell(event);
    }
    teller.lines.iter().map(|line| line.shown(width)).collect()
}

/// Between two acts of ours, the events of the connection that the act was on come first, then the others in the order
/// of their first appearance. What arrives on a data connection stands behind the last act that it can be an answer to:
/// one on that connection, or a transfer command; a later NOOP on the control connection orders nothing there, nor does
/// the next transfer on a connection that we have ended.
fn by_connection(events: &[Event], divides: fn(&Event) -> bool) -> Vec<&Event> {
    let mut rank: BTreeMap<&str, usize> = BTreeMap::new();
    let mut segment = 0;
    let mut answering: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    let mut keyed = Vec::with_capacity(events.len());
    let mut acted_on = vec![None];
    for event in events {
        let name = event.connection.as_deref();
        if divides(event) {
            segment += 1;
            acted_on.push(name);
            if transfers(event) {
                let open = answering.iter_mut().filter(|(name, _)| !ended.contains(*name));
                open.for_each(|(_, answered)| *answered = segment);
            }
            if let Some(name) = name {
                answering.insert(name, segment);
            }
        }
        if event.by == By::Us && matches!(event.what, What::CloseNotify | What::Fin { .. } | What::Rst) {
            ended.extend(name);
        }
        let next = rank.len();
        let rank = name.map_or(0, |name| *rank.entry(name).or_insert(next));
        let within = match name {
            Some(name) if !is_control(name) => answering.get(name).copied().unwrap_or(segment),
            _ => segment,
        };
        // Ours by script, the peer's, ours by politeness, and our FIN, which asks for nothing: which was first is chance.
        let side = match (event.by, event.polite, &event.what) {
            (By::Us, _, What::Fin { .. }) => 3,
            (By::Us, true, _) => 2,
            (By::Peer, ..) => 1,
            (By::Us, false, _) => 0,
        };
        keyed.push(((within, name != acted_on[within], rank, side), event));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, event)| event).collect()
}

fn transfers(event: &Event) -> bool {
    matches!(&event.what, What::Command { verb, .. }
        if matches!(verb.as_str(), "RETR" | "STOR" | "APPE" | "STOU" | "LIST" | "NLST" | "MLSD"))
}

fn is_control(connection: &str) -> bool {
    connection == "control" || connection.starts_with("control.")
}

/// A PORT or EPRT command with a word in the place of its port; any other line as it is.
fn without_port(verb: &str, line: &str) -> String {
    let delimiter = match verb {
        "PORT" => ',',
        // It is what stands first in the argument: RFC 2428 §2.
        "EPRT" => line.split_once(' ').and_then(|(_, argument)| argument.chars().next()).unwrap_or('|'),
        _ => return line.to_owned(),
    };
    let mut parts: Vec<&str> = line.split(delimiter).collect();
    match (verb, parts.as_mut_slice()) {
        ("PORT", [_, _, _, _, p1, p2]) => (*p1, *p2) = ("{p1}", "{p2}"),
        ("EPRT", [_, _, _, port, _]) => *port = "{port}",
        _ => {}
    }
    parts.join(&delimiter.to_string())
}

struct Line {
    connection: String,
    mark: &'static str,
    parts: Vec<String>,
    /// Whether an end (close_notify, FIN, RST) of the same side may be added.
    open: bool,
}

impl Line {
    /// With the connection's name in a column of this width.
    fn shown(&self, width: usize) -> String {
        let text = self.parts.join(", ");
        format!("{:width$}  {} {text}", self.connection, self.mark).trim_end().to_owned()
    }
}

struct Teller<'a> {
    words: &'a [(String, String)],
    style: Style,
    we_are_client: bool,
    /// The last transfer command was a listing, whose length is the server's own.
    listing: bool,
    /// The last transfer command brings octets to the client.
    download: bool,
    /// Connections that the peer reset.
    reset: Vec<&'a str>,
    /// QUIT was sent.
    quit: bool,
    /// Where we are the server: the control connections on which the client has said QUIT, and whether we have answered.
    left: BTreeMap<String, bool>,
    lines: Vec<Line>,
    handshaken: Vec<&'a str>,
    /// Connections whose handshake has been told by now.
    secured: Vec<String>,
}

impl<'a> Teller<'a> {
    fn new(words: &'a [(String, String)], style: Style, we_are_client: bool) -> Self {
        Self {
            words,
            style,
            we_are_client,
            listing: false,
            download: false,
            quit: false,
            left: BTreeMap::new(),
            reset: Vec::new(),
            lines: Vec::new(),
            handshaken: Vec::new(),
            secured: Vec::new(),
        }
    }

    fn tell(&mut self, event: &Event) {
        let Some(connection) = event.connection.as_deref() else {
            return self.tell_of_client(&event.what);
        };
        if self.quit && event.polite && self.style == Style::Normal {
            // How far our answer got before the peer had gone is chance.
            return;
        }
        if self.style == Style::Normal && self.left.get(connection) == Some(&true) {
            // Who ends a session that both have ended, and how much of an end the other still sees, is chance.
            return;
        }
        let mark = if (event.by == By::Us) == self.we_are_client { "C>" } else { "<S" };
        match &event.what {
            What::Connected { to } => {
                let to = if connection == "control" || self.style == Style::Full {
                    self.full(&format!("connect {to}"), "connect")
                } else {
                    "connect {port}".to_owned()
                };
                self.plain_line(connection, to);
            }
            What::Accepted { .. } => self.plain_line(connection, "accept".to_owned()),
            What::ConnectFailed { to, why } => {
                let text = self.full(&format!("connect {to} failed: {why}"), "connect failed");
                self.plain_line(connection, text);
            }
            What::Command { verb, line, protected } => {
                if matches!(verb.as_str(), "LIST" | "NLST" | "MLSD" | "MLST") {
                    self.listing = true;
                } else if matches!(verb.as_str(), "RETR" | "STOR" | "APPE" | "STOU") {
                    self.listing = false;
                }
                self.download = self.listing || verb == "RETR" || self.download && !transfers(event);
                self.quit |= self.we_are_client && verb == "QUIT";
                if !self.we_are_client && verb == "QUIT" {
                    self.left.insert(connection.to_owned(), false);
                }
                let shown = match self.style {
                    // A client's own listener has whatever port was free.
                    Style::Normal if !self.we_are_client => without_port(verb, &self.named(line)),
                    _ => self.named(line),
                };
                let clear = if !protected && self.secured.iter().any(|name| name == connection) {
                    "  (in the clear)"
                } else {
                    ""
                };
                let clear = if self.style == Style::Full { clear } else { "" };
                self.line(connection, mark, format!("{shown}{clear}"));
            }
            What::Reply { reply, .. } => {
                let shown = self.reply(reply);
                self.open_line(connection, mark, shown);
                if let Some(answered) = self.left.get_mut(connection) {
                    *answered = true;
                }
            }
            What::Malformed { octets, why } => {
                let shown = escaped(&octets[..octets.len().min(PLAINTEXT_SHOWN)]);
                let text = self.full(&format!("no reply ({why}): {shown}"), "no reply");
                self.open_line(connection, mark, text);
            }
            What::ClientHello { summary, .. } => {
                // A finished handshake says it all in one line.
                if !self.handshaken.contains(&connection) {
                    let text = self.full(&format!("client_hello   {summary}"), "client_hello");
                    self.line(connection, mark, text);
                }
            }
            What::ServerHello => {
                if !self.handshaken.contains(&connection) {
                    self.open_line(connection, mark, "server_hello".to_owned());
                }
            }
            What::Handshake(handshake) => {
                self.secured.push(connection.to_owned());
                let mut text = format!("TLS {}", handshake.version);
                match &handshake.resumed {
                    // A server does not ask itself whose session it was.
                    Some(from) if from.is_empty() => _ = write!(text, "  resumed  {}", handshake.suite),
                    Some(from) => _ = write!(text, "  resumed({from})  {}", handshake.suite),
                    None => _ = write!(text, "  full     {}", handshake.suite),
                }
                if handshake.resumed.is_none() {
                    let none = || "none".to_owned();
                    _ = write!(
                        text,
                        "  sni={}  certificate={}  client-certificate={}",
                        handshake.server_name.clone().unwrap_or_else(none),
                        handshake.certificate.clone().unwrap_or_else(none),
                        handshake.identity.as_deref().unwrap_or(handshake.client_certificate),
                    );
                    if let Some(shown) = &handshake.shown {
                        _ = write!(text, "  shown={shown}");
                    }
                }
                self.line(connection, "==", text);
            }
            What::HandshakeFailed { why, words } => {
                let text =
                    self.full(&format!("handshake failed ({why}): {words}"), &format!("handshake failed: {why}"));
                self.line(connection, "!!", text);
            }
            What::Alert { level, description } => {
                let level = if *level == 2 { "fatal" } else { "warning" };
                self.open_line(connection, mark, format!("alert          {level} {}", alert_name(*description)));
            }
            What::CloseNotify => self.end(connection, mark, "close_notify"),
            // Behind QUIT everything is said: a server that has gone before our close_notify arrives resets, by chance.
            What::Fin { .. } | What::Rst if self.quit && event.by == By::Peer && self.style == Style::Normal => {
                self.end(connection, mark, "closed");
            }
            What::Fin { inside_record: false } => self.end(connection, mark, "FIN"),
            What::Fin { inside_record: true } => self.end(connection, mark, "FIN inside a record"),
            What::Rst => self.end(connection, mark, "RST"),
            // Whether two sentences come in one segment or in two is chance.
            What::Plaintext { .. }
                if self.style == Style::Normal
                    && event.by == By::Peer
                    && self.ends_with(connection, mark, "plaintext") => {}
            What::Plaintext { octets, looks_like, .. } => {
                let text = match (self.style, looks_like) {
                    (Style::Normal, LooksLike::FtpReply { code }) => format!("plaintext {code}"),
                    (Style::Normal, other) => format!("plaintext ({other})"),
                    (Style::Full, _) => {
                        let shown = escaped(&octets[..octets.len().min(PLAINTEXT_SHOWN)]);
                        format!("plaintext      {shown}")
                    }
                };
                self.open_line(connection, mark, text);
            }
            // How much of a download arrived before its reset is chance.
            What::Content { .. } if self.style == Style::Normal && self.download && self.is_cut(connection) => {
                self.open_line(connection, mark, "octets cut short".to_owned());
            }
            What::Content { count, protected, .. } => {
                let count = match (self.style, self.listing, count) {
                    (Style::Normal, true, 1..) => "some".to_owned(),
                    _ => count.to_string(),
                };
                let clear = if *protected { "" } else { " in the clear" };
                self.open_line(connection, mark, format!("{count} octets{clear}"));
            }
            What::Timeout { of, after } => {
                let text =
                    self.full(&format!("{of}: nothing in {:.1} s", after.as_secs_f64()), &format!("timeout: {of}"));
                self.line(connection, "..", text);
            }
            What::Trouble { text } => self.line(connection, "!!", text.clone()),
            What::HandshakeStarted
            | What::CertificateRequest
            | What::Ticket
            | What::KeyUpdate
            | What::Waiting
            | What::Records { .. }
            | What::Octets { .. }
            | What::Act { .. }
            | What::Unmet { .. }
            | What::Leaf { .. }
            | What::Asked { .. }
            | What::Ended { .. }
            | What::Fetched { .. }
            | What::File { .. }
            | What::RuleFired { .. } => {}
        }
    }

    /// What is about no connection: the client under test as a program, and the harness itself.
    fn tell_of_client(&mut self, what: &What) {
        match what {
            What::Trouble { text } => self.line("", "!!", text.clone()),
            What::Asked { action, files } => self.line(CLIENT, "--", format!("{action} {}", files.join(" "))),
            What::Ended { how, status, said, after } => {
                let full = format!("{how} ({status}) after {:.1} s", after.as_secs_f64());
                let text = self.full(&full, how);
                self.line(CLIENT, "--", text);
                if self.style == Style::Full {
                    said.lines().for_each(|line| self.line(CLIENT, "--", escaped(line.as_bytes())));
                }
            }
            What::Fetched { name, octets, .. } => {
                let kept = octets.map_or_else(|| "no file".to_owned(), |octets| format!("{octets} octets"));
                self.line(CLIENT, "--", format!("{name}: {kept}"));
            }
            What::RuleFired { on } if self.style == Style::Full => {
                self.line(SERVER, "--", format!("rule for {on}"));
            }
            _ => {}
        }
    }

    /// Whether the peer reset a connection after its handshake.
    fn is_cut(&self, connection: &str) -> bool {
        self.reset.contains(&connection) && self.secured.iter().any(|name| name == connection)
    }

    fn reply(&self, reply: &Reply) -> String {
        match self.style {
            Style::Full => reply.lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join(" / "),
            // The shape of an address is part of the reply's meaning, its digits are not.
            Style::Normal => match reply.code {
                227 => "227 ({address})".to_owned(),
                229 => "229 (|||{port}|)".to_owned(),
                code => code.to_string(),
            },
        }
    }

    fn full(&self, full: &str, normal: &str) -> String {
        match self.style {
            Style::Full => full.to_owned(),
            Style::Normal => normal.to_owned(),
        }
    }

    fn named(&self, line: &str) -> String {
        let mut line = line.to_owned();
        if self.style == Style::Normal {
            for (value, word) in self.words {
                line = line.replace(value, word);
            }
        }
        line
    }

    /// A line that has no side: `control  connect`.
    fn plain_line(&mut self, connection: &str, text: String) {
        self.lines.push(Line { connection: connection.to_owned(), mark: "--", parts: vec![text], open: false });
    }

    fn line(&mut self, connection: &str, mark: &'static str, text: String) {
        self.lines.push(Line { connection: connection.to_owned(), mark, parts: vec![text], open: false });
    }

    fn open_line(&mut self, connection: &str, mark: &'static str, text: String) {
        self.line(connection, mark, text);
        if let Some(line) = self.lines.last_mut() {
            line.open = true;
        }
    }

    fn end(&mut self, connection: &str, mark: &'static str, end: &str) {
        if let Some(last) = self.lines.last_mut()
            && last.open
            && last.connection == connection
            && last.mark == mark
        {
            last.parts.push(end.to_owned());
            return;
        }
        self.open_line(connection, mark, end.to_owned());
    }

    /// Whether this is what was told last, and nothing behind it.
    fn ends_with(&self, connection: &str, mark: &str, what: &str) -> bool {
        self.lines.last().is_some_and(|last| {
            (last.connection.as_str(), last.mark) == (connection, mark)
                && matches!(&last.parts[..], [only] if only.starts_with(what))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Handshake;
    use ftpspec_wire::looks_like;
    use std::sync::Arc;
    use std::time::Instant;

    fn command(line: &str) -> What {
        let verb = line.split(' ').next().unwrap_or_default().to_owned();
        What::Command { verb, line: line.to_owned(), protected: true }
    }

    fn reply(code: u16, text: &str) -> What {
        What::Reply { reply: Reply::new(code, text), protected: true, to: String::new() }
    }

    fn resumed_handshake() -> Handshake {
        Handshake {
            version: "1.3".to_owned(),
            suite: "TLS_AES_256_GCM_SHA384".to_owned(),
            resumed: Some("control".to_owned()),
            server_name: None,
            certificate: None,
            client_certificate: "not-asked",
            shown: None,
            identity: None,
        }
    }

    /// The two orders in which a final reply and the end of the data can become readable.
    fn transfer(reply_first: bool) -> Vec<String> {
        let log = Log::new(Instant::now());
        log.call("files/e m p t y.bin", "empty.bin");
        let (control, data): (Arc<str>, Arc<str>) = (Arc::from("control"), Arc::from("data"));
        log.push(Some(&control), By::Us, What::Connected { to: "127.0.0.1:21".parse().expect("an address") });
        log.push(Some(&control), By::Peer, reply(220, "hello"));
        log.push(Some(&control), By::Us, command("EPSV"));
        log.push(Some(&control), By::Peer, reply(229, "Extended (|||4711|)"));
        log.push(Some(&data), By::Us, What::Connected { to: "127.0.0.1:4711".parse().expect("an address") });
        log.push(Some(&control), By::Us, command("RETR files/e m p t y.bin"));
        log.push(Some(&control), By::Peer, reply(150, "here it comes"));
        log.push(Some(&data), By::Us, What::HandshakeStarted);
        log.push(Some(&data), By::Us, What::Handshake(Box::new(resumed_handshake())));
        if reply_first {
            log.push(Some(&control), By::Peer, reply(226, "done"));
        }
        let sha256 = String::new();
        log.push(Some(&data), By::Peer, What::Content { count: 0, sha256, protected: true });
        log.push(Some(&data), By::Peer, What::CloseNotify);
        log.push_all(&data, vec![(By::Us, true, What::CloseNotify)]);
        if !reply_first {
            log.push(Some(&control), By::Peer, reply(226, "done"));
        }
        log.push_all(&data, vec![(By::Us, true, What::Fin { inside_record: false })]);
        log.push(Some(&data), By::Peer, What::Fin { inside_record: false });
        log.push(Some(&control), By::Us, command("NOOP"));
        log.push(Some(&control), By::Peer, reply(200, "ok"));
        normal_form(&log, true)
    }

    /// What is told as a server of a session that ends, by what follows the 221.
    fn left_by(behind: Vec<(By, bool, What)>) -> Vec<String> {
        let log = Log::new(Instant::now());
        let control: Arc<str> = Arc::from("control");
        log.push(Some(&control), By::Us, reply(220, "hello"));
        log.push(Some(&control), By::Peer, command("QUIT"));
        log.push(Some(&control), By::Us, reply(221, "goodbye"));
        log.push_all(&control, behind);
        let (how, status, said) = ("succeeded", String::new(), String::new());
        log.push(None, By::Us, What::Ended { how, status, said, after: std::time::Duration::ZERO });
        normal_form(&log, false)
    }

    #[test]
    fn the_normal_form_of_a_server_does_not_tell_who_closed_first_behind_its_221() {
        let fin = || What::Fin { inside_record: false };
        let ours_first =
            left_by(vec![(By::Us, false, What::CloseNotify), (By::Us, false, fin()), (By::Peer, true, fin())]);
        let theirs_first = left_by(vec![(By::Peer, false, fin()), (By::Us, true, fin())]);
        assert_eq!(ours_first, theirs_first);
        assert_eq!(ours_first.len(), 4, "{ours_first:?}");
    }

    #[test]
    fn the_normal_form_does_not_tell_in_which_order_two_connections_became_readable() {
        assert_eq!(transfer(true), transfer(false));
        insta::assert_snapshot!(transfer(true).join("\n"), @r"
        control  -- connect
        control  <S 220
        control  C> EPSV
        control  <S 229 (|||{port}|)
        data     -- connect {port}
        control  C> RETR empty.bin
        control  <S 150
        data     == TLS 1.3  resumed(control)  TLS_AES_256_GCM_SHA384
        data     <S 0 octets, close_notify, FIN
        data     C> close_notify, FIN
        control  <S 226
        control  C> NOOP
        control  <S 200
        ");
    }

    /// A peer that says these in the clear, each in a segment of its own.
    fn said_in_the_clear(by: By, sentences: &[&str]) -> Vec<String> {
        let log = Log::new(Instant::now());
        let control: Arc<str> = Arc::from("control");
        for sentence in sentences {
            let octets = sentence.as_bytes().to_vec();
            let looks_like = looks_like(&octets);
            log.push(Some(&control), by, What::Plaintext { octets, looks_like, in_session: false });
        }
        log.push(Some(&control), by, What::Fin { inside_record: false });
        normal_form(&log, by == By::Us)
    }

    #[test]
    fn the_normal_form_does_not_tell_in_how_many_segments_a_peer_said_it() {
        let at_once = said_in_the_clear(By::Peer, &["500 OOPS: a\r\n500 OOPS: b\r\n"]);
        assert_eq!(at_once, ["control  C> plaintext 500, FIN"]);
        assert_eq!(said_in_the_clear(By::Peer, &["500 OOPS: a\r\n", "500 OOPS: b\r\n"]), at_once);
        assert_eq!(said_in_the_clear(By::Us, &["500 a\r\n", "500 b\r\n"]).len(), 2, "ours stand in the script");
    }

    /// What is told as a server of two downloads, by whether the client's end of the first is read before it asks for the
    /// second.
    fn served(end_first: bool) -> Vec<String> {
        let log = Log::new(Instant::now());
        let (control, data): (Arc<str>, Arc<str>) = (Arc::from("control"), Arc::from("data"));
        let fin = || What::Fin { inside_record: false };
        let end = || log.push_all(&data, vec![(By::Peer, false, What::CloseNotify), (By::Peer, false, fin())]);
        log.push(Some(&control), By::Peer, command("RETR a.bin"));
        log.push(Some(&data), By::Us, What::Accepted { from: "127.0.0.1:4711".parse().expect("an address") });
        log.push(Some(&control), By::Us, reply(226, "done"));
        log.push(Some(&data), By::Us, What::CloseNotify);
        log.push(Some(&data), By::Us, fin());
        if end_first {
            end();
        }
        log.push(Some(&control), By::Peer, command("RETR b.bin"));
        if !end_first {
            end();
        }
        log.push(Some(&control), By::Us, reply(550, "no"));
        normal_form(&log, false)
    }

    #[test]
    fn the_normal_form_does_not_tell_whether_a_data_connection_ended_before_the_next_transfer_was_asked_for() {
        assert_eq!(served(true), served(false));
        insta::assert_snapshot!(served(true).join("\n"), @r"
        control  C> RETR a.bin
        data     -- accept
        control  <S 226
        data     <S close_notify
        data     C> close_notify, FIN
        data     <S FIN
        control  C> RETR b.bin
        control  <S 550
        ");
    }

    /// A download of which so much came before the reset; in TLS, or in the place of a handshake.
    fn reset_download(count: u64, in_tls: bool) -> Vec<String> {
        let log = Log::new(Instant::now());
        let (control, data): (Arc<str>, Arc<str>) = (Arc::from("control"), Arc::from("data"));
        let line = "RETR large.bin".to_owned();
        log.push(Some(&control), By::Us, What::Command { verb: "RETR".to_owned(), line, protected: true });
        if in_tls {
            log.push(Some(&data), By::Us, What::Handshake(Box::new(resumed_handshake())));
        }
        log.push(Some(&data), By::Peer, What::Content { count, sha256: String::new(), protected: in_tls });
        log.push(Some(&data), By::Peer, What::Rst);
        normal_form(&log, true).into_iter().filter(|line| line.contains("octets")).collect()
    }

    #[test]
    fn the_normal_form_does_not_tell_how_much_of_a_download_came_before_its_reset() {
        assert_eq!(reset_download(0, true), ["data     <S octets cut short, RST"]);
        assert_eq!(reset_download(0, true), reset_download(70_000, true));
        assert_eq!(reset_download(0, false), ["data     <S 0 octets in the clear, RST"]);
    }

    #[test]
    fn the_full_style_shows_prose_escaped() {
        let log = Log::new(Instant::now());
        let control: Arc<str> = Arc::from("control");
        log.push(Some(&control), By::Peer, reply(220, "\u{1b}[2Jhi"));
        let shown = conversation(&log.events(), &[], Style::Full, true).join("\n");
        assert!(shown.contains("\\x1b[2Jhi") && !shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn the_port_of_a_clients_listener_is_chance_and_its_address_is_not() {
        assert_eq!(without_port("PORT", "PORT 127,0,0,1,171,15"), "PORT 127,0,0,1,{p1},{p2}");
        assert_eq!(without_port("EPRT", "EPRT |2|::1|40283|"), "EPRT |2|::1|{port}|");
        assert_eq!(without_port("EPRT", "EPRT !1!127.0.0.1!40283!"), "EPRT !1!127.0.0.1!{port}!");
        assert_eq!(without_port("PORT", "PORT 127.0.0.1:4000"), "PORT 127.0.0.1:4000");
        assert_eq!(without_port("EPRT", "EPRT"), "EPRT");
        assert_eq!(without_port("RETR", "RETR a,b,c,d,1,2"), "RETR a,b,c,d,1,2");
    }
}
