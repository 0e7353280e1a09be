//! `settings.json`: the display name, this device's id, the store's address and the room. Never a secret.
//!
//! Variables (`TEMP_MESSENGER_STORE`, `TEMP_MESSENGER_ROOM`) go before the file; a face's own options before both.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{Code, Error, Result},
    folders,
    message::{Author, validate_name},
    room::RoomName,
    store::Address,
};

/// A settings file larger than this is not ours, in bytes.
const LARGEST_FILE: u64 = 64 * 1024;

/// What people may see and change of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Settings {
    /// The display name; absent until the first start is over.
    pub name: Option<String>,
    /// The store's address.
    pub store: String,
    /// The room that is open.
    pub room: RoomName,
}

/// What `configure` takes: what is given is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Configure {
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub name: Option<String>,
    /// The room that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub room: Option<RoomName>,
}

/// The file as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    device: Uuid,
    #[serde(flatten)]
    settings: Settings,
}

/// The settings of this user, and where they are kept. A cheap clone: all clones see a change.
#[derive(Clone, Debug)]
pub struct SettingsFile {
    path: Arc<Path>,
    file: Arc<Mutex<File>>,
}

impl SettingsFile {
    /// Reads this user's settings; makes them, with a new device id, where there are none. `corrupt` for a file that
    /// cannot be read as settings: it is left as it is.
    pub fn load() -> Result<Self> {
        // Another room than the one that was meant would have the wrong readers.
        std::env::var("TEMP_MESSENGER_ROOM").map_or(Ok(()), |room| room.parse::<RoomName>().map(drop))?;
        Self::load_from(&folders::config()?.join("settings.json"))
    }

    /// The same from another file.
    pub fn load_from(path: &Path) -> Result<Self> {
        let found = match fs::File::open(path) {
            Ok(file) => {
                let mut text = String::new();
                let read = file.take(LARGEST_FILE).read_to_string(&mut text);
                read.map_err(|error| folders::trouble(path, &error))?;
                let corrupt = |error: String| {
                    Error::new(Code::Corrupt, format!("{} cannot be read: {error}", folders::shown(path)))
                };
                let found: File = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
                found.settings.name.as_deref().map_or(Ok(()), validate_name).map_err(|error| corrupt(error.message))?;
                found
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let settings = Settings { name: None, store: "sled:".to_owned(), room: RoomName::lobby() };
                let new = File { device: Uuid::new_v4(), settings };
                new.write(path)?;
                new
            }
            Err(error) => return Err(folders::trouble(path, &error)),
        };
        Ok(Self { path: path.into(), file: Arc::new(Mutex::new(found)) })
    }

    /// The settings as the environment has them.
    pub fn settings(&self) -> Settings {
        let mut settings = self.file().settings.clone();
        if let Ok(store) = std::env::var("TEMP_MESSENGER_STORE") {
            settings.store = store;
        }
        if let Some(room) = std::env::var("TEMP_MESSENGER_ROOM").ok().and_then(|room| room.parse().ok()) {
            settings.room = room;
        }
        settings
    }

    /// Where the store is.
    pub fn address(&self) -> Result<Address> {
        self.settings().store.parse()
    }

    /// Who speaks on this device; before the first start, by the system's user name.
    pub fn author(&self) -> Author {
        let file = self.file();
        Author { device: file.device, name: file.settings.name.clone().unwrap_or_else(proposed_name) }
    }

    /// Changes what is given, on the disk first.
    pub fn configure(&self, change: Configure) -> Result<()> {
        let mut file = self.file();
        let mut changed = file.clone();
        if let Some(name) = change.name {
            validate_name(&name)?;
            changed.settings.name = Some(name.trim().to_owned());
        }
        if let Some(room) = change.room {
            changed.settings.room = room;
        }
        changed.write(&self.path)?;
        *file = changed;
        Ok(())
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    /// Whole or not at all: a new file, synced, then renamed.
    fn write(&self, path: &Path) -> Result<()> {
        let trouble = |error| folders::trouble(path, &error);
        let new = path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("the settings cannot be written: {error}")))?;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(trouble)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(trouble)?;
        fs::rename(&new, path).map_err(trouble)
    }
}

/// The system's user name, as a proposal.
pub fn proposed_name() -> String {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(|variable| std::env::var(variable).ok());
    named.into_iter().find(|name| validate_name(name).is_ok()).unwrap_or_else(|| "me".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_and_name_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let first = SettingsFile::load_from(&path).unwrap();
        first.configure(Configure { name: Some(" Ana ".to_owned()), room: None }).unwrap();
        let second = SettingsFile::load_from(&path).unwrap();
        assert_eq!(second.author(), first.author());
        assert_eq!(second.author().name, "Ana");
    }

    #[test]
    fn a_file_that_is_not_ours_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let device = Uuid::nil();
        for name in ["7".to_owned(), "\"\"".to_owned(), format!("\"{}\"", "x".repeat(65))] {
            let text = format!(r#"{{"device": "{device}", "name": {name}, "store": "sled:", "room": "lobby"}}"#);
            fs::write(&path, &text).unwrap();
            assert_eq!(SettingsFile::load_from(&path).unwrap_err().code, Code::Corrupt);
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_bad_name_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let file = SettingsFile::load_from(&path).unwrap();
        let before = fs::read(&path).unwrap();
        for name in ["", "  ", "a\nb", &"x".repeat(65)] {
            let change = Configure { name: Some(name.to_owned()), room: None };
            assert_eq!(file.configure(change).unwrap_err().code, Code::Invalid, "{name:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
