//! A team's server over TLS: trusted by an authority of one's own, refused with words of its own otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;

use temp_messenger_core::{
    api::Api,
    clock::SystemClock,
    error::{Code, Error},
    store::{Access, redis::RedisStore},
};
use temp_messenger_tests::{
    redis::{Server, free_port},
    team::{Client, store, text},
    tls::Files,
};

async fn refusal(url: &str, access: Access) -> Error {
    let store = RedisStore::start(url.parse().unwrap(), access, Arc::new(SystemClock)).unwrap();
    let error = store.connected().await.unwrap_err();
    assert_eq!(error.code, Code::Refused, "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_is_trusted_and_nobody_else() {
    let files = Files::new();
    let server = files.serve(&files.issue("server", "localhost", false), "no");
    let url = format!("rediss://localhost:{}", server.port);
    let ana = Client::join(store(&url, files.access()).await, "Ana").await;
    ana.messenger.save_message(text("over TLS", "1h")).await.unwrap();
    ana.until("it is there", |shown| shown.messages.len() == 1).await;

    let stranger = refusal(&url, Files::new().access()).await;
    assert!(stranger.message.contains("nobody that is trusted here issued"), "{stranger}");
    let system = refusal(&url, Access::default()).await;
    assert!(system.message.contains("nobody that is trusted here issued"), "{system}");
    let other = refusal(&format!("rediss://127.0.0.1:{}", server.port), files.access()).await;
    assert!(other.message.contains("for another name"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let files = Files::new();
    let server = files.serve(&files.issue("server", "localhost", true), "no");
    let error = refusal(&format!("rediss://localhost:{}", server.port), files.access()).await;
    assert!(error.message.contains("has expired"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_lets_in() {
    let files = Files::new();
    let server = files.serve(&files.issue("server", "localhost", false), "yes");
    let url = format!("rediss://localhost:{}", server.port);
    let error = refusal(&url, files.access()).await;
    assert!(error.message.contains("certificate"), "{error}");
    let access = Access { certificate: Some(files.issue("ana", "ana", false)), ..files.access() };
    Client::join(store(&url, access).await, "Ana").await.messenger.save_message(text("known", "1h")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_scheme_is_told() {
    let files = Files::new();
    let plain = Server::start(&[]);
    let server = files.serve(&files.issue("server", "localhost", false), "no");
    for (url, words) in [
        (format!("rediss://localhost:{}", plain.port), "perhaps it wants redis://"),
        (format!("redis://localhost:{}", server.port), "perhaps it wants rediss://"),
        (format!("redis://localhost:{}", free_port()), "nothing listens"),
    ] {
        let store = RedisStore::start(url.parse().unwrap(), Access::default(), Arc::new(SystemClock)).unwrap();
        let error = store.connected().await.unwrap_err();
        assert!(error.code == Code::Unreachable && error.message.contains(words), "{error}");
    }
}
