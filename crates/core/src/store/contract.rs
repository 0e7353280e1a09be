//! What every store must show: functions over a [`Subject`], one a rule, run against each implementation by
//! [`store_contract!`](crate::store_contract). Time is a test clock's wherever the logic is what is tested.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "these are tests")]

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use futures_util::StreamExt;

use super::{Change, Changes, EndedBy, LARGEST_PAGE, LARGEST_PAYLOAD, NewRecord, Record, Store};
use crate::{
    clock::TestClock,
    error::Code,
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, RoomId, RoomName},
};

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;

/// Counts what a store still holds.
pub struct Unswept(pub Box<dyn Fn() -> u64 + Send + Sync>);

impl std::fmt::Debug for Unswept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unswept({})", self.0())
    }
}

/// A store under test, the clock it decides by, and what it needs to live.
#[derive(Debug)]
pub struct Subject {
    pub store: Arc<dyn Store>,
    pub clock: Arc<TestClock>,
    /// How many messages have not been swept, whether they may be read or not.
    pub unswept: Unswept,
    pub keep: Box<dyn Any + Send + Sync>,
}

/// One `#[tokio::test]` for each rule, over the subject that `$open` makes.
#[macro_export]
macro_rules! store_contract {
    ($open:expr) => {
        $crate::store_contract!(@each $open;
            a_saved_message_is_read_back, a_repeated_save_changes_nothing, an_ended_message_is_never_revived,
            an_ended_id_is_remembered_for_ten_minutes, a_deleted_unknown_id_cannot_come_later, a_late_save_is_ended,
            order_is_the_order_of_acceptance, pages_meet_without_gap_or_overlap, pages_refill_past_what_has_ended,
            expiry_is_exact, a_deleted_message_is_gone, a_claim_has_one_winner, a_claim_may_be_repeated_by_its_winner,
            only_once_messages_are_claimed, a_lifetime_may_be_shortened_and_extended, a_lifetime_has_bounds,
            changes_come_in_order, a_reader_that_does_not_keep_up_gets_a_reset, an_unknown_room_reads_as_empty,
            rooms_are_kept_with_their_live_count, a_room_is_forgotten_after_thirty_days, limits_hold,
            mixed_lifetimes_end_each_at_its_own_time, ten_thousand_due_at_once_all_go, nothing_is_left_behind,
            a_step_of_the_clock_hides_at_once_and_revives_what_had_not_ended, a_step_is_told_as_a_reset,
            saves_in_parallel_all_count);
    };
    (@each $open:expr; $($rule:ident),*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                $crate::store::contract::$rule(&$open.await).await;
            }
        )*
    };
}

fn room() -> RoomId {
    RoomName::lobby().id()
}

impl Subject {
    async fn with_lobby(&self) -> &Arc<dyn Store> {
        self.store.put_room(PutRoom::ensure(RoomName::lobby())).await.unwrap();
        &self.store
    }

    async fn save(&self, new: NewRecord) -> Stamp {
        self.with_lobby().await.save(new).await.unwrap()
    }

    async fn live(&self) -> Vec<Record> {
        self.store.page(room(), None, LARGEST_PAGE).await.unwrap().records
    }
}

