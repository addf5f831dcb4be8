//! Ends that we make rudely, and acts on a connection that has ended: each comes back, none hangs, and none claims to
//! have sent what never left.

use ftpspec_net::{Act, Broken, Carries};
use ftpspec_tls::{Engine, Version};
use ftpspec_transcript::{By, What};
use rstest::rstest;

use crate::rough::End;
use crate::stage::{Seat, session, within};

#[rstest]
#[tokio::test]
async fn a_rst_of_ours_is_a_rst_at_the_peer_and_the_connection_is_over(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(true, false)] behind_a_write: bool,
) {
    let (side, mut rough) = session(Seat::Server, engine, version, Carries::Data).await;
    let mut acts = vec![Act::Rst];
    if behind_a_write {
        acts.insert(0, Act::Write { octets: b"never sent".to_vec(), verb: None });
    }
    assert_eq!(within("the RST", side.connection.together(acts)).await, Ok(()));
    assert!(side.connection.is_over());
    assert_eq!(within("the RST", rough.read_to_end()).await, End::Rst);
    assert_eq!(rough.plain, b"");
    assert_eq!(side.told(|event| event.by == By::Us && event.what == What::Rst).len(), 1);
    assert_eq!(side.connection.act(Act::Read).await, Err(Broken::Closed));
}

#[rstest]
#[tokio::test]
async fn nothing_is_sent_or_told_behind_our_fin_and_no_act_hangs(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = session(Seat::Server, engine, Version::Tls13, Carries::Data).await;
    side.act(Act::Fin).await;
    // An answer is due to this, and cannot be sent any more.
    rough.machine.key_update(true).expect("TLS 1.3 has it");
    rough.flush().await;
    rough.write(b"more").await;
    side.sees("the data", |event| matches!(event.what, What::Octets { .. })).await;
    side.act(Act::Hold).await;
    side.act(Act::Release).await;
    let record = Act::Record { content_type: 23, octets: b"late".to_vec() };
    assert_eq!(within("a late record", side.connection.act(record)).await, Err(Broken::Closed));
    let update = Act::KeyUpdate { request: false };
    assert_eq!(within("a late KeyUpdate", side.connection.act(update)).await, Err(Broken::Closed));
    let late = Act::Write { octets: b"late".to_vec(), verb: None };
    assert_eq!(within("a late write", side.connection.act(late)).await, Err(Broken::Closed));
    assert_eq!(side.told(|event| event.by == By::Us && event.what == What::KeyUpdate), []);
    assert_eq!(within("our end", rough.read_to_end()).await, End::Fin);
    assert_eq!(rough.plain, b"");
}

#[rstest]
#[tokio::test]
async fn a_second_file_beside_the_first_is_refused_and_the_first_is_whole(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
) {
    let (side, mut rough) = session(Seat::Server, engine, Version::Tls13, Carries::Data).await;
    let payload = crate::stage::large_payload();
    let sending = tokio::spawn({
        let (connection, payload) = (side.connection.clone(), payload.clone());
        async move { connection.act(Act::Payload(payload)).await }
    });
    side.sees("the first octets", |event| matches!(event.what, What::Octets { .. })).await;
    let second = Act::Payload(b"second"[..].into());
    assert!(matches!(within("the second", side.connection.act(second)).await, Err(Broken::Busy)));
    within("the first", rough.read_until(|rough| rough.plain.len() == payload.len())).await;
    assert_eq!(within("the first", sending).await.expect("no panic"), Ok(()));
    assert_eq!(rough.plain, *payload);
}
