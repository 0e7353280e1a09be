//! `settings.json`: the display name, this device's id, the store's address and the room. Never a secret: the password
//! stands in a file of its own beside it, `password`, for this user alone.
//!
//! Variables (`TEMP_MESSENGER_STORE`, `TEMP_MESSENGER_ROOM`, `TEMP_MESSENGER_PASSWORD`) go before the files; a face's own
//! options before both.

mod server;

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{Code, Error, Result},
    folders,
    message::{Author, validate_name},
    room::RoomName,
    store::{Access, Address, Password},
};

pub use server::{Connect, Tls};

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
    /// How a server is trusted over TLS.
    #[serde(default)]
    pub tls: Tls,
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
        let found = match read(path) {
            Ok(text) => {
                let corrupt = |error: String| {
                    Error::new(Code::Corrupt, format!("{} cannot be read: {error}", folders::shown(path)))
                };
                let found: File = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
                found.settings.name.as_deref().map_or(Ok(()), validate_name).map_err(|error| corrupt(error.message))?;
                found
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (store, tls) = ("sled:".to_owned(), Tls::default());
                let settings = Settings { name: None, store, room: RoomName::lobby(), tls };
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

    /// What opens this address: the variable's password, or the one that is kept, which is for the kept address alone.
    pub fn access(&self, address: &Address) -> Result<Access> {
        let settings = self.file().settings.clone();
        let password = match std::env::var("TEMP_MESSENGER_PASSWORD") {
            Ok(password) => Password::new(password),
            Err(_) if settings.store.parse().is_ok_and(|kept: Address| kept == *address) => self.kept_password()?,
            Err(_) => None,
        };
        settings.tls.access(password)
    }

    fn kept_password(&self) -> Result<Option<Password>> {
        let path = self.password_path();
        match read(&path) {
            Ok(text) => Ok(Password::new(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(folders::trouble(&path, &error)),
        }
    }

    fn password_path(&self) -> PathBuf {
        self.path.with_file_name("password")
    }

    /// The address and access that somebody asks for; a password that is not given is the one kept for that address.
    pub fn wanted(&self, connect: &Connect) -> Result<(Address, Access)> {
        let address: Address = connect.store.trim().parse()?;
        let password = match &connect.password {
            Some(password) => Password::new(password.as_str()),
            None => self.access(&address)?.password,
        };
        Ok((address, connect.tls.clone().access(password)?))
    }

    /// Keeps an address and what opens it, but no password that was not given for it here: a variable's is for its
    /// process alone. An address never meets another one's password, whatever happens between these writes.
    pub fn keep(&self, connect: &Connect, address: &Address, access: &Access) -> Result<()> {
        let mut file = self.file();
        let path = self.password_path();
        let same = file.settings.store.parse().is_ok_and(|kept: Address| kept == *address);
        if !same || connect.password.as_deref() == Some("") {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(folders::trouble(&path, &error)),
                _ => {}
            }
        }
        let mut changed = file.clone();
        changed.settings.store = address.to_string();
        let (certificate, key) = access.certificate.clone().unzip();
        changed.settings.tls = Tls { authority: access.authority.clone(), certificate, key };
        changed.write(&self.path)?;
        *file = changed;
        match connect.password.as_deref().and_then(Password::new) {
            Some(password) => write_whole(&path, password.reveal().as_bytes()),
            None => Ok(()),
        }
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
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("the settings cannot be written: {error}")))?;
        write_whole(path, &text)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LARGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// For this user alone; a new file of a name that nobody else uses, synced, then renamed.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let trouble = |error| folders::trouble(path, &error);
    let mut new = path.to_path_buf().into_os_string();
    new.push(format!(".{}.new", Uuid::new_v4().simple()));
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(trouble)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(trouble)?;
    fs::rename(&new, path).map_err(trouble)
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
    fn a_password_has_a_file_of_its_own_and_stays_with_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let file = SettingsFile::load_from(&path).unwrap();
        let connect = |store: &str, password: Option<&str>| Connect {
            store: store.to_owned(),
            password: password.map(str::to_owned),
            tls: Tls::default(),
        };
        let first = connect("redis://a", Some("swordfish"));
        let (address, access) = file.wanted(&first).unwrap();
        file.keep(&first, &address, &access).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(folder.path().join("password")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).unwrap().contains("swordfish"));
        assert!(!format!("{:?}", connect("redis://a", Some("swordfish"))).contains("swordfish"));
        let again = SettingsFile::load_from(&path).unwrap();
        assert_eq!(again.wanted(&connect("redis://a:6379", None)).unwrap().1.password, access.password);
        assert_eq!(again.wanted(&connect("redis://b", None)).unwrap().1.password, None, "never to another server");
        let second = connect("redis://b", None);
        let (other, nothing) = again.wanted(&second).unwrap();
        again.keep(&second, &other, &nothing).unwrap();
        assert!(!folder.path().join("password").exists());
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