fn new(text: &str, seconds: Millis) -> NewRecord {
    NewRecord {
        id: MessageId::random(),
        room: room(),
        lifetime: Lifetime::from_millis(seconds * SECOND).unwrap(),
        not_after: None,
        payload: text.as_bytes().to_vec(),
        once: None,
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, crate::error::Error>) -> Code {
    answer.unwrap_err().code
}

async fn next(changes: &mut Changes) -> Change {
    tokio::time::timeout(Duration::from_secs(30), changes.next()).await.unwrap().unwrap()
}

/// Waits for a condition that the sweeper brings about.
async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..3_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

pub async fn a_saved_message_is_read_back(subject: &Subject) {
    let message = new("hello", 60);
    let stamp = subject.save(message.clone()).await;
    let record = subject.store.get(message.id).await.unwrap();
    assert_eq!(record.payload, message.payload);
    assert_eq!(record.stamp(stamp.now), stamp);
    assert_eq!(stamp.deadline, stamp.accepted + MINUTE);
    assert_eq!(subject.live().await, [record]);
    let long = NewRecord { payload: (0..LARGEST_PAYLOAD).map(|n| n as u8).collect(), ..new("", 60) };
    subject.save(long.clone()).await;
    assert!(subject.store.get(long.id).await.unwrap().payload == long.payload, "a long payload comes back whole");
}

pub async fn a_repeated_save_changes_nothing(subject: &Subject) {
    let message = new("first", 60);
    let first = subject.save(message.clone()).await;
    subject.clock.advance(10 * SECOND);
    let again = NewRecord { payload: b"second".to_vec(), ..message.clone() };
    let second = subject.store.save(again).await.unwrap();
    assert_eq!((second.seq, second.accepted, second.deadline), (first.seq, first.accepted, first.deadline));
    assert_eq!(second.now, first.now + 10 * SECOND);
    assert_eq!(subject.live().await.len(), 1);
    assert_eq!(subject.store.get(message.id).await.unwrap().payload, b"first");
}

pub async fn an_ended_message_is_never_revived(subject: &Subject) {
    let (deleted, expired) = (new("deleted", 60), new("expired", 1));
    subject.save(deleted.clone()).await;
    subject.save(expired.clone()).await;
    subject.store.delete(deleted.id).await.unwrap();
    subject.clock.advance(SECOND);
    for message in [deleted, expired] {
        assert_eq!(code(subject.store.save(message).await), Code::Ended);
    }
    assert!(subject.live().await.is_empty());
}

pub async fn an_ended_id_is_remembered_for_ten_minutes(subject: &Subject) {
    let message = new("once more", 1);
    subject.save(message.clone()).await;
    subject.clock.advance(SECOND + 10 * MINUTE - 1);
    assert_eq!(code(subject.store.save(message.clone()).await), Code::Ended);
    subject.clock.advance(1);
    eventually("the id is forgotten", async || subject.store.save(message.clone()).await.is_ok()).await;
}

pub async fn a_deleted_unknown_id_cannot_come_later(subject: &Subject) {
    let message = new("under way", 60);
    subject.with_lobby().await;
    assert_eq!(code(subject.store.delete(message.id).await), Code::NotFound);
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
}

pub async fn a_late_save_is_ended(subject: &Subject) {
    let now = subject.save(new("in time", 60)).await.now;
    let message = NewRecord { not_after: Some(now + SECOND), ..new("late", 60) };
    subject.clock.advance(SECOND + 1);
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
    let now = now + SECOND + 1;
    subject.store.save(NewRecord { not_after: Some(now), ..new("at the last moment", 60) }).await.unwrap();
}

pub async fn order_is_the_order_of_acceptance(subject: &Subject) {
    let mut stamps = Vec::new();
    for lifetime in [60, 10, 3_600, 20] {
        stamps.push(subject.save(new("x", lifetime)).await);
    }
    // A clock that is set back changes nothing about the order.
    subject.clock.step(-(MINUTE as i64));
    stamps.push(subject.save(new("x", 60)).await);
    assert!(stamps.is_sorted_by_key(|stamp| stamp.seq) && stamps[0].seq / 1024 == stamps[0].accepted);
    let ids: Vec<_> = subject.live().await.iter().rev().map(|record| record.id).collect();
    assert_eq!(ids, stamps.iter().map(|stamp| stamp.id).collect::<Vec<_>>());
}

pub async fn pages_meet_without_gap_or_overlap(subject: &Subject) {
    let mut saved = Vec::new();
    for n in 0..25 {
        saved.push(subject.save(new(&n.to_string(), 60)).await.id);
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = subject.store.page(room(), before, 10).await.unwrap();
        assert_eq!(page.more, found.len() + page.records.len() < 25);
        before = page.records.last().map(|record| record.seq);
        found.extend(page.records.iter().map(|record| record.id));
        if !page.more {
            break;
        }
    }
    saved.reverse();
    assert_eq!(found, saved);
    let other = "other".parse::<RoomName>().unwrap();
    subject.store.put_room(PutRoom::ensure(other.clone())).await.unwrap();
    subject.store.save(NewRecord { room: other.id(), ..new("elsewhere", 60) }).await.unwrap();
    assert_eq!(subject.live().await.len(), 25);
}

pub async fn pages_refill_past_what_has_ended(subject: &Subject) {
    for n in 0..40 {
        subject.save(new("x", if n % 2 == 0 { 1 } else { 60 })).await;
    }
    let oldest = subject.live().await.pop().unwrap();
    subject.clock.advance(SECOND);
    let page = subject.store.page(room(), None, 15).await.unwrap();
    assert_eq!((page.records.len(), page.more), (15, true));
    assert!(page.records.iter().all(|record| record.deadline > page.now));
    let rest = subject.store.page(room(), Some(page.records[14].seq), 15).await.unwrap();
    assert_eq!((rest.records.len(), rest.more), (5, false));
    // The message that a page is asked before may itself have ended.
    assert!(subject.store.page(room(), Some(oldest.seq), 15).await.unwrap().records.is_empty());
}

pub async fn expiry_is_exact(subject: &Subject) {
    let message = new("soon gone", 5);
    let stamp = subject.save(message.clone()).await;
    subject.clock.advance(5 * SECOND - 20);
    assert!(subject.store.get(message.id).await.is_ok(), "readable 20 ms before");
    subject.clock.advance(19);
    assert_eq!(subject.live().await.len(), 1);
    subject.clock.advance(1);
    assert_eq!(subject.store.health().await.unwrap().now, stamp.deadline);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound, "gone at the millisecond");
    assert!(subject.live().await.is_empty());
    assert_eq!(code(subject.store.delete(message.id).await), Code::NotFound);
    assert_eq!(
        code(subject.store.set_lifetime(message.id, stamp.deadline, Lifetime::DEFAULT, None).await),
        Code::NotFound
    );
}

