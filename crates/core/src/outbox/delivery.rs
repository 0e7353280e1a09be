//! Sending what waits: in order, with the same ids, whenever there is a chance.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;

use super::entries::{Note, Shared, Text};
use crate::{
    api::Api,
    error::{Code, Error},
    event::Event,
    lifetime::Millis,
    message::{MessageId, SaveMessage},
    store::Change,
};

/// How long after its first attempt a message may still be accepted, in ms on the server's clock.
const ATTEMPTS: Millis = 10 * 60_000;
/// How long until what the server does not take for the moment is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Why a round of deliveries stops: the server is away.
struct Away;

impl Shared {
    /// Sends what waits, in order, whenever there is a chance.
    pub(super) async fn deliver(self: Arc<Self>) {
        let mut changes = self.messenger.desk().store.changes();
        loop {
            let away = self.round().await.is_err();
            let back = async {
                while let Some(change) = changes.next().await {
                    if matches!(change, Change::Reset) {
                        return;
                    }
                }
                std::future::pending().await
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = back => {}
                () = tokio::time::sleep(self.next_look(away)) => {}
            }
        }
    }

    /// How long until something waits too long, or is tried again.
    fn next_look(&self, away: bool) -> Duration {
        let now = self.clock.read().steady;
        let first = self.entries().values().filter(|entry| entry.text.is_some()).map(|entry| entry.deadline).min();
        let due = first.map_or(Duration::MAX, |first| Duration::from_millis(first.saturating_sub(now).max(10)));
        // The runtime's timers stand still in suspend, so that no wait is long.
        due.min(if away { AGAIN } else { Duration::from_secs(30) })
    }

    async fn round(&self) -> Result<(), Away> {
        self.give_up().await;
        let keys: Vec<_> = self.entries().keys().copied().collect();
        for key in keys {
            let Some((note, text)) = self.entries().get(&key).map(|entry| (entry.note.clone(), entry.text.clone()))
            else {
                continue;
            };
            match text {
                _ if note.deleted => self.delete_there(key, note.id).await?,
                Some(text) if note.failure.is_none() => self.send(key, note, text).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What waited too long is erased by the window's store; here it is told, and what may have arrived is deleted there.
    async fn give_up(&self) {
        let now = self.clock.read().steady;
        let due: Vec<_> = {
            let entries = self.entries();
            let due = entries.iter().filter(|(_, entry)| entry.text.is_some() && entry.deadline <= now);
            due.map(|(key, entry)| (*key, entry.note.id)).collect()
        };
        for (key, id) in due {
            if !self.tell(Event::Unsent { id }) {
                self.unsent.lock().unwrap_or_else(PoisonError::into_inner).push(id);
            }
            // Told by that alone: an answer might be there before it.
            if let Some(entry) = self.entries().get_mut(&key) {
                entry.asking.clear();
            }
            if let Err(error) = self.end_waiting(id).await {
                tracing::warn!(%error, "what waited too long is still in the outbox");
            }
        }
    }

    async fn send(&self, key: u64, mut note: Note, text: Text) -> Result<(), Away> {
        // Nothing is noted as attempted before the server is known to be there, and by its own clock.
        let now = self.messenger.desk().now().await.map_err(|_| Away)?;
        if note.not_after.is_none() {
            note.not_after = Some(now + ATTEMPTS);
            match self.rewrite(key, |entry| entry.not_after = note.not_after).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    // Unnoted, a deletion after a crash would not reach what arrived.
                    tracing::warn!(%error, "an attempt cannot be noted");
                    return Err(Away);
                }
            }
        }
        let Text { room, message, lifetime, once } = text;
        let request = SaveMessage { id: Some(note.id), room, message, lifetime: Some(lifetime), once };
        let answer = self.messenger.save(request, note.not_after).await;
        match &answer {
            Err(error) if error.code == Code::Unreachable => return Err(Away),
            Err(error) => {
                let failure = Some((error.code, error.message.clone()));
                if let Err(error) = self.rewrite(key, |note| note.failure = failure).await {
                    tracing::warn!(%error, "a failure cannot be noted");
                }
                let shown = self.entries().get_mut(&key).and_then(|entry| {
                    entry.answer(&answer);
                    entry.shown()
                });
                if let Some(message) = shown {
                    self.tell(Event::Waiting { message });
                }
            }
            Ok(_) => self.settle(key, &answer).await,
        }
        Ok(())
    }

    async fn delete_there(&self, key: u64, id: MessageId) -> Result<(), Away> {
        match self.messenger.delete_message(id).await {
            Err(error) if matches!(error.code, Code::Unreachable | Code::Refused) => Err(Away),
            Err(error) if error.code != Code::NotFound => {
                tracing::warn!(%error, "a deletion is tried again");
                Ok(())
            }
            _ => {
                self.settle(key, &Err(Error::no_such_message())).await;
                Ok(())
            }
        }
    }
}
