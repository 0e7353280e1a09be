//! A store's clock as a client knows it: an offset, learnt from answers.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use super::{Clock, NOTICED_STEP, difference};
use crate::lifetime::Millis;

/// What a client knows of a store's clock between two answers: the time since boot, shifted by the last answer.
#[derive(Debug)]
pub struct StoreTime {
    source: Arc<dyn Clock>,
    /// The store's now less our time since boot, in ms.
    shift: AtomicI64,
    /// How long the answer took that this is known by, and when it came.
    best: Mutex<Option<(Millis, Millis)>>,
}

/// An answer that took longer says nothing about the time, in ms.
const LONGEST_SAMPLE: Millis = 2_000;
/// After this a worse sample is better than an old one, in ms.
const SAMPLE_AGES: Millis = 30_000;

impl StoreTime {
    /// Starts from our own wall clock.
    pub fn new(source: Arc<dyn Clock>) -> Self {
        let shift = AtomicI64::new(difference(source.wall(), source.boot()));
        Self { source, shift, best: Mutex::default() }
    }

    /// When a question is asked, for [`StoreTime::sample`].
    pub fn asked(&self) -> Millis {
        self.source.boot()
    }

    /// An answer carried the store's now. The shorter its way, the more it says: a slow answer changes nothing while a
    /// faster one is still fresh.
    pub fn sample(&self, now: Millis, asked: Millis) {
        let heard = self.source.boot();
        let took = heard.saturating_sub(asked);
        let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        let shift = difference(now + took / 2, heard);
        // More than its way could make it: the store's clock was set.
        let stepped = shift.abs_diff(self.shift.load(Ordering::Relaxed)) > took + NOTICED_STEP;
        let worse =
            best.is_some_and(|(shortest, at)| took > 2 * shortest + 2 && heard.saturating_sub(at) < SAMPLE_AGES);
        if took > LONGEST_SAMPLE || worse && !stepped {
            return;
        }
        *best = Some((took, heard));
        self.shift.store(shift, Ordering::Relaxed);
    }

    /// The store's now.
    pub fn now(&self) -> Millis {
        self.source.boot().saturating_add_signed(self.shift.load(Ordering::Relaxed))
    }

    /// Our own wall clock.
    pub fn wall(&self) -> Millis {
        self.source.wall()
    }

    /// The store's clock less our wall clock, in ms.
    pub fn ahead_of_wall(&self) -> i64 {
        difference(self.now(), self.source.wall())
    }

    /// Waits until `now` reaches this, **or less**.
    pub async fn wait_until(&self, now: Millis) {
        self.source.wait_until(now.saturating_add_signed(self.shift.load(Ordering::Relaxed).saturating_neg())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[test]
    fn a_slow_answer_says_less_than_a_fast_one() {
        let source = Arc::new(TestClock::default());
        let time = StoreTime::new(source.clone());
        let ask = |way: Millis, ahead: Millis| {
            let asked = time.asked();
            source.advance(way);
            // All of its way on the way back: as wrong as it can be.
            time.sample(source.wall() + ahead - way, asked);
            time.ahead_of_wall()
        };
        assert_eq!(ask(4, 1_000), 998);
        assert_eq!(ask(200, 1_000), 998, "a slow one changes nothing");
        assert_eq!(ask(4, 9_000), 8_998, "a step is followed");
        assert_eq!(ask(2_001, 1_000), 8_998, "what took too long says nothing");
        source.advance(SAMPLE_AGES);
        assert_eq!(ask(200, 9_000), 8_900, "better than none");
    }
}
