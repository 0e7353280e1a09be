//! A clock that a test moves by hand.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::Clock;
use crate::lifetime::Millis;

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct TestClock(tokio::sync::watch::Sender<(Millis, Millis)>, Option<Told>);

/// Told of the wall clock before anybody sees it: carries a test's time to a server.
struct Told(Box<dyn Fn(Millis) + Send + Sync>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self(tokio::sync::watch::Sender::new((1_700_000_000_000, 1_000_000)), None)
    }
}

impl TestClock {
    /// A clock that tells its wall time, now and at every move.
    pub fn told(told: impl Fn(Millis) + Send + Sync + 'static) -> Self {
        let clock = Self(Self::default().0, Some(Told(Box::new(told))));
        clock.step(0);
        clock
    }

    /// Time passes (awake or in suspend: both clocks run).
    pub fn advance(&self, span: Millis) {
        self.set(|(wall, boot)| (wall + span, boot + span));
    }

    /// The wall clock is set, forward or back.
    pub fn step(&self, by: i64) {
        self.set(|(wall, boot)| (wall.saturating_add_signed(by), boot));
    }

    fn set(&self, moved: impl FnOnce((Millis, Millis)) -> (Millis, Millis)) {
        self.0.send_modify(|now| {
            *now = moved(*now);
            if let Some(Told(told)) = &self.1 {
                told(now.0);
            }
        });
    }
}

#[async_trait]
impl Clock for TestClock {
    fn wall(&self) -> Millis {
        self.0.borrow().0
    }

    fn boot(&self) -> Millis {
        self.0.borrow().1
    }

    async fn wait_until(&self, boot: Millis) {
        let mut changes = self.0.subscribe();
        let reached = changes.wait_for(|(_, now)| *now >= boot);
        // The slice lets whoever waits see a step of the wall clock, as the real clock's slices do.
        let _ = tokio::time::timeout(Duration::from_millis(5), reached).await;
    }
}
