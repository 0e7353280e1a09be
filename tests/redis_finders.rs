//! Sentinel and Cluster: ways to find the one server of a space, also when that becomes another one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use temp_messenger_core::{api::Api, error::Code, message::Stamp, store::Access};
use temp_messenger_tests::{
    redis::{Sentinel, Server, free_port},
    team::{Client, eventually, store, text},
};

/// Saves until it is taken, as the outbox does.
async fn insist(client: &Client, words: &str) -> Stamp {
    let request = text(words, "1h");
    for _ in 0..300 {
        match client.messenger.save_message(request.clone()).await {
            Err(error) if error.code == Code::Unreachable => tokio::time::sleep(Duration::from_millis(100)).await,
            answer => return answer.unwrap(),
        }
    }
    panic!("nobody takes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_is_found_by_the_sentinels() {
    let mut master = Server::start(&[]);
    let replica = Server::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    let sentinel = Sentinel::start(&master).await;
    eventually("the replica is known", || {
        replica.ask(&["INFO", "replication"]).contains("master_link_status:up") && sentinel.knows_a_replica()
    })
    .await;
    // The first cannot be reached: the next is asked.
    let url = format!("redis+sentinel://127.0.0.1:{},127.0.0.1:{}/team", free_port(), sentinel.port);
    let ana = Client::join(store(&url, Access::default()).await, "Ana").await;
    let before = insist(&ana, "before").await;
    eventually("it is replicated", || replica.number(&["ZCARD", "{tm}:xp"]) == 1).await;
    master.kill();
    let after = insist(&ana, "after").await;
    ana.until("both are there", |shown| shown.messages.keys().eq([&before.seq, &after.seq])).await;
    assert!(replica.ask(&["ROLE"]).contains("master"));
    assert_eq!(replica.number(&["ZCARD", "{tm}:xp"]), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_master_is_refused() {
    let master = Server::start(&[]);
    let sentinel = Sentinel::start(&master).await;
    let address = format!("redis+sentinel://127.0.0.1:{}/other", sentinel.port).parse().unwrap();
    let clock = std::sync::Arc::new(temp_messenger_core::clock::SystemClock);
    let store = temp_messenger_core::store::redis::RedisStore::start(address, Access::default(), clock).unwrap();
    assert_eq!(store.connected().await.unwrap_err().code, Code::Refused);
}

fn cluster(nodes: &[Server]) {
    let (port, bus) = (nodes[0].port.to_string(), nodes[0].ask(&["CONFIG", "GET", "cluster-port"]));
    let bus = bus.lines().last().unwrap();
    for node in &nodes[1..] {
        node.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
    }
}

fn id(node: &Server) -> String {
    node.ask(&["CLUSTER", "MYID"]).lines().nth(1).unwrap().to_owned()
}

async fn whole(nodes: &[Server]) {
    eventually("the Cluster is whole", || {
        nodes.iter().all(|node| {
            let info = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{}", nodes.len()))
        })
    })
    .await;
}

fn node() -> Server {
    let bus = free_port().to_string();
    Server::start(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "1000",
        "--cluster-allow-replica-migration",
        "no",
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_followed_when_a_slot_moves_and_when_a_node_dies() {
    // Three masters vote; the fourth node is the replica of the one that will have the slot.
    let mut nodes: Vec<_> = (0..4).map(|_| node()).collect();
    cluster(&nodes);
    for (node, (from, to)) in nodes.iter().zip([("0", "5000"), ("5001", "10000"), ("10001", "16383")]) {
        node.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
    }
    let second = id(&nodes[1]);
    eventually("they know each other", || nodes[3].ask(&["CLUSTER", "NODES"]).contains(&second)).await;
    whole(&nodes).await;
    eventually("it is a replica", || nodes[3].ask(&["CLUSTER", "REPLICATE", &second]).contains("OK")).await;
    let slot = nodes[0].number(&["CLUSTER", "KEYSLOT", "{tm}:log"]).to_string();
    assert!((10_001..=16_383).contains(&slot.parse().unwrap()), "the third node has it");

    let seeds: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let ana =
        Client::join(store(&format!("redis+cluster://{}", seeds.join(",")), Access::default()).await, "Ana").await;
    let mut seqs = Vec::new();
    for n in 0..20 {
        seqs.push(insist(&ana, &n.to_string()).await.seq);
    }

    // The slot moves to the second node while messages come.
    let (source, target) = (id(&nodes[2]), id(&nodes[1]));
    nodes[1].ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
    nodes[2].ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    let saving = async {
        let mut seqs = Vec::new();
        for n in 0..10 {
            seqs.push(insist(&ana, &format!("while it moves {n}")).await.seq);
        }
        seqs
    };
    let moving = async {
        let port = nodes[1].port.to_string();
        eventually("all keys have moved", || {
            let keys = nodes[2].raw_list(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            let mut migrate: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000", b"KEYS"];
            migrate.extend(keys.iter().map(Vec::as_slice));
            keys.is_empty() || {
                nodes[2].ask_bytes(&migrate);
                false
            }
        })
        .await;
        for node in [&nodes[1], &nodes[2], &nodes[0]] {
            node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
        }
    };
    let (moved, ()) = tokio::join!(saving, moving);
    seqs.extend(moved);
    seqs.push(insist(&ana, "moved").await.seq);
    ana.until("all are there", |shown| shown.messages.keys().eq(&seqs) && shown.twice == 0).await;

    // The node that has it now dies, and its replica takes over.
    eventually("the replica has all", || {
        nodes[3].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]) == nodes[1].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot])
    })
    .await;
    nodes[1].kill();
    seqs.push(insist(&ana, "after").await.seq);
    ana.until("all are there again", |shown| shown.messages.keys().eq(&seqs) && shown.twice == 0).await;
}
