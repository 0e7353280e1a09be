//! The only reader of the time. A [`Clock`] says what the computer says; a [`StoreClock`] makes of it the time that a
//! store stamps, hides and destroys by, so that one wrong step of the wall clock never wipes a room.
//!
//! `steady` follows the time since boot (which counts suspend). It follows the wall clock forward by up to 2 min at once,
//! further only after the step has stood for 60 s, and never backward. `now` is the later of the two.

mod store_time;
#[cfg(any(test, feature = "contract"))]
mod test_clock;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::lifetime::Millis;

pub use store_time::StoreTime;
#[cfg(any(test, feature = "contract"))]
pub use test_clock::TestClock;

/// A step of the wall clock that is followed at once.
const TRUSTED_STEP: Millis = 2 * 60_000;
/// How long a larger step has to stand before `steady` follows it.
const STANDING: Millis = 60_000;
/// A step over this is told to whoever shows messages.
const NOTICED_STEP: Millis = 250;

/// What a computer says about the time, as a trait, so that a test can jump it.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Milliseconds since 1970 by the wall clock; may step either way.
    fn wall(&self) -> Millis;
    /// Milliseconds since some start, counting suspend; never steps.
    fn boot(&self) -> Millis;
    /// Waits until `boot` reaches this, **or less**: whoever waits looks at the clock again.
    async fn wait_until(&self, boot: Millis);
}

/// The computer's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn wall(&self) -> Millis {
        read(rustix::time::ClockId::Realtime)
    }

    fn boot(&self) -> Millis {
        read(rustix::time::ClockId::Boottime)
    }

    /// In slices, because the runtime's timers stand still while the computer sleeps: at most 30 s, and at most 1 s
    /// when the moment is within a minute.
    async fn wait_until(&self, boot: Millis) {
        let left = boot.saturating_sub(self.boot());
        let slice = if left > 60_000 { 30_000 } else { left.min(1_000) };
        tokio::time::sleep(Duration::from_millis(slice)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "here is where the time is read")]
fn read(clock: rustix::time::ClockId) -> Millis {
    let time = rustix::time::clock_gettime(clock);
    let seconds = Millis::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000 + Millis::try_from(time.tv_nsec).unwrap_or_default() / 1_000_000
}

/// How long something took; never decides about a message.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "here is where the time is read")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// What has passed, in ms.
    pub fn millis(self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1_000.0
    }
}

/// A moment on a store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Stamps and hides: a message is gone when `now >= deadline`.
    pub now: Millis,
    /// Destroys: never runs ahead on an unconfirmed step.
    pub steady: Millis,
}

/// The clock that a store of ours decides by; see the head of this file.
#[derive(Debug)]
pub struct StoreClock {
    source: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `steady` was `wall` when the time since boot was `boot`.
    wall: Millis,
    boot: Millis,
    /// A forward step that is not yet followed: how far ahead, and since when (boot).
    ahead: Option<(Millis, Millis)>,
    /// Wall less boot at the last look for steps.
    offset: i64,
}

impl StoreClock {
    /// Starts from what the wall clock says.
    pub fn new(source: Arc<dyn Clock>) -> Self {
        let (wall, boot) = (source.wall(), source.boot());
        let state = State { wall, boot, ahead: None, offset: difference(wall, boot) };
        Self { source, state: Mutex::new(state) }
    }

    /// The moment it is.
    pub fn read(&self) -> Moment {
        let (wall, boot) = (self.source.wall(), self.source.boot());
        let mut state = self.state();
        let mut steady = state.wall + boot.saturating_sub(state.boot);
        let ahead = wall.saturating_sub(steady);
        let stood = match state.ahead {
            // The same step as before: a step is another one when it differs by more than what is followed at once.
            Some((before, since)) if ahead.abs_diff(before) <= TRUSTED_STEP => boot.saturating_sub(since) >= STANDING,
            _ => false,
        };
        if ahead <= TRUSTED_STEP || stood {
            if ahead > 0 {
                steady = wall;
                (state.wall, state.boot) = (wall, boot);
            }
            state.ahead = None;
        } else if state.ahead.is_none_or(|(before, _)| ahead.abs_diff(before) > TRUSTED_STEP) {
            state.ahead = Some((ahead, boot));
        }
        Moment { now: wall.max(steady), steady }
    }

