//! A client of a team's server as its window would be: a messenger over a store, and a list that its events alone change.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use temp_messenger_core::{
    api::{Api, Subscribe, SubscriptionId},
    clock::{Clock, SystemClock},
    event::{Event, Link},
    message::{Message, MessageId, SaveMessage},
    messenger::Messenger,
    room::RoomName,
    settings::{Configure, SettingsFile},
    store::{Access, Password, RedisAddress, Store, redis::RedisStore},
};
use tempfile::TempDir;

/// What the list shows, and what has been told.
#[derive(Debug, Default)]
pub struct Shown {
    pub messages: BTreeMap<u64, Message>,
    pub link: Option<Link>,
    pub forgot: usize,
    pub resets: usize,
    /// An id that was added while it was shown under another seq.
    pub twice: usize,
    pub pages: usize,
    pub more: bool,
}

impl Shown {
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Saved { message } => self.add(message),
            Event::Moved { id, deadline } => {
                if let Some(message) = self.messages.values_mut().find(|message| message.id == id) {
                    message.deadline = deadline;
                }
            }
            Event::Ended { id, .. } => self.messages.retain(|_, message| message.id != id),
            Event::Page { messages, replace, more, .. } => {
                if replace {
                    self.messages.clear();
                }
                self.pages += 1;
                self.more = more;
                messages.into_iter().for_each(|message| self.add(message));
            }
            Event::Reset => self.resets += 1,
            Event::Forgot => self.forgot += 1,
            Event::Link { link } => self.link = Some(link),
            Event::Room { .. } | Event::Waiting { .. } | Event::Accepted { .. } | Event::Unsent { .. } => {}
        }
    }

    fn add(&mut self, message: Message) {
        let elsewhere = self.messages.values().any(|known| known.id == message.id && known.seq != message.seq);
        self.twice += usize::from(elsewhere);
        self.messages.insert(message.seq, message);
    }
}

#[derive(Debug)]
pub struct Client {
    pub store: Arc<dyn Store>,
    pub messenger: Arc<Messenger>,
    pub subscription: SubscriptionId,
    shown: Arc<Mutex<Shown>>,
    task: tokio::task::AbortHandle,
    _folder: TempDir,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Access as `tempmsg` of the restricted servers.
pub fn access() -> Access {
    Access { password: Password::new("swordfish"), ..Access::default() }
}

/// A store at this address, connected.
pub async fn store(url: &str, access: Access) -> Arc<dyn Store> {
    store_on(url, access, Arc::new(SystemClock)).await
}

pub async fn store_on(url: &str, access: Access, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let address: RedisAddress = url.parse().unwrap();
    let store = RedisStore::start(address, access, clock).unwrap();
    store.connected().await.unwrap();
    Arc::new(store)
}

/// Settings of somebody of this name.
pub fn settings(folder: &Path, name: &str) -> SettingsFile {
    let settings = SettingsFile::load_from(&folder.join("settings.json")).unwrap();
    settings.configure(Configure { name: Some(name.to_owned()), room: None }).unwrap();
    settings
}

impl Client {
    /// Follows the lobby of this store on its computer's clock.
    pub async fn join(store: Arc<dyn Store>, name: &str) -> Self {
        Self::join_on(store, name, Arc::new(SystemClock)).await
    }

    pub async fn join_on(store: Arc<dyn Store>, name: &str, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let messenger = Arc::new(Messenger::new(store.clone(), settings(folder.path(), name), clock));
        let mut subscription =
            messenger.events(Subscribe { rooms: vec![RoomName::lobby()], expiry: true }).await.unwrap();
        let shown = Arc::new(Mutex::new(Shown::default()));
        let list = shown.clone();
        let id = subscription.id;
        let task = tokio::spawn(async move {
            while let Some(event) = subscription.events.recv().await {
                list.lock().unwrap().apply(event);
            }
        });
        let client = Self { store, messenger, subscription: id, shown, task: task.abort_handle(), _folder: folder };
        client.until("connected", |shown| matches!(shown.link, Some(Link::Connected { .. }))).await;
        client
    }

    pub fn look<T>(&self, look: impl FnOnce(&Shown) -> T) -> T {
        look(&self.shown.lock().unwrap())
    }

    /// What is shown, in order.
    pub fn ids(&self) -> Vec<MessageId> {
        self.look(|shown| shown.messages.values().map(|message| message.id).collect())
    }

    pub fn texts(&self) -> Vec<String> {
        self.look(|shown| shown.messages.values().map(|message| message.message.clone()).collect())
    }

    /// Waits until the list is as it should be.
    pub async fn until(&self, what: &str, holds: impl Fn(&Shown) -> bool) {
        eventually(what, || self.look(&holds)).await;
    }
}

/// Waits for a condition.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// A message for the lobby.
pub fn text(message: &str, lifetime: &str) -> SaveMessage {
    SaveMessage {
        id: Some(MessageId::random()),
        room: RoomName::lobby(),
        message: message.to_owned(),
        lifetime: Some(lifetime.parse().unwrap()),
        once: false,
    }
}
