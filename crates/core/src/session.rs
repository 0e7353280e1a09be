//! One face's session: the settings, and the store that they name, opened when it is first asked for. What it answers
//! about itself (`status`, `configure`) is answered also while no store can be opened.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{
    api::{Api, Konnichiwa},
    clock::SystemClock,
    error::{Code, Result},
    folders,
    messenger::Messenger,
    outbox::Outbox,
    settings::{Configure, Connect, Settings, SettingsFile, proposed_name},
    store::{self, Access, Address, Password, RedisStore, Store},
};

/// What `status` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Status {
    /// As they are now.
    pub settings: Settings,
    /// The system's user name, proposed at the first start.
    pub proposed_name: String,
    /// The embedded store's folder as people read it; empty where the store is not on this computer.
    pub folder: String,
    /// The server; absent where the store is on this computer.
    #[cfg_attr(test, ts(optional))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// How many messages wait to be sent.
    pub waiting: usize,
}

/// A server, as far as people need to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Server {
    /// Its host's name.
    pub name: String,
    /// Whether nobody on the way can read what is sent.
    pub private: bool,
}

/// The settings, and the store that they name.
#[derive(Debug)]
pub struct Session {
    settings: SettingsFile,
    target: std::sync::Mutex<(Address, Access)>,
    /// Below which a window keeps what waits for a server; other faces have no outbox, and fail where the server is away.
    data: Option<PathBuf>,
    open: Mutex<Option<Open>>,
}

/// A store that is open, and what is done with it.
#[derive(Debug)]
struct Open {
    api: Arc<dyn Api>,
    outbox: Option<Arc<Outbox>>,
    redis: Option<Arc<RedisStore>>,
    /// All that are open, the embedded one beside a server too, which is open only so that its deadlines are kept.
    stores: Vec<Arc<dyn Store>>,
}

/// Where below a window's data its outbox is.
const OUTBOX: &str = "window";
/// How long a close waits for what is under way, in steps.
const CLOSING: Duration = Duration::from_millis(5);
const CLOSING_STEPS: usize = 400;

impl Session {
    /// A session on the store of this address; nothing is opened yet.
    pub fn new(settings: SettingsFile, address: Address, access: Access) -> Self {
        Self { settings, target: std::sync::Mutex::new((address, access)), data: None, open: Mutex::default() }
    }

    /// The same for a window: what the server cannot take yet waits below this folder of data, and a server that is away
    /// is no error.
    pub fn with_outbox(self, data: PathBuf) -> Self {
        Self { data: Some(data), ..self }
    }

    fn target(&self) -> (Address, Access) {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every operation. Opens the store if it is not open, once for all who ask; where that fails, the next call tries
    /// again.
    pub async fn api(&self) -> Result<Arc<dyn Api>> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref() {
            return Ok(open.api.clone());
        }
        let opened = self.open().await?;
        let api = opened.api.clone();
        *open = Some(opened);
        Ok(api)
    }

    async fn open(&self) -> Result<Open> {
        let (address, access) = self.target();
        let clock = Arc::new(SystemClock);
        let messenger = |store| Arc::new(Messenger::new(store, self.settings.clone(), clock.clone()));
        let sled = async |folder| store::open(&Address::Sled { folder }, &Access::default()).await;
        let (Address::Redis(redis), Some(data)) = (&address, &self.data) else {
            let store = store::open(&address, &access).await?;
            // What waits for a server ends on time also while another store is open.
            let outbox = self.data.as_ref().map(|data| data.join(OUTBOX)).filter(|folder| folder.exists());
            let beside = match outbox {
                Some(folder) => sled(folder).await.ok(),
                None => None,
            };
            let stores = std::iter::once(store.clone()).chain(beside).collect();
            return Ok(Open { api: messenger(store), outbox: None, redis: None, stores });
        };
        let own = sled(data.join(OUTBOX)).await?;
        let redis_store = Arc::new(RedisStore::start(redis.clone(), access, clock.clone())?);
        let store: Arc<dyn Store> = redis_store.clone();
        // Another process may have it, and then keeps its deadlines; this window can do without it.
        let beside = sled(data.join("store")).await.ok();
        let stores = [store.clone(), own.clone()].into_iter().chain(beside).collect();
        let outbox = Arc::new(Outbox::open(messenger(store), own, redis.place()).await?);
        Ok(Open { api: outbox.clone(), outbox: Some(outbox), redis: Some(redis_store), stores })
    }

