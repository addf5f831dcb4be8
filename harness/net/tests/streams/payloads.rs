//! Files: whole, both ways, over IPv4 and IPv6, held up and let go again, and cut short only where that is told.

use std::net::Ipv6Addr;
use std::time::Duration;

use ftpspec_net::{Act, Broken, Carries, Early, Listener};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use rstest::rstest;

use crate::rough::{End, Rough};
use crate::stage::{Seat, Side, both, large_payload, machines, session, sha256, sockets, sockets_at, within};

#[rstest]
#[tokio::test]
async fn twelve_mebibytes_arrive_whole_both_ways_at_once(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (client, server) = both(engine, version, (Carries::Data, Carries::Data)).await;
    let payload = large_payload();
    let (sent, also) = within("both files", async {
        tokio::join!(
            client.connection.act(Act::Payload(payload.clone())),
            server.connection.act(Act::Payload(payload.clone())),
        )
    })
    .await;
    assert_eq!((sent, also), (Ok(()), Ok(())));
    client.end().await;
    server.end().await;
    let due = What::Content { count: payload.len() as u64, sha256: sha256(&payload), protected: true };
    for side in [&client, &server] {
        side.hears(&What::Fin { inside_record: false }).await;
        assert_eq!(side.peer_ends(), [What::CloseNotify, What::Fin { inside_record: false }]);
        for by in [By::Peer, By::Us] {
            assert_eq!(contents(side, by), std::slice::from_ref(&due));
        }
        assert_eq!(side.connection.received().kept, payload[..1 << 16]);
        assert!(side.log.len() < 100, "runs of records are folded: {}", side.log.len());
    }
}

#[rstest]
#[tokio::test]
async fn octets_in_a_record_of_their_own_count_as_what_was_sent(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (receiver, sender) = both(engine, version, (Carries::Data, Carries::Data)).await;
    receiver.act(Act::Read).await;
    sender.act(Act::Record { content_type: 23, octets: b"total 0\r\n".to_vec() }).await;
    sender.act(Act::CloseNotify).await;
    sender.act(Act::Fin).await;
    receiver.hears(&What::Fin { inside_record: false }).await;
    let due = What::Content { count: 9, sha256: sha256(b"total 0\r\n"), protected: true };
    assert_eq!((contents(&receiver, By::Peer), contents(&sender, By::Us)), (vec![due.clone()], vec![due]));
}

#[rstest]
#[tokio::test]
async fn a_file_in_the_clear_arrives_whole(#[values(0, 1, 16_385, 12 << 20)] length: usize) {
    let (ours, theirs) = sockets().await;
    let (sender, receiver) = (Side::new(ours, Carries::Data), Side::new(theirs, Carries::Data));
    let payload = &large_payload()[..length];
    receiver.act(Act::Read).await;
    sender.act(Act::Payload(payload.into())).await;
    sender.act(Act::Fin).await;
    receiver.hears(&What::Fin { inside_record: false }).await;
    let due = What::Content { count: length as u64, sha256: sha256(payload), protected: false };
    assert_eq!(contents(&receiver, By::Peer), [due]);
}

#[rstest]
#[tokio::test]
async fn a_sender_cannot_finish_while_we_hold_and_loses_nothing_when_we_release(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (receiver, sender) = both(engine, version, (Carries::Data, Carries::Data)).await;
    receiver.act(Act::Hold).await;
    let payload = large_payload();
    let mut sending = tokio::spawn({
        let (connection, payload) = (sender.connection.clone(), payload.clone());
        async move { connection.act(Act::Payload(payload)).await }
    });
    // A stimulus: without the hold all would be over by then.
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut sending).await.is_err(), "it was not held up");
    assert_eq!(receiver.connection.received().octets, 0);
    receiver.act(Act::Release).await;
    assert_eq!(within("the file", sending).await.expect("no panic"), Ok(()));
    sender.act(Act::CloseNotify).await;
    sender.act(Act::Fin).await;
    receiver.hears(&What::CloseNotify).await;
    let due = What::Content { count: payload.len() as u64, sha256: sha256(&payload), protected: true };
    assert_eq!(contents(&receiver, By::Peer), [due]);
}