pub async fn a_deleted_message_is_gone(subject: &Subject) {
    let message = new("oops", 60);
    subject.save(message.clone()).await;
    subject.store.delete(message.id).await.unwrap();
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    assert_eq!(code(subject.store.delete(message.id).await), Code::NotFound);
    assert!(subject.live().await.is_empty());
}

pub async fn a_claim_has_one_winner(subject: &Subject) {
    let message = NewRecord { once: Some(b"secret".to_vec()), ..new("", 60) };
    subject.save(message.clone()).await;
    assert!(subject.live().await[0].once && subject.live().await[0].payload.is_empty());
    let claims = (0..8).map(|n| subject.store.claim(message.id, [n; 16]));
    let answers = futures_util::future::join_all(claims).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won, [Ok(b"secret".to_vec())]);
    assert!(lost.into_iter().all(|answer| code(answer) == Code::Taken));
    assert!(subject.live().await.is_empty());
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
}

pub async fn a_claim_may_be_repeated_by_its_winner(subject: &Subject) {
    let long = (0..LARGEST_PAYLOAD).map(|n| (n * 7) as u8).collect::<Vec<_>>();
    let message = NewRecord { once: Some(long.clone()), ..new("", 60) };
    subject.save(message.clone()).await;
    let claim = |nonce: u8| subject.store.claim(message.id, [nonce; 16]);
    assert!(claim(1).await.unwrap() == long);
    subject.clock.advance(30 * SECOND - 1);
    assert!(claim(1).await.unwrap() == long, "the same nonce again within 30 s");
    assert_eq!(code(claim(2).await), Code::Taken);
    subject.clock.advance(1);
    assert_eq!(code(claim(1).await), Code::Taken, "not later");
    subject.clock.advance(10 * MINUTE);
    eventually("the claim is forgotten", async || code(claim(1).await) == Code::NotFound).await;
}

pub async fn only_once_messages_are_claimed(subject: &Subject) {
    let message = new("for all", 60);
    subject.save(message.clone()).await;
    assert_eq!(code(subject.store.claim(message.id, [1; 16]).await), Code::Invalid);
    assert_eq!(code(subject.store.claim(MessageId::random(), [1; 16]).await), Code::NotFound);
    let expired = NewRecord { once: Some(b"secret".to_vec()), ..new("", 1) };
    subject.save(expired.clone()).await;
    subject.clock.advance(SECOND);
    assert_eq!(code(subject.store.claim(expired.id, [1; 16]).await), Code::NotFound);
    assert_eq!(subject.live().await.len(), 1);
}

