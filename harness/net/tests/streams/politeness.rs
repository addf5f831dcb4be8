//! Manners: close_notify and FIN are answered, at once and each where it is due; a mute connection answers neither; a
//! connection that nobody holds any more is read to its end.

use ftpspec_net::{Act, Carries};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use rstest::rstest;

use crate::rough::End;
use crate::stage::{Seat, Side, session, sockets, within};

#[rstest]
#[tokio::test]
async fn close_notify_on_a_data_connection_is_answered_at_once_and_with_fin(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(Seat::Client, Seat::Server)] seat: Seat,
) {
    let (side, mut rough) = session(seat, engine, version, Carries::Data).await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    assert!(rough.machine.peer_closed());
    assert_eq!(side.peer_ends(), [What::CloseNotify], "nothing of theirs but close_notify has come");
    assert_eq!(our_ends(&side), [(true, What::CloseNotify), (true, What::Fin { inside_record: false })]);
}

#[rstest]
#[tokio::test]
async fn close_notify_on_a_control_connection_is_answered_and_the_connection_stays_open(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Commands).await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    within("our answer", rough.read_until(|rough| rough.machine.peer_closed())).await;
    assert_eq!(our_ends(&side), [(true, What::CloseNotify)]);
    rough.raw(b"NOOP\r\n").await;
    side.next_command().await;
    side.act(Act::Clear).await;
    side.write(b"200 still here\r\n").await;
    within("our reply", rough.read_until(|rough| rough.arrived == b"200 still here\r\n")).await;
    assert_eq!(our_ends(&side), [(true, What::CloseNotify)]);
}

#[rstest]
#[case::on_a_control_connection(Carries::Replies)]
#[case::on_a_data_connection(Carries::Data)]
#[tokio::test]
async fn a_bare_fin_is_answered_with_close_notify_and_fin(
    #[case] carries: Carries,
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, carries).await;
    rough.fin();
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    assert!(rough.machine.peer_closed());
    assert_eq!(our_ends(&side), [(true, What::CloseNotify), (true, What::Fin { inside_record: false })]);
}

#[rstest]
#[case::on_a_control_connection(Carries::Replies)]
#[case::on_a_data_connection(Carries::Data)]
#[tokio::test]
async fn a_mute_connection_answers_neither_close_notify_nor_fin(
    #[case] carries: Carries,
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, carries).await;
    side.act(Act::Mute).await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    rough.fin();
    side.hears(&What::Fin { inside_record: false }).await;
    // The fence: had anything been said before it, it would come first.
    side.act(Act::Raw { octets: b"fence".to_vec(), observe: false }).await;
    within("the fence", rough.read_until(|rough| !rough.arrived.is_empty())).await;
    assert_eq!(rough.arrived, b"fence");
    assert_eq!(our_ends(&side), []);
}

#[rstest]
#[tokio::test]
async fn a_client_with_unread_tickets_that_is_dropped_ends_with_fin_and_not_with_rst(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Data);
    let (machine, peer) = crate::stage::machines(Seat::Client, engine, Version::Tls13);
    let mut rough = crate::rough::Rough::with(theirs, peer);
    side.start_tls(machine).await;
    within("our ClientHello", rough.read()).await;
    side.handshake().await;
    // The tickets come when nobody reads any more.
    side.act(Act::Hold).await;
    within("the handshake", rough.handshake()).await;
    assert!(side.told(|event| event.what == What::Ticket).is_empty());
    let Side { connection, log } = side;
    drop(connection);
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    // What arrives behind our FIN is read as well: a socket closed over it would answer with RST.
    rough.write(&vec![b'x'; 100_000]).await;
    rough.fin();
    within(
        "their end",
        log.wait(|events| {
            events.iter().any(|event| event.by == By::Peer && matches!(event.what, What::Fin { .. })).then_some(())
        }),
    )
    .await;
    assert!(log.look(|events| events.iter().any(|event| event.what == What::Ticket)), "the tickets were read");
    assert_eq!(rough.socket.take_error().expect("an open socket").map(|error| error.kind()), None);
}

#[rstest]
#[tokio::test]
async fn our_fin_with_unread_tickets_is_no_rst(#[values(Engine::Rustls, Engine::Openssl)] engine: Engine) {
    let (side, mut rough) = session(Seat::Client, engine, Version::Tls13, Carries::Data).await;
    side.act(Act::CloseNotify).await;
    side.act(Act::Fin).await;
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    rough.write(b"more than was asked for").await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    rough.fin();
    assert_eq!(side.peer_end().await, What::Fin { inside_record: false });
    assert_eq!(side.connection.received().kept, b"more than was asked for");
    assert_eq!(rough.socket.take_error().expect("an open socket").map(|error| error.kind()), None);
}

#[tokio::test]
async fn a_held_connection_that_is_dropped_is_read_to_its_end() {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Data);
    let peer = Side::new(theirs, Carries::Data);
    side.act(Act::Read).await;
    side.act(Act::Hold).await;
    let sending = tokio::spawn({
        let connection = peer.connection.clone();
        async move { connection.act(Act::Payload(crate::stage::large_payload())).await }
    });
    let Side { connection, log } = side;
    drop(connection);
    assert_eq!(within("all of it", sending).await.expect("no panic"), Ok(()));
    peer.end().await;
    let ended = log.wait(|events| {
        let ends = |what: &What| matches!(what, What::Fin { .. } | What::Rst);
        events.iter().find(|event| event.by == By::Peer && ends(&event.what)).map(|event| event.what.clone())
    });
    assert_eq!(within("their end", ended).await, What::Fin { inside_record: false });
    assert_eq!(peer.peer_end().await, What::Fin { inside_record: false });
}

/// The ends that we made, and whether politeness did.
fn our_ends(side: &Side) -> Vec<(bool, What)> {
    side.log.look(|events| {
        let ends = |what: &What| matches!(what, What::CloseNotify | What::Fin { .. } | What::Rst);
        let ours = events.iter().filter(|event| event.by == By::Us && ends(&event.what));
        ours.map(|event| (event.polite, event.what.clone())).collect()
    })
}