/// In TLS 1.2 the server may end the handshake, and begin with the file in the same segment.
#[rstest]
#[tokio::test]
async fn what_comes_in_one_read_with_the_end_of_a_handshake_that_holds_waits_too(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (ours, theirs) = sockets().await;
    let receiver = Side::new(ours, Carries::Data);
    let (machine, peer) = machines(Seat::Client, engine, Version::Tls12);
    let start = Act::StartTls { machine, identity: None, shows: None, early: Early::GivenToTls };
    within("an order", receiver.connection.together(vec![Act::HoldBehindHandshake, start]))
        .await
        .expect("a fresh connection");
    let mut rough = Rough::with(theirs, peer);
    within("the handshake", rough.handshake_and_write(b"behind it")).await;
    receiver.handshake().await;
    receiver.hears(&What::Waiting).await;
    assert_eq!(receiver.connection.received().octets, 0);
    receiver.act(Act::Release).await;
    receiver.hears(&What::Octets { count: 9, protected: true }).await;
}

#[rstest]
#[tokio::test]
async fn nothing_behind_a_handshake_that_holds_is_looked_at_before_the_release(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(0, 1, 12 << 20)] length: usize,
) {
    let (ours, theirs) = sockets().await;
    let (receiver, sender) = (Side::new(ours, Carries::Data), Side::new(theirs, Carries::Data));
    let (machine, peer) = machines(Seat::Client, engine, version);
    sender.start_tls(peer).await;
    let start = Act::StartTls { machine, identity: None, shows: None, early: Early::GivenToTls };
    within("an order", receiver.connection.together(vec![Act::HoldBehindHandshake, start]))
        .await
        .expect("a fresh connection");
    receiver.handshake().await;
    sender.handshake().await;
    let payload = &large_payload()[..length];
    let mut sending = tokio::spawn({
        let (connection, payload) = (sender.connection.clone(), payload.into());
        async move { connection.act(Act::Payload(payload)).await }
    });
    if length > 0 {
        receiver.hears(&What::Waiting).await;
    }
    // A stimulus: without the hold the octets would be told by then, and a small file would be over.
    _ = tokio::time::timeout(Duration::from_millis(200), &mut sending).await;
    let told = receiver.told(|event| event.by == By::Peer && is_behind_the_handshake(&event.what));
    assert_eq!((told, receiver.connection.received().octets), (Vec::new(), 0));
    assert!(receiver.told(|event| event.what == What::Waiting).len() <= 1, "it is told once");
    receiver.act(Act::Release).await;
    if !sending.is_finished() {
        assert_eq!(within("the file", sending).await.expect("no panic"), Ok(()));
    }
    sender.act(Act::CloseNotify).await;
    sender.act(Act::Fin).await;
    receiver.hears(&What::CloseNotify).await;
    let due = What::Content { count: length as u64, sha256: sha256(payload), protected: true };
    assert_eq!(contents(&receiver, By::Peer), [due]);
}

fn is_behind_the_handshake(what: &What) -> bool {
    matches!(what, What::Octets { .. } | What::Ticket | What::CloseNotify | What::Fin { .. })
}

/// What fails behind an empty file must not be told as if octets had been sent.
#[tokio::test]
async fn an_empty_file_is_no_octets() {
    let (client, server) = both(Engine::Rustls, Version::Tls13, (Carries::Data, Carries::Data)).await;
    client.act(Act::Payload([].into())).await;
    client.end().await;
    server.hears(&What::Fin { inside_record: false }).await;
    for side in [&client, &server] {
        assert_eq!(side.told(|event| matches!(event.what, What::Octets { .. })), []);
    }
    assert_eq!(contents(&client, By::Us), []);
}

#[tokio::test]
async fn a_peer_that_closes_its_direction_still_gets_the_whole_file() {
    let (ours, theirs) = sockets().await;
    let sender = Side::new(ours, Carries::Data);
    let receiver = Side::new(theirs, Carries::Data);
    sender.act(Act::Read).await;
    let payload = large_payload();
    let sending = tokio::spawn({
        let (connection, payload) = (sender.connection.clone(), payload.clone());
        async move { connection.act(Act::Payload(payload)).await }
    });
    sender.sees("the first octets", |event| matches!(event.what, What::Octets { .. })).await;
    receiver.act(Act::Mute).await;
    receiver.act(Act::Hold).await;
    receiver.act(Act::Fin).await;
    sender.hears(&What::Fin { inside_record: false }).await;
    receiver.act(Act::Release).await;
    assert_eq!(within("the file", sending).await.expect("no panic"), Ok(()));
    receiver.hears(&What::Fin { inside_record: false }).await;
    assert_eq!(
        contents(&receiver, By::Peer),
        [What::Content { count: payload.len() as u64, sha256: sha256(&payload), protected: false }]
    );
}

