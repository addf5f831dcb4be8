//! Back to plaintext behind close_notify, as CCC has it (RFC 4217 §12.3): octets glued to it are not lost, and each
//! command and reply is told with the protection that it came in.

use ftpspec_net::{Act, Broken, Carries};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use rstest::rstest;

use crate::stage::{Seat, both, session, within};

#[rstest]
#[tokio::test]
async fn replies_glued_behind_close_notify_are_read_in_the_clear(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Replies).await;
    let texts: Vec<_> = (0..300).map(|number| format!("200 reply number {number}\r\n")).collect();
    let mut octets = rough.protect(b"200 going clear\r\n");
    octets.extend(rough.close_notify());
    octets.extend(texts.concat().into_bytes());
    rough.raw(&octets).await;
    side.sees(
        "the last reply",
        |event| matches!(&event.what, What::Reply { reply, .. } if reply.text() == "reply number 299"),
    )
    .await;
    let told = side.told(|event| event.by == By::Peer && matches!(event.what, What::Reply { .. } | What::CloseNotify));
    let words: Vec<_> = told
        .iter()
        .map(|what| match what {
            What::Reply { reply, protected, .. } => format!("{} {protected}", reply.text()),
            other => format!("{other:?}"),
        })
        .collect();
    let clear = (0..300).map(|number| format!("reply number {number} false"));
    let due: Vec<_> = ["going clear true".to_owned(), "CloseNotify".to_owned()].into_iter().chain(clear).collect();
    assert_eq!(words, due);

    side.act(Act::Clear).await;
    side.write(b"NOOP\r\n").await;
    within("our command", rough.read_until(|rough| rough.arrived == b"NOOP\r\n")).await;
    assert!(rough.machine.peer_closed());
}

#[tokio::test]
async fn the_221_is_the_reply_to_quit_whatever_was_not_answered_before_it() {
    let (side, mut rough) = session(Seat::Client, Engine::Openssl, Version::Tls13, Carries::Replies).await;
    for verb in ["STOR", "QUIT"] {
        let octets = format!("{verb} x\r\n").into_bytes();
        side.act(Act::Write { octets, verb: Some(verb.to_owned()) }).await;
    }
    let replies = rough.protect(b"220 hello\r\n150 go on\r\n221 bye\r\n");
    rough.raw(&replies).await;
    side.sees("the last reply", |event| matches!(&event.what, What::Reply { reply, .. } if reply.code == 221)).await;
    let to = |what: &What| match what {
        What::Reply { reply, to, .. } => Some(format!("{} {to}", reply.code)),
        _ => None,
    };
    let told: Vec<_> = side.told(|event| to(&event.what).is_some()).iter().filter_map(to).collect();
    assert_eq!(told, ["220 ", "150 STOR", "221 QUIT"]);
}

#[rstest]
#[tokio::test]
async fn commands_glued_behind_close_notify_are_read_in_the_clear(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Commands).await;
    side.act(Act::Clear).await;
    let texts: Vec<_> = (0..300).map(|number| format!("NOOP {number}\r\n")).collect();
    let mut octets = rough.close_notify();
    octets.extend(texts.concat().into_bytes());
    rough.raw(&octets).await;
    for number in 0..300 {
        assert_eq!(side.next_command().await, command("NOOP", &format!("NOOP {number}"), false));
    }
    side.write(b"200 done\r\n").await;
    within("our reply", rough.read_until(|rough| rough.arrived == b"200 done\r\n")).await;
    assert!(rough.machine.peer_closed());
}

#[rstest]
#[tokio::test]
async fn a_command_that_came_in_tls_is_told_so_however_late_it_is_asked_for(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Commands).await;
    let mut octets = rough.protect(b"PWD\r\nCWD half");
    octets.extend(rough.close_notify());
    octets.extend(b" way\r\nQUIT\r\n");
    rough.raw(&octets).await;
    side.hears(&What::CloseNotify).await;
    assert_eq!(side.next_command().await, command("PWD", "PWD", true));
    assert_eq!(side.next_command().await, command("CWD", "CWD half way", false));
    assert_eq!(side.next_command().await, command("QUIT", "QUIT", false));
}

#[rstest]
#[tokio::test]
async fn both_our_seats_go_clear_together_and_talk_on(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (client, server) = both(engine, version, (Carries::Replies, Carries::Commands)).await;
    // In one write, as a server that does not wait: 200, close_notify, and already a reply in the clear.
    let acts = vec![
        Act::Write { octets: b"200 clear\r\n".to_vec(), verb: None },
        Act::Clear,
        Act::Write { octets: b"211 status\r\n".to_vec(), verb: None },
    ];
    within("three acts", server.connection.together(acts)).await.expect("all are possible");
    client.hears(&What::CloseNotify).await;
    client
        .sees(
            "the clear reply",
            |event| matches!(&event.what, What::Reply { reply, protected: false, .. } if reply.code == 211),
        )
        .await;
    client.act(Act::Clear).await;
    client.write(b"NOOP\r\n").await;
    assert_eq!(server.next_command().await, command("NOOP", "NOOP", false));
    assert_eq!(server.peer_ends(), [What::CloseNotify]);
}

#[rstest]
#[tokio::test]
async fn a_close_notify_that_we_only_answered_lets_nothing_out_in_the_clear(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Replies).await;
    let octets = rough.close_notify();
    rough.raw(&octets).await;
    within("our answer", rough.read_until(|rough| rough.machine.peer_closed())).await;
    let secret = Act::Write { octets: b"PASS secret\r\n".to_vec(), verb: None };
    assert!(matches!(within("an act", side.connection.act(secret)).await, Err(Broken::Tls(_))));
    side.act(Act::Fin).await;
    within("our FIN", rough.read_to_end()).await;
    assert_eq!(rough.arrived, b"");
}

#[rstest]
#[tokio::test]
async fn octets_behind_close_notify_on_a_data_connection_are_told_and_are_no_content(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
) {
    let (side, mut rough) = session(Seat::Client, engine, version, Carries::Data).await;
    let mut octets = rough.protect(b"inside");
    octets.extend(rough.close_notify());
    octets.extend(b"behind");
    rough.raw(&octets).await;
    side.sees(
        "plaintext",
        |event| matches!(&event.what, What::Plaintext { octets, in_session: false, .. } if octets == b"behind"),
    )
    .await;
    assert_eq!(side.connection.received().kept, b"inside");
}

fn command(verb: &str, line: &str, protected: bool) -> What {
    What::Command { verb: verb.to_owned(), line: line.to_owned(), protected }
}
