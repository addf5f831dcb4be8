//! Records without a machine: what answers octets of ours that were put past TLS is cut and told all the same.

use ftpspec_net::{Act, Carries};
use ftpspec_tls::{Engine, Machine, Version};
use ftpspec_transcript::{By, What};
use ftpspec_wire::LooksLike;
use rstest::rstest;
use tokio::net::TcpStream;

use crate::rough::Rough;
use crate::stage::{Side, client, server, sockets, within};

#[rstest]
#[tokio::test]
async fn the_answer_to_a_raw_client_hello_is_told_without_a_machine(
    #[values(Engine::Rustls, Engine::Openssl)] engine: Engine,
    #[values(Version::Tls12, Version::Tls13)] version: Version,
    #[values(Carries::Replies, Carries::Data)] carries: Carries,
) {
    let (side, mut rough) = sent_raw(engine, version, carries).await;
    within("our ClientHello", rough.read()).await;
    side.hears(&What::ServerHello).await;
    let records = side.told(|event| event.by == By::Peer && matches!(event.what, What::Records { .. }));
    assert!(matches!(records.first(), Some(What::Records { content_type: 22, version: 0x0303, .. })), "{records:?}");
    assert!(side.told(|event| matches!(event.what, What::Plaintext { .. })).is_empty());
}

#[tokio::test]
async fn an_alert_is_told_without_a_machine_and_a_split_record_is_put_together() {
    let (side, mut rough) = sent_raw(Engine::Openssl, Version::Tls13, Carries::Data).await;
    rough.raw(&[21, 3, 3, 0]).await;
    rough.raw(&[2, 2, 40]).await;
    side.hears(&What::Alert { level: 2, description: 40 }).await;
    rough.raw(&[22, 3, 3, 0, 9, 2]).await;
    rough.fin();
    side.hears(&What::Fin { inside_record: true }).await;
}

#[tokio::test]
async fn text_that_answers_a_raw_client_hello_is_told_for_what_it_is() {
    let (side, mut rough) = sent_raw(Engine::Rustls, Version::Tls13, Carries::Replies).await;
    rough.raw(b"500 what is this?\r\n").await;
    let octets = b"500 what is this?\r\n".to_vec();
    side.hears(&What::Plaintext { octets, looks_like: LooksLike::FtpReply { code: 500 }, in_session: false }).await;
    assert!(side.told(|event| matches!(event.what, What::Reply { .. })).is_empty());
}

#[rstest]
#[case::on_a_data_connection(Carries::Data, b"")]
#[case::behind_a_command(Carries::Commands, b"AUTH TLS\r\n")]
#[tokio::test]
async fn a_client_hello_is_told_without_a_machine(#[case] carries: Carries, #[case] before: &[u8]) {
    let (ours, theirs) = sockets().await;
    let mut peer = client(Engine::Openssl, Version::Tls13);
    let hello = peer.take_outgoing();
    let mut rough = Rough::with(theirs, peer);
    rough.raw(&[before, &hello].concat()).await;
    let side = Side::new(ours, carries);
    if !before.is_empty() {
        side.next_command().await;
    }
    side.act(Act::Observe).await;
    side.sees("the ClientHello", |event| event.by == By::Peer && matches!(event.what, What::ClientHello { .. })).await;
}

/// A connection under test that has put a ClientHello past TLS, and a server that has not read it yet.
async fn sent_raw(engine: Engine, version: Version, carries: Carries) -> (Side, Rough) {
    let (ours, theirs): (TcpStream, TcpStream) = sockets().await;
    let side = Side::new(ours, carries);
    let mut hello: Box<dyn Machine> = client(engine, version);
    side.act(Act::Raw { octets: hello.take_outgoing(), observe: true }).await;
    (side, Rough::with(theirs, server(engine.other(), version)))
}
