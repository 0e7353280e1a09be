//! One face's session: the settings, and the store that they name, opened when it is first asked for. What it answers
//! about itself (`status`, `configure`) is answered also while no store can be opened.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    api::Api,
    clock::SystemClock,
    error::Result,
    folders,
    messenger::Messenger,
    settings::{Configure, Settings, SettingsFile, proposed_name},
    store::{self, Address},
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
    api: OnceCell<Arc<dyn Api>>,
}

impl Session {
    /// A session on the store of this address; nothing is opened yet.
    pub fn new(settings: SettingsFile, address: Address) -> Self {
        Self { settings, address, api: OnceCell::new() }
    }

    /// Every operation. Opens the store if it is not open; where that fails, the next call tries again.
    pub async fn api(&self) -> Result<Arc<dyn Api>> {
        let open = async || {
            let store = store::open(&self.address).await?;
            Ok(Arc::new(Messenger::new(store, self.settings.clone(), Arc::new(SystemClock)).await?) as Arc<dyn Api>)
        };
        self.api.get_or_try_init(open).await.cloned()
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
    pub fn start_empty(&self) -> Result<()> {
        match &self.address {
            Address::Sled { folder } => store::sled::start_empty(folder),
            Address::Memory => Ok(()),
        }
    }
}