/// RFC 8446 §6.1: close_notify closes one direction; RFC 5246 §7.2.1: its receiver drops what it still had to send.
#[rstest]
#[case::finished_in_tls_1_3(Version::Tls13, Ok(()))]
#[case::dropped_in_tls_1_2(Version::Tls12, Err(Broken::Closed))]
#[tokio::test]
async fn a_close_notify_in_the_midst_of_our_file_means_what_its_version_says(
    #[case] version: Version,
    #[case] due: Result<(), Broken>,
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Data).await;
    let payload = large_payload();
    let sending = tokio::spawn({
        let (connection, payload) = (side.connection.clone(), payload.clone());
        async move { connection.act(Act::Payload(payload)).await }
    });
    side.sees("the first octets", |event| matches!(event.what, What::Octets { .. })).await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    side.hears(&What::CloseNotify).await;
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    assert_eq!(within("the file", sending).await.expect("no panic"), due);
    assert!(rough.machine.peer_closed(), "their close_notify is answered in the end");
    assert_eq!(rough.plain.len() == payload.len(), due.is_ok());
    assert!(payload.starts_with(&rough.plain));
}

#[rstest]
#[tokio::test]
async fn a_close_notify_of_ours_ends_our_file_and_nothing_of_it_follows_in_the_clear(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = session(Seat::Server, engine, Version::Tls13, Carries::Data).await;
    let payload = large_payload();
    let sending = tokio::spawn({
        let (connection, payload) = (side.connection.clone(), payload.clone());
        async move { connection.act(Act::Payload(payload)).await }
    });
    side.sees("the first octets", |event| matches!(event.what, What::Octets { .. })).await;
    let closing = tokio::spawn({
        let connection = side.connection.clone();
        async move { connection.together(vec![Act::CloseNotify, Act::Fin]).await }
    });
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    assert_eq!(within("the file", sending).await.expect("no panic"), Err(Broken::Closed));
    assert_eq!(within("the end", closing).await.expect("no panic"), Ok(()));
    assert!(rough.machine.peer_closed());
    assert_eq!(rough.arrived, b"");
    assert!(payload.starts_with(&rough.plain));
}

#[rstest]
#[tokio::test]
async fn a_file_goes_over_ipv6_as_over_ipv4(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let address = (Ipv6Addr::LOCALHOST, 0).into();
    if Listener::bind(address).is_err() {
        eprintln!("::1 cannot be bound here: nothing is tested");
        return;
    }
    let (ours, theirs) = sockets_at(address).await;
    let (client, server) = (Side::new(ours, Carries::Data), Side::new(theirs, Carries::Data));
    assert_eq!(client.connection.peer(), server.connection.local());
    let (machine, peer) = machines(Seat::Client, engine, version);
    server.start_tls(peer).await;
    client.start_tls(machine).await;
    server.handshake().await;
    server.act(Act::Payload(b"over IPv6"[..].into())).await;
    server.act(Act::CloseNotify).await;
    client.hears(&What::CloseNotify).await;
    assert_eq!(client.connection.received().kept, b"over IPv6");
}

#[rstest]
#[tokio::test]
async fn keys_change_in_the_midst_of_a_file_and_nothing_of_it_is_lost(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (client, server) = both(engine, Version::Tls13, (Carries::Data, Carries::Data)).await;
    for part in [&b"before"[..], b" and behind"] {
        client.write(part).await;
        client.act(Act::KeyUpdate { request: true }).await;
    }
    client.end().await;
    server.hears(&What::CloseNotify).await;
    assert_eq!(server.connection.received().kept, b"before and behind");
    assert_eq!(server.told(|event| event.by == By::Peer && event.what == What::KeyUpdate).len(), 2);
}

fn contents(side: &Side, by: By) -> Vec<What> {
    side.told(|event| event.by == by && matches!(event.what, What::Content { .. }))
}