    /// Closes the store in order, once its subscriptions have been dropped; gives up after 2 s, as a kill would.
    pub async fn close(&self) {
        let Some(Open { api, outbox, redis, stores }) = self.open.lock().await.take() else { return };
        if let Some(outbox) = &outbox {
            outbox.end();
        }
        // Calls under way end with it.
        if let Some(redis) = &redis {
            redis.close().await;
        }
        drop((api, outbox, redis));
        // The last handle is ours, so that the store is closed when it is dropped here.
        for _ in 0..CLOSING_STEPS {
            if stores.iter().all(|store| Arc::strong_count(store) == 1) {
                break;
            }
            tokio::time::sleep(CLOSING).await;
        }
        if stores.iter().any(|store| Arc::strong_count(store) > 1) {
            tracing::warn!("the store is still in use, and ends with the process");
        }
        // It waits for the disk, and no longer than that.
        let _ = tokio::task::spawn_blocking(move || drop(stores)).await;
    }

    /// Where this session stands.
    pub async fn status(&self) -> Status {
        let (address, _) = self.target();
        let folder = match &address {
            Address::Sled { folder } => folders::shown(folder),
            Address::Memory | Address::Redis(_) => String::new(),
        };
        let server = match &address {
            Address::Redis(redis) => Some(Server { name: redis.label(), private: redis.tls || redis.is_loopback() }),
            Address::Memory | Address::Sled { .. } => None,
        };
        let waiting = match self.open.lock().await.as_ref() {
            Some(Open { outbox: Some(outbox), .. }) => outbox.waiting(),
            _ => 0,
        };
        let mut settings = self.settings.settings();
        settings.store = address.to_string();
        Status { settings, proposed_name: proposed_name(), folder, server, waiting }
    }

    /// Changes settings; `invalid` where they break a limit.
    pub async fn configure(&self, change: Configure) -> Result<Status> {
        self.settings.configure(change)?;
        Ok(self.status().await)
    }

    /// Whether a store would answer, without going over to it.
    pub async fn test(&self, connect: Connect) -> Result<Konnichiwa> {
        let (address, access) = self.settings.wanted(&connect)?;
        let store = store::open(&address, &access).await?;
        Messenger::new(store, self.settings.clone(), Arc::new(SystemClock)).konnichiwa().await
    }

    /// Goes over to another store, once that has answered, and keeps it in the settings. `leave` drops what is
    /// subscribed to the one before.
    pub async fn connect(&self, connect: Connect, leave: impl FnOnce()) -> Result<Status> {
        let (address, access) = self.settings.wanted(&connect)?;
        if matches!(address, Address::Redis(_)) {
            store::open(&address, &access).await?.health(true).await?;
        }
        self.settings.keep(&connect, &address, &access)?;
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = (address, access);
        leave();
        self.close().await;
        Ok(self.status().await)
    }

    /// Opens with another password from the next call on, without keeping it.
    pub fn set_password(&self, password: Password) {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).1.password = Some(password);
    }

    /// Where the store is.
    pub fn address(&self) -> Address {
        self.target().0
    }

    /// Moves a damaged embedded store aside, so that the next `api` opens an empty one; of a window on a server, its
    /// outbox, where that is damaged.
    pub async fn start_empty(&self) -> Result<()> {
        self.close().await;
        let address = match (self.address(), &self.data) {
            (Address::Redis(_), Some(data)) => {
                let outbox = Address::Sled { folder: data.join(OUTBOX) };
                match store::open(&outbox, &Access::default()).await {
                    Err(error) if error.code == Code::Corrupt => outbox,
                    opened => return opened.map(drop),
                }
            }
            (address, _) => address,
        };
        store::start_empty(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Subscribe, message::SaveMessage, room::RoomName};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_session_that_is_closed_has_given_up_its_store() {
        let home = tempfile::tempdir().unwrap();
        let settings = SettingsFile::load_from(&home.path().join("settings.json")).unwrap();
        let session = || {
            let address = Address::Sled { folder: home.path().join("store") };
            Session::new(settings.clone(), address, Access::default())
        };
        let first = session();
        let api = first.api().await.unwrap();
        let subscription = api.events(Subscribe::default()).await.unwrap();
        let message = "kept".to_owned();
        let request = SaveMessage { id: None, room: RoomName::lobby(), message, lifetime: None, once: false };
        let id = api.save_message(request).await.unwrap().id;
        drop((api, subscription));
        first.close().await;
        let second = session();
        assert_eq!(second.api().await.unwrap().get_message(id).await.unwrap().message, "kept");
        assert_eq!(first.api().await.unwrap_err().code, crate::error::Code::InUse);
        // Also a store that is open here can be put aside.
        second.start_empty().await.unwrap();
        assert!(second.api().await.unwrap().get_message(id).await.is_err());
    }
}
