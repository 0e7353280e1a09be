//! What the window sends and the server has not accepted yet: durable in a small store of the window's own, shown as
//! waiting, sent with the same id as soon as the server is there, ended by its own rule.
//!
//! Two records an entry: its text, which is erased by its own deadline like any message, and a note without any text,
//! which outlives it, so that what waited too long can be told, and what was deleted after a first attempt can be deleted
//! on the server too.

mod delivery;
mod entries;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::AbortHandle,
};

use self::entries::{Entry, Shared, Text};
use crate::{
    api::{
        Api, ClaimMessage, GetAllMessages, Konnichiwa, Messages, SetLifetime, Show, Subscribe, Subscription,
        SubscriptionId,
    },
    clock::{StoreClock, SystemClock},
    error::{Code, Error, Result},
    event::Event,
    lifetime::Lifetime,
    message::{Message, MessageId, SaveMessage, Stamp, validate_text},
    messenger::Messenger,
    room::{PutRoom, Room, RoomName},
    store::Store,
};

/// The operations over a server, with an outbox before it.
pub(crate) struct Outbox {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Outbox {
    /// Reads what waits for this server, and begins to send it.
    pub(crate) async fn open(messenger: Arc<Messenger>, store: Arc<dyn Store>, server: String) -> Result<Self> {
        let (texts, notes): (RoomName, RoomName) = ("outbox texts".parse()?, "outbox notes".parse()?);
        let shared = Arc::new(Shared {
            messenger,
            server,
            texts: texts.id(),
            notes: notes.id(),
            entries: Mutex::default(),
            unsent: Mutex::default(),
            ended: AtomicBool::new(false),
            writing: tokio::sync::Mutex::default(),
            clock: StoreClock::new(Arc::new(SystemClock)),
            wake: Notify::new(),
            listeners: Mutex::default(),
            store,
        });
        for room in [texts, notes] {
            shared.store.put_room(PutRoom::ensure(room)).await?;
        }
        shared.load().await?;
        let task = tokio::spawn(shared.clone().deliver()).abort_handle();
        Ok(Self { shared, task })
    }

    /// Sends nothing any more, and lets go of whoever waits for an answer: what waits stays where it is.
    pub(crate) fn end(&self) {
        self.task.abort();
        let mut entries = self.shared.entries();
        self.shared.ended.store(true, Ordering::Relaxed);
        entries.values_mut().for_each(|entry| entry.asking.clear());
    }

    /// How many messages wait to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.entries().values().filter(|entry| entry.waits()).count()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox {{ {:?} }}", self.shared.messenger)
    }
}

/// What waits, then everything that the server and the outbox tell.
async fn forward(
    shared: Arc<Shared>,
    mut told: mpsc::UnboundedReceiver<Event>,
    mut inner: Subscription,
    events: mpsc::Sender<Event>,
) {
    let unsent = std::mem::take(&mut *shared.unsent.lock().unwrap_or_else(PoisonError::into_inner));
    let waiting: Vec<_> = shared.entries().values().filter_map(Entry::shown).collect();
    let first = waiting.into_iter().map(|message| Event::Waiting { message });
    for event in first.chain(unsent.into_iter().map(|id| Event::Unsent { id })) {
        if events.send(event).await.is_err() {
            return;
        }
    }
    loop {
        let event = tokio::select! {
            event = inner.events.recv() => match event {
                Some(event) => event,
                None => return,
            },
            Some(event) = told.recv() => event,
            () = events.closed() => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Api for Outbox {
    async fn save_message(&self, request: SaveMessage) -> Result<Stamp> {
        validate_text(&request.message)?;
        let id = request.id.unwrap_or_else(MessageId::random);
        let (asking, answer) = oneshot::channel();
        if let Some(asking) = self.shared.ask_again(id, asking).await {
            let default = || {
                self.shared.messenger.desk().known(request.room.id()).map_or(Lifetime::DEFAULT, |room| room.lifetime)
            };
            let SaveMessage { room, message, lifetime, once, .. } = request.clone();
            let text = Text { room, message, lifetime: lifetime.unwrap_or_else(default), once };
            if let Err(error) = self.shared.enter(id, text, asking).await {
                tracing::warn!(%error, "the outbox takes nothing; the message goes without it");
                let direct = self.shared.messenger.save_message(SaveMessage { id: Some(id), ..request }).await;
                // Nothing holds it here: that is what has to be said.
                return direct.map_err(|refusal| if refusal.code == Code::Unreachable { error } else { refusal });
            }
        }
        self.shared.wake.notify_one();
        let left = || Error::new(Code::Unreachable, "it waits for its server, and another store is open");
        answer.await.map_err(|_| left())?
    }

    async fn get_message(&self, id: MessageId) -> Result<Message> {
        self.shared.messenger.get_message(id).await
    }

    async fn get_all_messages(&self, request: GetAllMessages) -> Result<Messages> {
        self.shared.messenger.get_all_messages(request).await
    }

    async fn delete_message(&self, id: MessageId) -> Result<()> {
        match self.shared.end_waiting(id).await? {
            true => Ok(()),
            false => self.shared.messenger.delete_message(id).await,
        }
    }

    async fn set_lifetime(&self, request: SetLifetime) -> Result<Stamp> {
        self.shared.messenger.set_lifetime(request).await
    }

    async fn claim_message(&self, request: ClaimMessage) -> Result<String> {
        self.shared.messenger.claim_message(request).await
    }

    async fn list_rooms(&self) -> Result<Vec<Room>> {
        self.shared.messenger.list_rooms().await
    }

    async fn put_room(&self, request: PutRoom) -> Result<Room> {
        self.shared.messenger.put_room(request).await
    }

    async fn konnichiwa(&self) -> Result<Konnichiwa> {
        self.shared.messenger.konnichiwa().await
    }

    async fn events(&self, request: Subscribe) -> Result<Subscription> {
        let (listener, told) = mpsc::unbounded_channel();
        self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        let inner = self.shared.messenger.events(request).await?;
        let (id, (events, received)) = (inner.id, mpsc::channel(256));
        tokio::spawn(forward(self.shared.clone(), told, inner, events));
        Ok(Subscription { id, events: received })
    }

    async fn show(&self, request: Show) -> Result<()> {
        self.shared.messenger.show(request).await
    }

    async fn hide(&self, subscription: SubscriptionId, room: RoomName) -> Result<()> {
        self.shared.messenger.hide(subscription, room).await
    }
}
