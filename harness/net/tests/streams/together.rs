//! Acts that are done together leave together, and in their order.

use std::io::Read;

use ftpspec_net::{Act, Carries};
use ftpspec_tls::{Engine, Version};
use rstest::rstest;

use crate::stage::{Seat, Side, client, session, sockets, within};

#[tokio::test]
async fn a_command_and_a_client_hello_arrive_in_one_read() {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Replies);
    let mut theirs = theirs.into_std().expect("a socket of the system's");
    theirs.set_nonblocking(false).expect("a socket of the system's");
    // A thread that does nothing but read: two writes would be seen apart sooner or later.
    let (told, mut read) = tokio::sync::mpsc::unbounded_channel();
    let reading = std::thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(count @ 1..) = theirs.read(&mut chunk) {
            if told.send(chunk[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    for round in 0..100 {
        let octets = client(Engine::Rustls, Version::Tls13).take_outgoing();
        let due = [b"AUTH TLS\r\n".as_slice(), &octets].concat();
        let command = Act::Write { octets: b"AUTH TLS\r\n".to_vec(), verb: Some("AUTH".to_owned()) };
        let acts = vec![command, Act::Raw { octets, observe: false }];
        within("two acts", side.connection.together(acts)).await.expect("an open connection");
        assert_eq!(within("a read", read.recv()).await, Some(due), "round {round}");
    }
    side.act(Act::Fin).await;
    reading.join().expect("the reader ends with our FIN");
}

#[rstest]
#[tokio::test]
async fn what_is_sent_in_the_clear_stands_behind_the_close_notify_it_was_ordered_behind(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(true, false)] raw: bool,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Commands).await;
    let write = |text: &[u8]| Act::Write { octets: text.to_vec(), verb: None };
    let clear = if raw { Act::Raw { octets: b"clear".to_vec(), observe: false } } else { write(b"clear") };
    let acts = vec![write(b"200 inside\r\n"), Act::Clear, clear];
    within("three acts", side.connection.together(acts)).await.expect("an open connection");
    within("all of it", rough.read_until(|rough| rough.arrived == b"clear")).await;
    assert_eq!(rough.plain, b"200 inside\r\n");
    assert!(rough.machine.peer_closed());
}

#[rstest]
#[tokio::test]
async fn a_reply_a_close_notify_and_a_fin_are_three_things_at_the_peer(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Commands).await;
    let acts = vec![Act::Write { octets: b"221 bye\r\n".to_vec(), verb: None }, Act::CloseNotify, Act::Fin];
    within("three acts", side.connection.together(acts)).await.expect("an open connection");
    assert_eq!(within("our FIN", rough.read_to_end()).await, crate::rough::End::Fin);
    assert_eq!(rough.plain, b"221 bye\r\n");
    assert!(rough.machine.peer_closed());
}
