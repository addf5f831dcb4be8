//! Octets that arrive before TLS is started: a ClientHello is not lost, and commands pipelined behind AUTH are dropped,
//! given to TLS, or kept, as was asked.

use ftpspec_net::{Act, Carries, Early};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::What;
use rstest::rstest;

use crate::rough::Rough;
use crate::stage::{Seat, Side, machines, sockets, within};

#[rstest]
#[tokio::test]
async fn a_client_hello_glued_to_auth_begins_the_handshake(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(true, false)] whole: bool,
) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Commands);
    let (machine, mut peer) = machines(Seat::Server, engine, version);
    let hello = peer.take_outgoing();
    let glued = if whole { hello.len() } else { 7 };
    let mut rough = Rough::with(theirs, peer);
    rough.raw(&[b"AUTH TLS\r\n", &hello[..glued]].concat()).await;
    assert!(matches!(side.next_command().await, What::Command { verb, protected: false, .. } if verb == "AUTH"));
    side.start_tls(machine).await;
    rough.raw(&hello[glued..]).await;
    within("the handshake", rough.handshake()).await;
    side.handshake().await;
    rough.write(b"PBSZ 0\r\n").await;
    assert!(matches!(side.next_command().await, What::Command { verb, protected: true, .. } if verb == "PBSZ"));
}

#[rstest]
#[tokio::test]
async fn a_client_hello_that_waits_on_a_data_connection_begins_the_handshake(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (ours, theirs) = sockets().await;
    let (machine, peer) = machines(Seat::Server, engine, version);
    let mut rough = Rough::with(theirs, peer);
    rough.flush().await;
    // The ClientHello is there before anybody has taken the connection over.
    within("the ClientHello", ours.readable()).await.expect("an open socket");
    let side = Side::new(ours, Carries::Data);
    side.act(Act::Hold).await;
    side.act(Act::Release).await;
    side.start_tls(machine).await;
    within("the handshake", rough.handshake()).await;
    side.handshake().await;
    assert_eq!(side.connection.received().octets, 0);
}

#[rstest]
#[tokio::test]
async fn commands_behind_auth_that_are_dropped_are_told_and_never_read(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = pipelined(engine, Early::Dropped, true).await;
    side.hears(&What::Command { verb: "NOOP".to_owned(), line: "NOOP early".to_owned(), protected: false }).await;
    within("the handshake", rough.handshake()).await;
    side.handshake().await;
    rough.write(b"PBSZ 0\r\n").await;
    assert!(matches!(side.next_command().await, What::Command { verb, protected: true, .. } if verb == "PBSZ"));
}

#[rstest]
#[tokio::test]
async fn commands_behind_auth_that_are_kept_are_read_as_if_they_had_come_in_tls(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = pipelined(engine, Early::Kept, false).await;
    within("the handshake", rough.handshake()).await;
    side.handshake().await;
    let due = What::Command { verb: "NOOP".to_owned(), line: "NOOP early".to_owned(), protected: true };
    assert_eq!(side.next_command().await, due);
}

#[rstest]
#[tokio::test]
async fn commands_behind_auth_that_are_given_to_tls_break_the_handshake(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, _rough) = pipelined(engine, Early::GivenToTls, false).await;
    side.sees("the failure", |event| matches!(event.what, What::HandshakeFailed { why: "not-tls", .. })).await;
    side.sees(
        "the command",
        |event| matches!(&event.what, What::Plaintext { octets, in_session: false, .. } if octets == b"NOOP early\r\n"),
    )
    .await;
}

/// A server under test that has been sent a command behind AUTH, and has started TLS.
async fn pipelined(engine: Engine, early: Early, drop: bool) -> (Side, Rough) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Commands);
    let (machine, peer) = machines(Seat::Server, engine, Version::Tls13);
    let mut rough = Rough::with(theirs, peer);
    rough.raw(b"AUTH TLS\r\nNOOP early\r\n").await;
    assert!(matches!(side.next_command().await, What::Command { verb, .. } if verb == "AUTH"));
    if drop {
        side.act(Act::DropEarly).await;
    }
    side.act(Act::StartTls { machine, identity: None, shows: None, early }).await;
    (side, rough)
}

#[tokio::test]
async fn behind_the_reply_that_it_halts_at_nothing_is_a_reply() {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Replies);
    side.act(Act::HaltBehind(234)).await;
    let (machine, peer) = machines(Seat::Client, Engine::Rustls, Version::Tls13);
    let mut rough = Rough::with(theirs, peer);
    rough.raw(b"220 Ready\r\n234 Go ahead\r\n230 Logged in\r\n").await;
    side.sees("234", |event| matches!(&event.what, What::Reply { reply, .. } if reply.code == 234)).await;
    // What is left is TLS's affair: it cannot be the beginning of a handshake.
    side.start_tls(machine).await;
    side.sees("a failed handshake", |event| matches!(event.what, What::HandshakeFailed { .. })).await;
    let codes = side.told(|event| matches!(event.what, What::Reply { .. })).into_iter().map(|what| match what {
        What::Reply { reply, .. } => reply.code,
        _ => 0,
    });
    assert_eq!(codes.collect::<Vec<_>>(), [220, 234]);
}

#[tokio::test]
async fn a_reader_of_lines_takes_each_line_of_a_reply_for_one() {
    for (each_line, due) in [(false, vec![220]), (true, vec![220, 230, 220])] {
        let (ours, theirs) = sockets().await;
        let side = Side::new(ours, Carries::Replies);
        if each_line {
            side.act(Act::EachLineIsAReply).await;
        }
        let (_, peer) = machines(Seat::Client, Engine::Rustls, Version::Tls13);
        let mut rough = Rough::with(theirs, peer);
        rough.raw(b"220-Welcome\r\n230 users are logged in\r\n220 Ready\r\n").await;
        let last = due.last().copied();
        side.sees("the last line", |event| {
            matches!(&event.what, What::Reply { reply, .. } if Some(reply.code) == last && reply.lines.last().is_some_and(|line| line == b"220 Ready"))
        })
        .await;
        let codes = side.told(|event| matches!(event.what, What::Reply { .. })).into_iter().map(|what| match what {
            What::Reply { reply, .. } => reply.code,
            _ => 0,
        });
        assert_eq!(codes.collect::<Vec<_>>(), due, "each line: {each_line}");
    }
}

#[tokio::test]
async fn the_end_of_a_connection_is_seen_by_who_has_let_go_of_it() {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Data);
    side.act(Act::Read).await;
    let end = side.connection.end();
    drop(side);
    assert!(!end.has_come());
    drop(theirs);
    within("the end", end.clone().is_there()).await;
    assert!(end.has_come());
}
