//! One face's session: the settings, and the store that they name, opened when it is first asked for. What it answers
//! about itself (`status`, `configure`) is answered also while no store can be opened.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{
    api::Api,
    clock::SystemClock,
    error::Result,
    folders,
    messenger::Messenger,
    settings::{Configure, Settings, SettingsFile, proposed_name},
    store::{self, Address, Store},
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
    /// How many messages wait to be sent.
    pub waiting: u32,
}

/// The settings, and the store that they name.
#[derive(Debug)]
pub struct Session {
    settings: SettingsFile,
    address: Address,
    open: Mutex<Option<Open>>,
}

/// A store that is open, and what is done with it.
#[derive(Debug)]
struct Open {
    api: Arc<dyn Api>,
    store: Weak<dyn Store>,
}

/// How long a close waits for what is under way, in steps.
const CLOSING: Duration = Duration::from_millis(5);
const CLOSING_STEPS: usize = 400;

impl Session {
    /// A session on the store of this address; nothing is opened yet.
    pub fn new(settings: SettingsFile, address: Address) -> Self {
        Self { settings, address, open: Mutex::default() }
    }

    /// Every operation. Opens the store if it is not open, once for all who ask; where that fails, the next call tries
    /// again.
    pub async fn api(&self) -> Result<Arc<dyn Api>> {
        let mut open = self.open.lock().await;
        if let Some(open) = open.as_ref() {
            return Ok(open.api.clone());
        }
        let store = store::open(&self.address).await?;
        let weak = Arc::downgrade(&store);
        let api: Arc<dyn Api> = Arc::new(Messenger::new(store, self.settings.clone(), Arc::new(SystemClock)).await?);
        *open = Some(Open { api: api.clone(), store: weak });
        Ok(api)
    }

    /// Closes the store in order, once its subscriptions have been dropped; gives up after 2 s, as a kill would.
    pub async fn close(&self) {
        let Some(Open { api, store }) = self.open.lock().await.take() else { return };
        drop(api);
        for _ in 0..CLOSING_STEPS {
            if store.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(CLOSING).await;
        }
        tracing::warn!("the store is still in use, and ends with the process");
    }

    /// Where this session stands.
    pub fn status(&self) -> Status {
        let folder = match &self.address {
            Address::Sled { folder } => folders::shown(folder),
            Address::Memory => String::new(),
        };
        Status { settings: self.settings.settings(), proposed_name: proposed_name(), folder, waiting: 0 }
    }

    /// Changes settings; `invalid` where they break a limit.
    pub fn configure(&self, change: Configure) -> Result<Status> {
        self.settings.configure(change)?;
        Ok(self.status())
    }

    /// Where the store is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Moves a damaged embedded store aside, so that the next `api` opens an empty one.
    pub async fn start_empty(&self) -> Result<()> {
        self.close().await;
        store::start_empty(&self.address)
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
            Session::new(settings.clone(), address)
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
