//! From a subscription to the window: events in batches over one channel, of which only a few are ever unacknowledged.
//!
//! A channel has no back-pressure of its own: what the page has not acknowledged bounds what is sent, then the
//! subscription fills, then the store's changes are passed over and become one `reset`. Nothing is sent before the
//! window asks, because only its asking makes the channel.

use std::sync::{Mutex, PoisonError};

use tauri::{async_runtime::JoinHandle, ipc::Channel};
use temp_messenger_core::{
    api::{Subscription, SubscriptionId},
    event::Batch,
};
use tokio::sync::watch;

/// How many batches may be unacknowledged.
const UNDER_WAY: u64 = 4;
/// The most events of a batch.
const LARGEST_BATCH: usize = 256;

/// The window's one subscription: a new one ends the one before.
#[derive(Default)]
pub(crate) struct Outlet(Mutex<Option<Open>>);

struct Open {
    id: SubscriptionId,
    acknowledged: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Outlet {
    /// Sends the subscription's events over the channel until the window goes or subscribes again.
    pub(crate) fn forward(&self, subscription: Subscription, channel: Channel<Batch>) -> SubscriptionId {
        let id = subscription.id;
        let (acknowledged, seen) = watch::channel(0);
        let task = tauri::async_runtime::spawn(send(subscription, channel, seen));
        let before = self.open().replace(Open { id, acknowledged, task });
        if let Some(before) = before {
            before.task.abort();
        }
        id
    }

    /// Ends the subscription, so that the store can be closed.
    pub(crate) fn close(&self) {
        if let Some(open) = self.open().take() {
            open.task.abort();
        }
    }

    /// The window has applied this batch and all before it.
    pub(crate) fn acknowledge(&self, subscription: SubscriptionId, number: u64) {
        if let Some(open) = self.open().as_ref().filter(|open| open.id == subscription) {
            open.acknowledged.send_modify(|acknowledged| *acknowledged = number.max(*acknowledged));
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(mut subscription: Subscription, channel: Channel<Batch>, mut acknowledged: watch::Receiver<u64>) {
    for number in 1.. {
        let room = |seen: &u64| number <= seen.saturating_add(UNDER_WAY);
        if acknowledged.wait_for(room).await.is_err() {
            return;
        }
        let mut events = Vec::new();
        if subscription.events.recv_many(&mut events, LARGEST_BATCH).await == 0 {
            return;
        }
        if let Err(error) = channel.send(Batch { number, events }) {
            tracing::warn!(%error, "the window does not take events");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use temp_messenger_core::event::Event;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn no_more_than_four_batches_are_ever_unacknowledged() {
        let (events, received) = mpsc::channel(4_096);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let channel = {
            let sent = sent.clone();
            Channel::new(move |body| {
                sent.lock().unwrap().push(body.deserialize::<Batch>()?);
                Ok(())
            })
        };
        for _ in 0..4_096 {
            events.send(Event::Reset).await.unwrap();
        }
        let (acknowledge, acknowledged) = watch::channel(0);
        let subscription = Subscription { id: SubscriptionId(1), events: received };
        let task = tokio::spawn(send(subscription, channel, acknowledged));
        for seen in 0..12 {
            acknowledge.send(seen).unwrap();
            // All that can be done is done when the task gives way without a new batch.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let sent = sent.lock().unwrap();
            assert!(sent.len() as u64 <= seen + UNDER_WAY, "{} after {seen}", sent.len());
            assert!(sent.iter().all(|batch| batch.events.len() <= LARGEST_BATCH));
        }
        acknowledge.send(u64::MAX).unwrap();
        drop(events);
        task.await.unwrap();
        let sent = sent.lock().unwrap();
        assert_eq!(sent.iter().map(|batch| batch.events.len()).sum::<usize>(), 4_096);
        assert!(sent.iter().zip(1..).all(|(batch, number)| batch.number == number));
    }
}