pub async fn a_lifetime_may_be_shortened_and_extended(subject: &Subject) {
    let message = new("x", 60);
    let first = subject.save(message.clone()).await;
    let life = |seconds| Lifetime::from_millis(seconds * SECOND).unwrap();
    let set = |seen, seconds, payload| subject.store.set_lifetime(message.id, seen, life(seconds), payload);
    let longer = set(first.deadline, 3_600, Some(b"sealed again".to_vec())).await.unwrap();
    assert_eq!((longer.seq, longer.accepted, longer.deadline), (first.seq, first.accepted, first.now + 3_600 * SECOND));
    assert_eq!(code(set(first.deadline, 60, None).await), Code::Taken, "only from the deadline that was seen");
    subject.clock.advance(MINUTE);
    assert_eq!(subject.store.get(message.id).await.unwrap().payload, b"sealed again");
    let shorter = set(longer.deadline, 2, None).await.unwrap();
    subject.clock.advance(2 * SECOND);
    assert_eq!(shorter.deadline, first.now + 62 * SECOND);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    // A repeated save of a message that was shortened and has ended does not bring it back.
    assert_eq!(code(subject.store.save(message).await), Code::Ended);
}

pub async fn a_lifetime_has_bounds(subject: &Subject) {
    let name = RoomName::lobby();
    let hour = Some(Lifetime::DEFAULT);
    subject.store.put_room(PutRoom { name, lifetime: hour, longest: hour }).await.unwrap();
    assert_eq!(code(subject.store.save(new("x", 3_601)).await), Code::OutOfRange);
    let message = new("x", 3_600);
    let stamp = subject.store.save(message.clone()).await.unwrap();
    subject.clock.advance(SECOND);
    let extended = subject.store.set_lifetime(message.id, stamp.deadline, Lifetime::DEFAULT, None).await;
    assert_eq!(code(extended), Code::OutOfRange, "never past its acceptance and the room's longest");
    assert_eq!(subject.live().await[0].deadline, stamp.deadline);
}

pub async fn changes_come_in_order(subject: &Subject) {
    subject.with_lobby().await;
    let mut changes = subject.store.changes();
    let (message, once) = (new("x", 60), NewRecord { once: Some(b"secret".to_vec()), ..new("", 60) });
    let stamp = subject.save(message.clone()).await;
    subject.save(message.clone()).await;
    subject.save(once.clone()).await;
    let moved = subject.store.set_lifetime(message.id, stamp.deadline, Lifetime::DEFAULT, None).await.unwrap();
    subject.store.delete(message.id).await.unwrap();
    subject.store.claim(once.id, [1; 16]).await.unwrap();
    subject.store.put_room(PutRoom::ensure("ops".parse().unwrap())).await.unwrap();
    assert!(matches!(next(&mut changes).await, Change::Saved(record) if record.id == message.id));
    assert!(
        matches!(next(&mut changes).await, Change::Saved(record) if record.id == once.id && record.payload.is_empty())
    );
    assert!(
        matches!(next(&mut changes).await, Change::Moved { id, deadline } if (id, deadline) == (message.id, moved.deadline))
    );
    assert!(matches!(next(&mut changes).await, Change::Ended { id, by: EndedBy::Deletion } if id == message.id));
    assert!(matches!(next(&mut changes).await, Change::Ended { id, by: EndedBy::Claim } if id == once.id));
    assert!(matches!(next(&mut changes).await, Change::Room(room) if room.name.as_str() == "ops"));
    // Expiry does not travel.
    subject.save(new("short", 1)).await;
    subject.clock.advance(SECOND);
    subject.save(new("after", 60)).await;
    assert!(matches!(next(&mut changes).await, Change::Saved(_)));
    assert!(matches!(next(&mut changes).await, Change::Saved(record) if record.payload == b"after"));
}

