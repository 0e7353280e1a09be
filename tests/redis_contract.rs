//! The contract of every store, against a real redis-server whose time is the test's: found directly, over TLS and in a
//! Cluster under the minimal ACL, and by a Sentinel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{any::Any, sync::Arc};

use temp_messenger_core::{
    clock::TestClock,
    store::{
        Access,
        contract::{Subject, Unswept},
    },
};
use temp_messenger_tests::{
    redis::{Sentinel, Server, free_port},
    team::{access, eventually, store_on},
    tls::Files,
};

async fn subject(
    server: Server,
    clock: Arc<TestClock>,
    url: &str,
    access: Access,
    more: impl Any + Send + Sync,
) -> Subject {
    let store = store_on(url, access, clock.clone()).await;
    let server = Arc::new(server);
    let counted = server.clone();
    // Deadlines are kept until their messages have been unlinked.
    let unswept = Unswept(Box::new(move || counted.number(&["ZCARD", "{tm}:xp"])));
    Subject { store, clock, unswept, keep: Box::new((server, more)) }
}

mod directly {
    use super::*;

    async fn open() -> Subject {
        let (server, clock) = Server::on_test_clock(&[]);
        server.restrict();
        let url = format!("redis://tempmsg@127.0.0.1:{}", server.port);
        subject(server, clock, &url, access(), ()).await
    }

    temp_messenger_core::store_contract!(open());
}

mod over_tls {
    use super::*;

    async fn open() -> Subject {
        let (files, port) = (Files::new(), free_port());
        let options = files.options(&files.issue("server", "localhost", false), &port.to_string(), "no");
        let (server, clock) = Server::on_test_clock(&options.iter().map(String::as_str).collect::<Vec<_>>());
        server.restrict();
        let access = Access { password: access().password, ..files.access() };
        subject(server, clock, &format!("rediss://tempmsg@localhost:{port}"), access, files).await
    }

    temp_messenger_core::store_contract!(open());
}

mod by_a_sentinel {
    use super::*;

    async fn open() -> Subject {
        let (server, clock) = Server::on_test_clock(&[]);
        let sentinel = Sentinel::start(&server).await;
        let url = format!("redis+sentinel://127.0.0.1:{}/team", sentinel.port);
        subject(server, clock, &url, Access::default(), sentinel).await
    }

    temp_messenger_core::store_contract!(open());
}

mod in_a_cluster {
    use super::*;

    async fn open() -> Subject {
        let (server, clock) =
            Server::on_test_clock(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()]);
        server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        eventually("the Cluster is whole", || {
            clock.advance(100);
            server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
        })
        .await;
        server.restrict();
        let url = format!("redis+cluster://tempmsg@127.0.0.1:{}", server.port);
        subject(server, clock, &url, access(), ()).await
    }

    temp_messenger_core::store_contract!(open());
}
