//! What came before what. One connection orders its own events; across connections only our own acts order.

use crate::event::{By, Event, What};

/// The answer to "did `a` happen before `b`?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `a` before `b`.
    Before,
    /// `a` after `b`.
    After,
    /// Their arrival says nothing. Unknown never fails anybody.
    Unknown,
}

/// Orders two events of one log. What had arrived before an act of ours was sent before it; what depends on the act
/// (on the same connection, behind it) comes after it.
#[must_use]
pub fn order(events: &[Event], a: usize, b: usize) -> Order {
    if a > b {
        return match order(events, b, a) {
            Order::Before => Order::After,
            other => other,
        };
    }
    let (Some(first), Some(second)) = (events.get(a), events.get(b)) else { return Order::Unknown };
    if first.connection == second.connection || first.by == By::Us {
        return Order::Before;
    }
    let parted = events[a + 1..=b].iter().any(|event| divides(event) && event.connection == second.connection);
    if parted { Order::Before } else { Order::Unknown }
}

/// Whether this event is an act of ours, written in the script, that sends something: it parts what was before from
/// what comes after. A FIN does not: behind a close_notify it asks for nothing more, and peers do not wait for it.
#[must_use]
pub(crate) fn divides(event: &Event) -> bool {
    if event.by != By::Us || event.polite {
        return false;
    }
    matches!(
        event.what,
        What::Connected { .. }
            | What::Command { .. }
            | What::HandshakeStarted
            | What::Plaintext { .. }
            | What::CloseNotify
            | What::Rst
            | What::Act { word: "release" | "deliver", .. }
    )
}

/// The same where we are the server: a command of the client asks, and what we send answers.
#[must_use]
pub(crate) fn divides_as_server(event: &Event) -> bool {
    match event.by {
        By::Peer => matches!(event.what, What::Command { .. }),
        By::Us if event.polite => false,
        By::Us => matches!(
            event.what,
            What::Reply { .. }
                | What::Accepted { .. }
                | What::Connected { .. }
                | What::Plaintext { .. }
                | What::CloseNotify
                | What::Rst
                | What::Ended { .. }
        ),
    }
}

/// The replies that came while no command of ours was open. A reply to octets that we put past TLS or sent raw cannot
/// be told from an unasked one, and is not counted.
#[must_use]
pub fn unasked_replies(events: &[Event]) -> Vec<usize> {
    let mut open: std::collections::BTreeMap<&str, i64> = std::collections::BTreeMap::new();
    let mut unasked = Vec::new();
    for event in events {
        let Some(connection) = event.connection.as_deref() else { continue };
        match (&event.what, event.by) {
            // The greeting is due without a command.
            (What::Connected { .. }, By::Us) => {
                open.insert(connection, 1);
            }
            (What::Command { verb, .. }, By::Us) => {
                // ABOR may be answered twice: for the transfer and for itself (RFC 959 §4.1.3).
                *open.entry(connection).or_default() += if verb == "ABOR" { 2 } else { 1 };
            }
            (What::Plaintext { .. }, By::Us) => *open.entry(connection).or_default() += i64::from(u16::MAX),
            (What::Reply { reply, .. }, By::Peer) if reply.class() != 1 => {
                let count = open.entry(connection).or_default();
                // 421 may come at any time: the server is going (RFC 959 §5.4).
                if *count <= 0 && reply.code != 421 {
                    unasked.push(event.seq);
                } else {
                    *count -= 1;
                }
            }
            _ => {}
        }
    }
    unasked
}

#[cfg(test)]
mod tests {
    use super::*;
    use ftpspec_wire::Reply;
    use std::sync::Arc;
    use std::time::Duration;

    fn log(list: Vec<(&str, By, What)>) -> Vec<Event> {
        let event = |(seq, (connection, by, what)): (usize, (&str, By, What))| Event {
            seq,
            at: Duration::ZERO,
            connection: Some(Arc::from(connection)),
            by,
            polite: false,
            what,
        };
        list.into_iter().enumerate().map(event).collect()
    }

    fn command(verb: &str) -> What {
        What::Command { verb: verb.to_owned(), line: verb.to_owned(), protected: true }
    }

    fn reply(code: u16) -> What {
        What::Reply { reply: Reply::new(code, ""), protected: true, to: String::new() }
    }

    #[test]
    fn arrivals_on_two_connections_have_no_order_until_an_act_of_ours_parts_them() {
        let events = log(vec![
            ("control", By::Peer, reply(226)),
            ("data", By::Peer, What::CloseNotify),
            ("control", By::Us, command("NOOP")),
            ("control", By::Peer, reply(200)),
        ]);
        assert_eq!(order(&events, 0, 1), Order::Unknown);
        assert_eq!(order(&events, 1, 0), Order::Unknown);
        assert_eq!(order(&events, 1, 3), Order::Before);
        assert_eq!(order(&events, 3, 1), Order::After);
        assert_eq!(order(&events, 0, 3), Order::Before);
    }

    #[test]
    fn a_reply_without_a_command_is_unasked_and_a_preliminary_one_is_not_the_last() {
        let events = log(vec![
            ("control", By::Us, What::Connected { to: "127.0.0.1:21".parse().expect("an address") }),
            ("control", By::Peer, reply(220)),
            ("control", By::Us, command("RETR")),
            ("control", By::Peer, reply(150)),
            ("control", By::Peer, reply(226)),
            ("control", By::Peer, reply(200)),
            ("control", By::Peer, reply(421)),
        ]);
        assert_eq!(unasked_replies(&events), [5]);
    }
}
