//! The embedded store under kill -9 at random moments: nothing acknowledged is lost, nothing that ended is revived,
//! nothing is torn. `TORTURE_ROUNDS` says how many rounds, `TORTURE_SEED` repeats the moments of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use temp_messenger_core::{
    clock::SystemClock,
    error::Code,
    lifetime::Millis,
    message::MessageId,
    room::RoomName,
    store::{Store, sled::SledStore},
};
use temp_messenger_tests::{binary, process::Process, torture};

/// What the victims said, over all rounds.
#[derive(Default)]
struct Said {
    /// Acknowledged, with its deadline.
    saved: HashMap<MessageId, Millis>,
    /// Under way when the kill came: may be there or not.
    unsure: HashSet<MessageId>,
    deleted: HashSet<MessageId>,
    deleting: HashSet<MessageId>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (Some(verb), Some(id)) = (words.next(), words.next()) else { return };
        // The last line may be cut.
        let Ok(id) = id.parse::<MessageId>() else { return };
        match (verb, words.next().and_then(|deadline| deadline.parse().ok())) {
            ("save", _) => drop(self.unsure.insert(id)),
            ("saved", Some(deadline)) => drop(self.saved.insert(id, deadline)),
            ("delete", _) => drop(self.deleting.insert(id)),
            ("deleted", _) => drop(self.deleted.insert(id)),
            _ => {}
        }
    }
}

/// One life: from its opening until the kill, `millis` later.
fn live_and_die(folder: &Path, millis: u64, said: &mut Said) {
    let mut command = Command::new(binary("writer"));
    let mut victim = Process::start(command.arg(folder).stdout(Stdio::piped()));
    let mut lines = BufReader::new(victim.child().stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "open");
    let (told, heard) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(told.send(line))));
    // The random moment is what is tested.
    std::thread::sleep(Duration::from_millis(millis));
    victim.child().kill().unwrap();
    victim.child().wait().unwrap();
    listener.join().unwrap();
    heard.try_iter().for_each(|line| said.hear(&line));
}

async fn check(folder: &Path, said: &Said) -> (usize, usize) {
    let store = SledStore::open(folder, Arc::new(SystemClock)).await.unwrap();
    let (mut kept, mut gone) = (0, 0);
    for (id, deadline) in &said.saved {
        let asked = store.health(false).await.unwrap().now;
        let found = store.get(*id).await;
        let answered = store.health(false).await.unwrap().now;
        match found {
            Ok(record) => {
                assert!(!said.deleted.contains(id), "{id} was deleted and is back");
                assert!(*deadline > asked, "{id} has expired and is returned");
                assert!(record.payload == torture::payload(*id) && record.deadline == *deadline, "{id} is torn");
                kept += 1;
            }
            Err(error) => {
                assert_eq!(error.code, Code::NotFound, "{id}: {error}");
                let may_be_gone = said.deleting.contains(id) || *deadline <= answered;
                assert!(may_be_gone, "{id} was acknowledged and is lost");
                gone += 1;
            }
        }
    }
    // What is in the room is what was said, and each whole.
    let mut before = None;
    loop {
        let page = store.page(RoomName::lobby().id(), before, 200).await.unwrap();
        for record in &page.records {
            assert!(record.deadline > page.now);
            assert!(
                said.saved.contains_key(&record.id) || said.unsure.contains(&record.id),
                "nobody said {}",
                record.id
            );
            assert!(!said.deleted.contains(&record.id) && record.payload == torture::payload(record.id));
        }
        before = page.records.last().map(|record| record.seq);
        if !page.more {
            return (kept, gone);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_ended_is_revived() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("TORTURE_ROUNDS").unwrap_or(10);
    let seed = number("TORTURE_SEED")
        .unwrap_or_else(|| u64::from_be_bytes(MessageId::random().as_bytes()[..8].try_into().unwrap()));
    println!("{rounds} rounds, TORTURE_SEED={seed}");
    let mut random = seed | 1;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let mut said = Said::default();
    let mut last = (0, 0);
    for _ in 0..rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        live_and_die(&folder, 3 + random % 298, &mut said);
        last = check(&folder, &said).await;
    }
    let (kept, gone) = last;
    println!(
        "{} acknowledged: {kept} alive, {gone} ended; {} were under way",
        said.saved.len(),
        said.unsure.len() - said.saved.len()
    );
    assert!(kept > 0 && gone > 0, "the rounds exercised both");
}
