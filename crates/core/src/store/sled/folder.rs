//! The folder of an embedded store: its lock, what may be opened, and what is only looked at.
//!
//! | entry | what it is |
//! |---|---|
//! | `LOCK` | held by the owner for as long as it runs; says who it is |
//! | `db/` | sled's files; appears only when it is whole |
//! | `ballast` | room that is set aside: a database on a full disk needs some to be opened again |
//! | `mark` | how much was in `db/` when something was last acknowledged (see `mark` and `log`) |

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::FallocateFlags;

use super::{
    engine::Engine,
    log,
    mark::{self, Mark},
};
use crate::{
    error::{Code, Error, Result},
    folders,
};

/// What sled needs to open, in bytes: some segments and a snapshot.
const BALLAST: u64 = 4 * 1024 * 1024;

/// The folder's lock; the system frees it with the last handle.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    folder: PathBuf,
}

impl Lock {
    /// Takes a folder, which is made if it is missing. Looks before it writes: a folder with other things in it is
    /// left as it is.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let trouble = |error: io::Error| folders::trouble(folder, &error);
        if !is_ours(folder).map_err(trouble)? {
            return Err(foreign(folder));
        }
        folders::private(folder.to_path_buf())?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(folder.join("LOCK")).map_err(trouble)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&mut file)),
            Err(TryLockError::Error(error)) => return Err(trouble(error)),
        }
        let program =
            std::env::current_exe().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let owner = format!("{}, process {}\n", program.unwrap_or_default(), std::process::id());
        file.set_len(0).and_then(|()| file.write_all(owner.as_bytes())).map_err(trouble)?;
        Ok(Self { _file: file, folder: folder.to_path_buf() })
    }

    /// Opens what is in the folder, or makes an empty store there.
    pub(super) fn open(self: &Arc<Self>) -> Result<Engine> {
        let (db, half) = (self.folder.join("db"), self.folder.join("db.new"));
        let trouble = |error: io::Error| folders::trouble(&self.folder, &error);
        if db.exists() {
            self.inspect(&db)?;
            remove_half_snapshots(&db).map_err(trouble)?;
        } else if Mark::exists(&self.folder) {
            return Err(damaged("its database is missing"));
        } else {
            // Made under another name, so that what is called `db` is whole.
            if half.exists() {
                fs::remove_dir_all(&half).map_err(trouble)?;
            }
            Engine::create(&half)?;
            fs::rename(&half, &db).and_then(|()| sync(&self.folder)).map_err(trouble)?;
        }
        let before = Mark::read(&self.folder);
        let closed = before.filter(Mark::is_closed);
        if let Some(mark) = closed {
            Mark { outline: 0, ..mark }.write(&self.folder, true).map_err(trouble)?;
        }
        let engine = Engine::open(&db, self.clone()).inspect_err(|error| {
            if let Some(mark) = closed.filter(|_| matches!(error.code, Code::Corrupt | Code::Unsupported)) {
                self.note(mark, true);
            }
        })?;
        if before.is_some_and(|mark| engine.last_seq() < mark.last_seq) {
            return Err(damaged("it holds less than it held before"));
        }
        self.note(engine.mark(), true);
        Ok(engine)
    }

    /// What sled's log looks like, once sled has ended all its threads, which hold a lock of its own.
    pub(super) fn outline(&self) -> Option<u64> {
        let log = File::open(self.folder.join("db/db")).ok()?;
        log.try_lock().ok()?;
        log::outline(&log).ok()
    }

    /// Notes how much there is.
    pub(super) fn note(&self, mark: Mark, synced: bool) {
        if let Err(error) = mark.write(&self.folder, synced) {
            tracing::debug!(%error, "the mark of the store cannot be written");
        }
    }

    /// Whether the disk has room enough to write, and to keep the ballast.
    pub(super) fn has_room(&self) -> bool {
        let room = rustix::fs::statvfs(&self.folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        room.is_ok_and(|bytes| bytes >= 2 * BALLAST)
    }

    /// Sets room aside, where there is enough, so that a database on a full disk can be opened again and be read.
    pub(super) fn keep_ballast(&self) {
        let path = self.folder.join("ballast");
        if path.exists() || !self.has_room() {
            return;
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let kept = file.and_then(|file| Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, BALLAST)?));
        if let Err(error) = kept {
            tracing::debug!(%error, "no room can be set aside");
            self.drop_ballast();
        }
    }

    pub(super) fn drop_ballast(&self) {
        let _ = fs::remove_file(self.folder.join("ballast"));
    }

    /// Finds what sled would mend in silence or overwrite, without changing anything.
    fn inspect(&self, db: &Path) -> Result<()> {
        let (log, conf) = (db.join("db").is_file(), db.join("conf").is_file());
        match (log, conf) {
            (true, true) => {}
            (false, false) if !Mark::exists(&self.folder) => return Err(foreign(db)),
            _ => return Err(damaged("a file of it is missing")),
        }
        let Some(mark) = Mark::read(&self.folder) else { return Ok(()) };
        if mark::configuration(db) != mark.configuration {
            return Err(damaged("its configuration is not what it was"));
        }
        match log::is_sound(db, &mark) {
            Ok(true) => Ok(()),
            Ok(false) => Err(damaged("a part of it is missing")),
            Err(error) => Err(folders::trouble(db, &error)),
        }
    }
}

/// Whether a folder is missing, a store, or holds nothing but what a store begins with. Looks only.
fn is_ours(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries?,
    };
    if Mark::exists(folder) {
        return Ok(true);
    }
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let begun =
            ["LOCK", "db", "db.new", "ballast", "mark.new"].contains(&&*name) || name.starts_with("db.damaged-");
        if !begun {
            return Ok(false);
        }
    }
    let db = folder.join("db");
    Ok(!db.exists() || db.join("db").is_file() || db.join("conf").is_file())
}

/// A snapshot that was being written when the process ended would be taken for the newest one, and never opened; sled
/// needs none.
fn remove_half_snapshots(db: &Path) -> io::Result<()> {
    for entry in fs::read_dir(db)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Moves a store aside that cannot be opened, so that the next opening makes an empty one. `in_use` where another
/// process has it. What is moved stays as it is.
pub fn start_empty(folder: &Path) -> Result<()> {
    let lock = Lock::take(folder)?;
    let trouble = |error: io::Error| folders::trouble(&lock.folder, &error);
    let aside = (1..).map(|n| folder.join(format!("db.damaged-{n}"))).find(|path| !path.exists());
    if let Some(aside) = aside.filter(|_| folder.join("db").exists()) {
        fs::rename(folder.join("db"), aside).map_err(trouble)?;
    }
    Mark::remove(folder);
    sync(folder).map_err(trouble)
}

fn in_use(lock: &mut File) -> Error {
    let mut owner = String::new();
    let read = lock.rewind().and_then(|()| lock.take(256).read_to_string(&mut owner));
    let owner = owner.trim();
    match read {
        Ok(_) if !owner.is_empty() => Error::new(Code::InUse, format!("the store is open in {owner}")),
        _ => Error::new(Code::InUse, "the store is open in another program"),
    }
}

fn foreign(folder: &Path) -> Error {
    Error::new(Code::Unsupported, format!("{} holds something else", folders::shown(folder)))
}

pub(super) fn damaged(how: &str) -> Error {
    Error::new(Code::Corrupt, format!("the store on this computer is damaged: {how}"))
}