pub async fn a_reader_that_does_not_keep_up_gets_a_reset(subject: &Subject) {
    let mut changes = subject.store.changes();
    subject.with_lobby().await;
    let saves = (0..3_000).map(|_| subject.store.save(new("x", 60)));
    assert!(futures_util::future::join_all(saves).await.iter().all(Result::is_ok));
    assert!(matches!(next(&mut changes).await, Change::Reset));
    // After it come the changes that are left, in order, up to the last.
    let (newest, mut last) = (subject.live().await[0].seq, 0);
    while last < newest {
        if let Change::Saved(record) = next(&mut changes).await {
            assert!(record.seq > last);
            last = record.seq;
        }
    }
}

pub async fn an_unknown_room_reads_as_empty(subject: &Subject) {
    let page = subject.store.page(room(), None, 50).await.unwrap();
    assert!(page.records.is_empty() && !page.more);
    assert!(subject.store.rooms().await.unwrap().is_empty());
    assert_eq!(code(subject.store.save(new("x", 60)).await), Code::NotFound);
    assert_eq!(code(subject.store.get(MessageId::random()).await), Code::NotFound);
}

pub async fn rooms_are_kept_with_their_live_count(subject: &Subject) {
    subject.with_lobby().await;
    let ops = PutRoom { lifetime: Some(Lifetime::SHORTEST), ..PutRoom::ensure("ops".parse().unwrap()) };
    let put = subject.store.put_room(ops).await.unwrap();
    assert_eq!(subject.store.put_room(PutRoom::ensure(put.name.clone())).await.unwrap(), put);
    for seconds in [1, 60, 60] {
        subject.save(new("x", seconds)).await;
    }
    subject.store.delete(subject.live().await[0].id).await.unwrap();
    let live = async || {
        subject
            .store
            .rooms()
            .await
            .unwrap()
            .into_iter()
            .map(|room| (room.name.to_string(), room.live))
            .collect::<Vec<_>>()
    };
    assert_eq!(live().await, [("lobby".to_owned(), 2), ("ops".to_owned(), 0)]);
    subject.clock.advance(SECOND);
    assert_eq!(live().await[0].1, 1, "the count follows expiry");
    eventually("what has ended is swept", async || subject.unswept.0() == 1).await;
}

pub async fn a_room_is_forgotten_after_thirty_days(subject: &Subject) {
    subject.with_lobby().await;
    subject.store.put_room(PutRoom::ensure("ops".parse().unwrap())).await.unwrap();
    for _ in 0..29 {
        subject.clock.advance(24 * 60 * MINUTE);
        subject.store.health().await.unwrap();
    }
    subject.store.save(new("still used", 60)).await.unwrap();
    subject.clock.advance(24 * 60 * MINUTE);
    eventually("the unused room is forgotten", async || {
        let rooms = subject.store.rooms().await.unwrap();
        rooms.len() == 1 && rooms[0].name == RoomName::lobby()
    })
    .await;
}

pub async fn limits_hold(subject: &Subject) {
    subject.with_lobby().await;
    let large = vec![0; LARGEST_PAYLOAD + 1];
    assert_eq!(code(subject.store.save(NewRecord { payload: large.clone(), ..new("", 60) }).await), Code::TooLarge);
    assert_eq!(code(subject.store.save(NewRecord { once: Some(large), ..new("", 60) }).await), Code::TooLarge);
    let message = new("x", 60);
    let seen = subject.store.save(message.clone()).await.unwrap().deadline;
    let longer = vec![0; LARGEST_PAYLOAD + 1];
    let set = subject.store.set_lifetime(message.id, seen, Lifetime::DEFAULT, Some(longer)).await;
    assert_eq!(code(set), Code::TooLarge);
    for _ in 0..LARGEST_PAGE + 10 {
        subject.store.save(new("x", 60)).await.unwrap();
    }
    let page = subject.store.page(room(), None, usize::MAX).await.unwrap();
    assert_eq!((page.records.len(), page.more), (LARGEST_PAGE, true));
    assert_eq!(subject.store.page(room(), None, 0).await.unwrap().records.len(), 1);
    assert!(subject.store.page(room(), Some(0), 10).await.unwrap().records.is_empty());
}

