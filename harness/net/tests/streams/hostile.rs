//! Endless lines, replies, plaintext and commands: each is told, none fills our memory or the log, and what follows is
//! understood again where that is possible.

use std::time::Duration;

use ftpspec_net::limits::{MALFORMED_TOLD, PLAINTEXT_KEPT, PLAINTEXTS_TOLD};
use ftpspec_net::{Act, Carries};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use rstest::rstest;
use tokio::io::AsyncWriteExt;

use crate::stage::{Seat, Side, machines, session, sockets, within};

#[tokio::test]
async fn an_endless_command_line_is_told_once_and_the_next_command_is_read() {
    let (ours, mut theirs) = sockets().await;
    let side = Side::new(ours, Carries::Commands);
    let writing = tokio::spawn(async move {
        let line = vec![b'A'; 1 << 20];
        for _ in 0..ENDLESS_MEBIBYTES {
            theirs.write_all(&line).await.expect("it is read");
        }
        theirs.write_all(b"\r\nNOOP\r\n").await.expect("it is read");
        theirs
    });
    let What::Malformed { octets, .. } = side.next_command().await else { panic!("{:?}", side.log.events()) };
    assert_eq!(octets, vec![b'A'; PLAINTEXT_KEPT]);
    let due = What::Command { verb: "NOOP".to_owned(), line: "NOOP".to_owned(), protected: false };
    assert_eq!(side.next_command().await, due);
    within("the writer", writing).await.expect("no panic");
    assert_eq!(malformed(&side), 1);
}

#[tokio::test]
async fn commands_that_nobody_asks_for_wait_at_the_peer_and_are_all_read_when_asked() {
    let (ours, mut theirs) = sockets().await;
    let side = Side::new(ours, Carries::Commands);
    let mut writing = tokio::spawn(async move {
        let commands = b"NOOP\r\n".repeat(1 << 18);
        for _ in 0..ENDLESS_MEBIBYTES {
            theirs.write_all(&commands).await.expect("it is read");
        }
    });
    // A stimulus: 48 MiB that were taken into memory would be there by then.
    let waited = tokio::time::timeout(Duration::from_secs(1), &mut writing).await;
    assert!(waited.is_err(), "all were taken");
    for _ in 0..1000 {
        assert!(matches!(side.next_command().await, What::Command { verb, .. } if verb == "NOOP"));
    }
    // Nobody will ask for the others: they are read and forgotten, so that no RST is of our making.
    drop(side);
    within("the writer", writing).await.expect("no panic");
}

#[rstest]
#[case::one_line_without_end(b"226-AAAAAAAAAAAAAAAAAAAAAAAAAA")]
#[case::lines_without_end(b"226-one more line\r\n")]
#[case::lines_that_are_no_replies(b"what?\r\n")]
#[tokio::test]
async fn endless_replies_are_told_and_bounded(#[case] piece: &[u8], #[values(false, true)] protected: bool) {
    let (side, mut rough) = session(Seat::Client, Engine::Rustls, Version::Tls13, Carries::Replies).await;
    let pieces = piece.repeat((1 << 20) / piece.len());
    let clear = !protected;
    if clear {
        let octets = rough.close_notify();
        rough.raw(&octets).await;
    }
    for _ in 0..ENDLESS_MEBIBYTES {
        let octets = if clear { pieces.clone() } else { rough.protect(&pieces) };
        within("reading", rough.raw(&octets)).await;
    }
    rough.fin();
    side.hears(&What::Fin { inside_record: false }).await;
    assert!((1..=MALFORMED_TOLD + 1).contains(&malformed(&side)), "{}", malformed(&side));
    assert!(side.log.len() < 200, "{} events", side.log.len());
    assert!(
        side.told(|event| matches!(&event.what, What::Malformed { octets, .. } if octets.len() > PLAINTEXT_KEPT))
            .is_empty()
    );
}

#[tokio::test]
async fn a_line_that_is_no_reply_is_told_whole_and_the_replies_around_it_are_read() {
    let (ours, theirs) = sockets().await;
    let side = Side::new(ours, Carries::Replies);
    let mut theirs = theirs;
    theirs.write_all(b"220 one\r\nwhat?\r\n200 two\r\n").await.expect("it is read");
    side.sees("the second reply", |event| matches!(&event.what, What::Reply { reply, .. } if reply.code == 200)).await;
    let told = side.told(|event| matches!(event.what, What::Reply { .. } | What::Malformed { .. }));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(matches!(&told[1], What::Malformed { octets, .. } if octets == b"what?"), "{told:?}");
}

#[rstest]
#[case::without_line_ends(b"x")]
#[case::with_line_ends(b"550 no\r\n")]
#[case::not_even_text(b"\x00\xff")]
#[tokio::test]
async fn endless_plaintext_in_mid_handshake_is_told_and_bounded(
    #[case] piece: &[u8],
    #[values(Carries::Replies, Carries::Data)] carries: Carries,
) {
    let (ours, mut theirs) = sockets().await;
    let side = Side::new(ours, carries);
    let (machine, _) = machines(Seat::Client, Engine::Openssl, Version::Tls13);
    side.start_tls(machine).await;
    let pieces = piece.repeat((1 << 20) / piece.len());
    for _ in 0..ENDLESS_MEBIBYTES {
        within("reading", theirs.write_all(&pieces)).await.expect("it is read");
    }
    theirs.shutdown().await.expect("an open socket");
    side.hears(&What::Fin { inside_record: false }).await;
    bounded_plaintext(&side);
}

#[rstest]
#[tokio::test]
async fn endless_plaintext_behind_close_notify_of_a_data_connection_is_told_and_bounded(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = session(Seat::Client, engine, Version::Tls13, Carries::Data).await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    let pieces = vec![b'x'; 1 << 20];
    for _ in 0..ENDLESS_MEBIBYTES {
        within("reading", rough.raw(&pieces)).await;
    }
    rough.fin();
    side.hears(&What::Fin { inside_record: false }).await;
    bounded_plaintext(&side);
}

#[tokio::test]
async fn endless_octets_in_place_of_a_record_are_not_kept() {
    let (ours, mut theirs) = sockets().await;
    let side = Side::new(ours, Carries::Data);
    side.act(Act::Raw { octets: b"\x16\x03\x01\x00\x01\x01".to_vec(), observe: true }).await;
    // Records that never end are not records; those that do are folded.
    let records = b"\x17\x03\x03\x00\x10sixteen octets..".repeat(1 << 15);
    for _ in 0..ENDLESS_MEBIBYTES {
        within("reading", theirs.write_all(&records)).await.expect("it is read");
    }
    theirs.shutdown().await.expect("an open socket");
    side.hears(&What::Fin { inside_record: false }).await;
    assert!(side.log.len() < 10, "{} events", side.log.len());
}

fn bounded_plaintext(side: &Side) {
    let told = side.told(|event| event.by == By::Peer && matches!(event.what, What::Plaintext { .. }));
    assert!((1..=PLAINTEXTS_TOLD).contains(&told.len()), "{} times", told.len());
    for what in told {
        assert!(matches!(what, What::Plaintext { octets, .. } if octets.len() <= PLAINTEXT_KEPT));
    }
}

fn malformed(side: &Side) -> usize {
    side.told(|event| matches!(event.what, What::Malformed { .. })).len()
}

/// More than all the buffers on the way hold together.
const ENDLESS_MEBIBYTES: usize = 32;
