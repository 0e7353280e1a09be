//! The wait for the next deadline, the same for every store of ours: sleeps to it, is woken by an earlier one, and
//! notices steps of the wall clock. What is swept, and how, belongs to the store.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::{
    clock::{Moment, StoreClock},
    lifetime::Millis,
};

/// The longest wait with nothing due, so that a step of the clock is noticed.
const LONGEST_WAIT: Millis = 30_000;

/// A store whose messages a sweeper takes away.
pub(super) trait Sweep: Send + Sync + 'static {
    /// Takes away what is due by `moment.steady`; answers with the next deadline.
    fn sweep(&self, moment: Moment) -> impl Future<Output = Option<Millis>> + Send;
    /// The wall clock stepped: whoever shows messages reads again.
    fn stepped(&self);
}

/// Sweeps until the store is dropped. `wake` is rung when a deadline earlier than the known ones came in, and by the
/// store's drop; the wait itself holds nothing of the store.
pub(super) async fn run<S: Sweep>(store: Weak<S>, clock: Arc<StoreClock>, wake: Arc<Notify>) {
    loop {
        let until = {
            let Some(store) = store.upgrade() else { return };
            let moment = clock.read();
            let next = store.sweep(moment).await;
            if clock.has_stepped() {
                store.stepped();
            }
            next.map_or(moment.steady + LONGEST_WAIT, |next| next.max(moment.steady + 1))
        };
        tokio::select! {
            () = clock.wait_until(until) => {}
            () = wake.notified() => {}
        }
    }
}