    /// Whether the wall clock has stepped by more than 250 ms since this was last asked.
    pub fn has_stepped(&self) -> bool {
        let offset = difference(self.source.wall(), self.source.boot());
        let mut state = self.state();
        let stepped = offset.abs_diff(state.offset) > NOTICED_STEP;
        if stepped {
            state.offset = offset;
        }
        stepped
    }

    /// Waits until `steady` reaches this, **or less**: whoever waits reads the clock again.
    pub async fn wait_until(&self, steady: Millis) {
        let boot = {
            let state = self.state();
            state.boot + steady.saturating_sub(state.wall)
        };
        self.source.wait_until(boot).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn difference(a: Millis, b: Millis) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn clock() -> (Arc<TestClock>, StoreClock, Moment) {
        let source = Arc::new(TestClock::default());
        let clock = StoreClock::new(source.clone());
        let start = clock.read();
        (source, clock, start)
    }

    #[test]
    fn runs_with_time() {
        let (source, clock, start) = clock();
        source.advance(8 * HOUR);
        assert_eq!(clock.read(), Moment { now: start.now + 8 * HOUR, steady: start.steady + 8 * HOUR });
        assert!(!clock.has_stepped());
    }

    #[test]
    fn a_small_step_forward_is_followed_at_once() {
        let (source, clock, start) = clock();
        source.step(120_000);
        assert_eq!(clock.read(), Moment { now: start.now + 120_000, steady: start.steady + 120_000 });
        assert!(clock.has_stepped());
        assert!(!clock.has_stepped());
    }

    #[test]
    fn a_large_step_forward_hides_at_once_and_destroys_only_once_it_has_stood() {
        let (source, clock, start) = clock();
        source.step(HOUR as i64);
        assert_eq!(clock.read(), Moment { now: start.now + HOUR, steady: start.steady });
        source.advance(59_999);
        assert_eq!(clock.read().steady, start.steady + 59_999);
        source.advance(1);
        assert_eq!(clock.read().steady, start.steady + HOUR + 60_000);
    }

    #[test]
    fn an_undone_step_forward_destroys_nothing() {
        let (source, clock, start) = clock();
        source.step(HOUR as i64);
        clock.read();
        source.advance(30_000);
        source.step(-(HOUR as i64));
        assert_eq!(clock.read(), Moment { now: start.now + 30_000, steady: start.steady + 30_000 });
        // The same step again starts its 60 s again.
        source.step(HOUR as i64);
        source.advance(30_001);
        assert_eq!(clock.read().steady, start.steady + 60_001);
    }

    #[test]
    fn a_further_step_starts_the_wait_again() {
        let (source, clock, start) = clock();
        source.step(HOUR as i64);
        clock.read();
        source.advance(59_000);
        source.step(5 * HOUR as i64);
        clock.read();
        source.advance(2_000);
        assert_eq!(clock.read().steady, start.steady + 61_000);
    }

    #[test]
    fn a_step_back_never_turns_time_back() {
        let (source, clock, start) = clock();
        source.step(-(HOUR as i64));
        assert_eq!(clock.read(), start);
        assert!(clock.has_stepped());
        source.advance(1_000);
        assert_eq!(clock.read(), Moment { now: start.now + 1_000, steady: start.steady + 1_000 });
    }

    #[tokio::test]
    async fn the_real_clock_waits_no_longer_than_a_slice() {
        let clock = StoreClock::new(Arc::new(SystemClock));
        let start = clock.read();
        clock.wait_until(start.steady + 20).await;
        assert!(clock.read().steady >= start.steady + 19);
    }
}
