//! Octets that are not TLS where TLS was due: told once, for what they look like, and never mistaken for one another:
//! in mid-handshake, behind a failed one, inside a session.

use ftpspec_net::{Act, Carries};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use ftpspec_wire::LooksLike;
use rstest::rstest;

use crate::pki::STRANGER;
use crate::rough::Rough;
use crate::stage::{Seat, Side, client_trusting, machines, server, session, sockets, within};

#[rstest]
#[tokio::test]
async fn a_reply_in_place_of_a_server_hello_is_told_once_however_it_is_split(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(Carries::Replies, Carries::Data)] carries: Carries,
) {
    let (side, mut rough) = awaiting_hello(engine, version, carries).await;
    rough.raw(b"5").await;
    // One octet is enough to know that it is not TLS; the sentence is still to come.
    side.sees("the failure", |event| matches!(event.what, What::HandshakeFailed { why: "not-tls", .. })).await;
    rough.raw(b"50 TLS hand").await;
    rough.raw(b"shake failed\r\n").await;
    rough.fin();
    side.hears(&What::Fin { inside_record: false }).await;
    assert_eq!(plaintexts(&side), [reply(550, b"550 TLS handshake failed\r\n", false)]);
}

#[rstest]
#[case::at_the_end(true)]
#[case::when_no_more_comes(false)]
#[tokio::test]
async fn a_sentence_without_a_line_end_is_told_too(#[case] fin: bool) {
    let (side, mut rough) = awaiting_hello(Engine::Openssl, Version::Tls13, Carries::Replies).await;
    rough.raw(b"550 no TLS here").await;
    if fin {
        rough.fin();
    }
    side.sees("the plaintext", |event| matches!(event.what, What::Plaintext { .. })).await;
    assert_eq!(plaintexts(&side), [reply(550, b"550 no TLS here", false)]);
}

#[rstest]
#[tokio::test]
async fn commands_in_place_of_a_handshake_are_told_as_plaintext_and_as_commands_and_their_password_is_not(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(false, true)] looks_only: bool,
) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Commands);
    let (machine, peer) = machines(Seat::Server, engine, version);
    let mut rough = Rough::with(theirs, peer);
    if looks_only {
        side.act(Act::Observe).await;
    } else {
        side.start_tls(machine).await;
    }
    rough.raw(b"USER an").await;
    rough.raw(b"na\r\nPASS secret\r\nGET / HTTP/1.1\r\n\r\n\x16\x03\x01QUIT\r\n").await;
    rough.raw(&[b'x'; 9000]).await;
    rough.raw(b"QUIT\r\nQUIT\r\n").await;
    rough.fin();
    side.hears(&What::Fin { inside_record: false }).await;
    let told = side.told(|event| matches!(event.what, What::Command { .. }));
    let due = ["USER anna", "PASS {redacted}", "QUIT"].map(|line| {
        let verb = line[..4].to_owned();
        What::Command { verb, line: line.to_owned(), protected: false }
    });
    assert_eq!(told, due);
    assert!(!plaintexts(&side).is_empty());
}

#[rstest]
#[tokio::test]
async fn plaintext_behind_a_handshake_that_we_refused_is_not_in_a_session(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Replies);
    let mut rough = Rough::with(theirs, server(engine.other(), version));
    side.start_tls(client_trusting(engine, version, &STRANGER.chain_pem)).await;
    let failed = |event: &ftpspec_transcript::Event| matches!(event.what, What::HandshakeFailed { .. });
    while side.told(failed).is_empty() {
        within("an alert", rough.read()).await;
    }
    rough.raw(b"421 TLS failed\r\n").await;
    side.sees("the plaintext", |event| matches!(event.what, What::Plaintext { .. })).await;
    assert_eq!(plaintexts(&side), [reply(421, b"421 TLS failed\r\n", false)]);
    assert_eq!(side.told(failed).len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_reply_in_the_clear_inside_a_session_is_told_and_the_session_goes_on(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Replies).await;
    rough.write(b"220 first\r\n").await;
    rough.raw(b"331 in the clear\r\n").await;
    rough.write(b"230 in TLS again\r\n").await;
    side.sees("the last reply", |event| matches!(&event.what, What::Reply { reply, .. } if reply.code == 230)).await;
    let replies = side.told(|event| matches!(event.what, What::Reply { .. }));
    let replies: Vec<_> = replies
        .iter()
        .filter_map(|what| match what {
            What::Reply { reply, protected, .. } => Some((reply.code, *protected)),
            _ => None,
        })
        .collect();
    assert_eq!(replies, [(220, true), (331, false), (230, true)]);
    assert_eq!(plaintexts(&side), [reply(331, b"331 in the clear\r\n", true)]);

    // Whatever the peer does: what we send was meant for TLS.
    side.write(b"PASS secret\r\n").await;
    within("our command", rough.read_until(|rough| rough.plain == b"PASS secret\r\n")).await;
    assert_eq!(rough.arrived, b"");
}

#[rstest]
#[tokio::test]
async fn a_peer_that_drops_tls_without_a_word_is_told_once_and_understood(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Commands).await;
    side.act(Act::Clear).await;
    for verb in ["NOOP", "PWD", "QUIT"] {
        rough.raw(format!("{verb}\r\n").as_bytes()).await;
        let due = What::Command { verb: verb.to_owned(), line: verb.to_owned(), protected: false };
        assert_eq!(side.next_command().await, due);
    }
    assert_eq!(
        plaintexts(&side),
        [What::Plaintext { octets: b"NOOP\r\n".to_vec(), looks_like: LooksLike::Text, in_session: true }]
    );
}

#[rstest]
#[tokio::test]
async fn data_in_the_clear_inside_a_session_is_told_once_and_counted(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Data).await;
    rough.write(b"inside").await;
    let clear = vec![b'c'; 200_000];
    rough.raw(&clear).await;
    rough.fin();
    side.hears(&What::Fin { inside_record: false }).await;
    assert_eq!(side.connection.received().octets, 200_006);
    let told = plaintexts(&side);
    assert!(matches!(told.as_slice(), [What::Plaintext { in_session: true, .. }]), "{told:?}");
    let content = side.told(|event| event.by == By::Peer && matches!(event.what, What::Content { .. }));
    assert!(matches!(content.as_slice(), [What::Content { count: 200_006, protected: false, .. }]), "{content:?}");
}

/// A client under test that has sent its ClientHello.
async fn awaiting_hello(engine: Engine, version: Version, carries: Carries) -> (Side, Rough) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, carries);
    let (machine, peer) = machines(Seat::Client, engine, version);
    side.start_tls(machine).await;
    (side, Rough::with(theirs, peer))
}

fn plaintexts(side: &Side) -> Vec<What> {
    side.told(|event| event.by == By::Peer && matches!(event.what, What::Plaintext { .. }))
}

fn reply(code: u16, octets: &[u8], in_session: bool) -> What {
    What::Plaintext { octets: octets.to_vec(), looks_like: LooksLike::FtpReply { code }, in_session }
}
