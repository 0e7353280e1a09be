//! What every store must show: functions over a [`Subject`], one a rule, run against each implementation by
//! [`store_contract!`](crate::store_contract). Time is a test clock's wherever the logic is what is tested.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "these are tests")]

mod messages;
mod rooms;
mod time;

pub use messages::*;
pub use rooms::*;
pub use time::*;

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
            a_step_is_told_as_a_reset, saves_in_parallel_all_count);
    };
    // What only a store whose clock is ours can show: a server expires by its own.
    (own_clock: $open:expr) => {
        $crate::store_contract!($open);
        $crate::store_contract!(@each $open; a_step_of_the_clock_hides_at_once_and_revives_what_had_not_ended);
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

    /// The changes from now on. A store that is told of its own changes by a server may be a step behind: a mark shows
    /// where now is.
    async fn changes(&self) -> Changes {
        let mut changes = self.with_lobby().await.changes();
        let mark = new("mark", 60);
        self.save(mark.clone()).await;
        while !matches!(next(&mut changes).await, Change::Saved(record) if record.id == mark.id) {}
        self.store.delete(mark.id).await.unwrap();
        while !matches!(next(&mut changes).await, Change::Ended { id, .. } if id == mark.id) {}
        changes
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
