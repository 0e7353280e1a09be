//! The contract of every store, against a real redis-server under the minimal ACL, whose time is the test's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;

use temp_messenger_core::store::{
    Access, Password,
    contract::{Subject, Unswept},
    redis::RedisStore,
};
use temp_messenger_tests::redis::Server;

async fn open() -> Subject {
    let (server, clock) = Server::on_test_clock(&[]);
    server.restrict();
    let address = format!("redis://tempmsg@127.0.0.1:{}", server.port).parse().unwrap();
    let access = Access { password: Password::new("swordfish"), ..Access::default() };
    let store = RedisStore::start(address, access, clock.clone()).unwrap();
    store.connected().await.unwrap();
    let server = Arc::new(server);
    let counted = server.clone();
    // Deadlines are kept until their messages have been unlinked.
    let unswept = Unswept(Box::new(move || counted.number(&["ZCARD", "{tm}:xp"])));
    Subject { store: Arc::new(store), clock, unswept, keep: Box::new(server) }
}

temp_messenger_core::store_contract!(open());