pub async fn mixed_lifetimes_end_each_at_its_own_time(subject: &Subject) {
    for seconds in [7, 3, 9, 1, 5, 3] {
        subject.save(new(&seconds.to_string(), seconds)).await;
    }
    for passed in 1..=9 {
        subject.clock.advance(SECOND);
        let left: Vec<_> = subject.live().await.into_iter().rev().map(|record| record.payload).collect();
        let expected: Vec<_> = [7, 3, 9, 1, 5, 3].into_iter().filter(|seconds| *seconds > passed).collect();
        assert_eq!(left, expected.iter().map(|seconds: &u64| seconds.to_string().into_bytes()).collect::<Vec<_>>());
    }
}

pub async fn ten_thousand_due_at_once_all_go(subject: &Subject) {
    subject.with_lobby().await;
    let saves = (0..10_000).map(|_| subject.store.save(new("x", 10)));
    assert!(futures_util::future::join_all(saves).await.iter().all(Result::is_ok));
    let last = subject.save(new("stays", 3_600)).await;
    subject.clock.advance(10 * SECOND);
    let page = subject.store.page(room(), None, 50).await.unwrap();
    assert_eq!(page.records.iter().map(|record| record.id).collect::<Vec<_>>(), [last.id]);
    assert!(!page.more);
    eventually("all are swept", async || subject.unswept.0() == 1).await;
    assert_eq!(subject.live().await.len(), 1);
}

pub async fn nothing_is_left_behind(subject: &Subject) {
    subject.with_lobby().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let once = (n % 4 == 0).then(|| b"secret".to_vec());
        ids.push(subject.save(NewRecord { once, ..new("x", 1 + n) }).await.id);
    }
    subject.store.delete(ids[10]).await.unwrap();
    subject.store.claim(ids[4], [1; 16]).await.unwrap();
    subject.clock.advance(30 * SECOND);
    subject.clock.advance(11 * MINUTE);
    eventually("every id is forgotten", async || {
        let claims = ids.iter().map(|id| subject.store.claim(*id, [1; 16]));
        futures_util::future::join_all(claims).await.into_iter().all(|answer| code(answer) == Code::NotFound)
    })
    .await;
    eventually("every message is swept", async || subject.unswept.0() == 0).await;
}

pub async fn a_step_of_the_clock_hides_at_once_and_revives_what_had_not_ended(subject: &Subject) {
    let message = new("x", 600);
    subject.save(message.clone()).await;
    subject.clock.step(3_600_000);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound, "hidden at once");
    subject.clock.advance(30 * SECOND);
    assert!(subject.live().await.is_empty());
    assert_eq!(subject.unswept.0(), 1, "one wrong step destroys nothing");
    subject.clock.step(-3_600_000);
    eventually("what an undone step hid is shown again", async || subject.store.get(message.id).await.is_ok()).await;
    subject.clock.step(3_600_000);
    subject.store.health().await.unwrap();
    subject.clock.advance(MINUTE);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
    // The step has stood: it is destroyed, and setting the clock back brings nothing back.
    eventually("it is destroyed", async || subject.unswept.0() == 0).await;
    subject.clock.step(-3_600_000);
    assert_eq!(code(subject.store.get(message.id).await), Code::NotFound);
}

pub async fn a_step_is_told_as_a_reset(subject: &Subject) {
    subject.save(new("x", 600)).await;
    let mut changes = subject.store.changes();
    subject.clock.step(-10_000);
    assert!(matches!(next(&mut changes).await, Change::Reset));
}

pub async fn saves_in_parallel_all_count(subject: &Subject) {
    subject.with_lobby().await;
    let message = new("the same", 60);
    let saves = (0..64).map(|n| {
        let new = if n % 2 == 0 { message.clone() } else { new("another", 60) };
        subject.store.save(new)
    });
    let stamps = futures_util::future::join_all(saves).await;
    assert!(stamps.iter().all(Result::is_ok));
    let same: std::collections::BTreeSet<_> =
        stamps.iter().step_by(2).map(|stamp| stamp.as_ref().unwrap().seq).collect();
    assert_eq!((same.len(), subject.live().await.len()), (1, 33));
}
