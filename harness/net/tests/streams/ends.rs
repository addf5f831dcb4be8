//! close_notify, FIN, FIN inside a record and RST are four facts, with each engine, version and seat.

use ftpspec_net::{Act, Carries};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use rstest::rstest;

use crate::rough::{End, Rough};
use crate::stage::{Seat, session, sha256, within};

#[derive(Clone, Copy, Debug)]
enum Ending {
    CloseNotify,
    Fin,
    FinInsideRecord,
    Rst,
    CloseNotifyThenFin,
    CloseNotifyThenRst,
}

#[rstest]
#[case::close_notify(Ending::CloseNotify, &[What::CloseNotify])]
#[case::fin(Ending::Fin, &[What::Fin { inside_record: false }])]
#[case::fin_inside_a_record(Ending::FinInsideRecord, &[What::Fin { inside_record: true }])]
#[case::rst(Ending::Rst, &[What::Rst])]
#[case::close_notify_then_fin(Ending::CloseNotifyThenFin, &[What::CloseNotify, What::Fin { inside_record: false }])]
#[case::close_notify_then_rst(Ending::CloseNotifyThenRst, &[What::CloseNotify, What::Rst])]
#[tokio::test]
async fn each_end_is_told_for_what_it_is(
    #[case] ending: Ending,
    #[case] due: &[What],
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(Seat::Client, Seat::Server)] seat: Seat,
) {
    let (side, mut rough) = session(seat, engine, version, Carries::Data).await;
    // Mute: our own end would race with theirs for what the kernel tells of a RST.
    side.act(Act::Mute).await;
    rough.write(b"some octets").await;
    side.sees("the data", |event| matches!(event.what, What::Octets { .. })).await;
    let octets = match ending {
        Ending::Fin | Ending::Rst => Vec::new(),
        Ending::FinInsideRecord => {
            let record = rough.protect(b"never seen whole");
            record[..record.len() - 1].to_vec()
        }
        Ending::CloseNotify | Ending::CloseNotifyThenFin | Ending::CloseNotifyThenRst => rough.close_notify(),
    };
    rough.raw(&octets).await;
    let _open = match ending {
        Ending::CloseNotify => Some(rough),
        Ending::Fin | Ending::FinInsideRecord | Ending::CloseNotifyThenFin => {
            rough.fin();
            Some(rough)
        }
        Ending::Rst | Ending::CloseNotifyThenRst => {
            rough.rst();
            None
        }
    };
    side.hears(due.last().expect("each ending is something")).await;
    assert_eq!(side.peer_ends(), due);
    let content = What::Content { count: 11, sha256: sha256(b"some octets"), protected: true };
    assert_eq!(side.told(|event| matches!(event.what, What::Content { .. })), [content]);
    assert!(side.told(|event| matches!(event.what, What::HandshakeFailed { .. })).is_empty());
}

#[rstest]
#[case::header_cut(3)]
#[case::body_cut(100)]
#[tokio::test]
async fn a_fin_in_the_midst_of_a_handshake_record_is_told_with_the_handshakes_failure(
    #[case] length: usize,
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (ours, theirs) = crate::stage::sockets().await;
    let side = crate::stage::Side::new(ours, Carries::Data);
    let (machine, mut peer) = crate::stage::machines(Seat::Server, engine, version);
    let hello = peer.take_outgoing();
    let mut rough = Rough::with(theirs, peer);
    side.start_tls(machine).await;
    rough.raw(&hello[..length]).await;
    rough.fin();
    side.hears(&What::Fin { inside_record: true }).await;
    side.sees("the failure", |event| matches!(event.what, What::HandshakeFailed { why: "ended", .. })).await;
}

#[rstest]
#[tokio::test]
async fn data_that_was_sent_before_a_rst_is_read_and_then_the_rst_is_told(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Data).await;
    // Held: all of it, the RST too, waits in the socket when reading begins.
    side.act(Act::Hold).await;
    let octets = vec![b'x'; 20_000];
    rough.write(&octets).await;
    rough.rst();
    assert_eq!(side.connection.received().octets, 0);
    side.act(Act::Release).await;
    side.hears(&What::Rst).await;
    assert_eq!(side.peer_ends(), [What::Rst]);
    let content = What::Content { count: 20_000, sha256: sha256(&octets), protected: true };
    assert_eq!(side.told(|event| matches!(event.what, What::Content { .. })), [content]);
}

#[rstest]
#[tokio::test]
async fn a_reset_that_our_own_writing_met_first_is_told_as_a_reset(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = session(Seat::Client, engine, Version::Tls13, Carries::Data).await;
    // Held: the write, not the read, is what the kernel tells of the RST.
    side.act(Act::Hold).await;
    let sending = tokio::spawn({
        let connection = side.connection.clone();
        async move { connection.act(Act::Payload(crate::stage::large_payload())).await }
    });
    within("some data", rough.read_until(|rough| !rough.plain.is_empty())).await;
    rough.rst();
    let sent = within("the end of sending", sending).await.expect("no panic");
    assert!(sent.is_err(), "a payload that nobody took was called sent");
    side.act(Act::Release).await;
    assert_eq!(side.peer_end().await, What::Rst);
    assert_eq!(side.peer_ends(), [What::Rst]);
}

#[rstest]
#[tokio::test]
async fn a_peer_that_resets_while_we_send_breaks_the_act_and_is_told_once(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Data).await;
    let sending = tokio::spawn({
        let connection = side.connection.clone();
        async move { connection.act(Act::Payload(crate::stage::large_payload())).await }
    });
    within("some data", rough.read_until(|rough| !rough.plain.is_empty())).await;
    rough.rst();
    assert!(within("the end of sending", sending).await.expect("no panic").is_err());
    assert_eq!(side.peer_end().await, What::Rst);
    assert_eq!(side.peer_ends(), [What::Rst]);
    assert!(side.connection.act(Act::Fin).await.is_err() || side.connection.is_over());
}

#[rstest]
#[tokio::test]
async fn our_own_end_is_told_by_us_and_reaches_the_peer(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Data).await;
    side.write(b"upload").await;
    side.act(Act::CloseNotify).await;
    side.act(Act::Fin).await;
    assert_eq!(within("our FIN", rough.read_to_end()).await, End::Fin);
    assert_eq!(rough.plain, b"upload");
    assert!(rough.machine.peer_closed());
    let ours = side.log.look(|events| {
        let ours = events.iter().filter(|event| {
            event.by == By::Us && matches!(event.what, What::CloseNotify | What::Fin { .. } | What::Content { .. })
        });
        ours.map(|event| (event.polite, event.what.clone())).collect::<Vec<_>>()
    });
    let content = What::Content { count: 6, sha256: sha256(b"upload"), protected: true };
    assert_eq!(ours, [(false, content), (false, What::CloseNotify), (false, What::Fin { inside_record: false })]);
}
