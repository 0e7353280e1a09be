//! The mark beside the database: how far sled's log went when something was last acknowledged. A database that holds less
//! is damaged, and is not opened. An older mark notices less, it never calls a sound store damaged: so it is written
//! after each commit, and synced only when the store is opened and closed.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use sha2::{Digest, Sha256};

const NAME: &str = "mark";

/// What was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last byte of sled's log that was durable: it only grows, where the file may shrink.
    pub(super) lsn: u64,
    /// What the log looks like, once it is closed (see [`super::log::outline`]); else 0.
    pub(super) outline: u64,
    /// The highest seq of any room.
    pub(super) last_seq: u64,
    /// A digest of sled's `conf`: it never changes.
    pub(super) configuration: u64,
}

impl Mark {
    /// `None` where there is none that can be read.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(NAME)).ok()?;
        let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next()?;
        let (lsn, outline, last_seq, configuration) = (next()?, next()?, next()?, next()?);
        let mark = Self { lsn, outline, last_seq, configuration };
        (mark.line() == text).then_some(mark)
    }

    /// Whether the store was closed in order, and nothing was written after that.
    pub(super) fn is_closed(&self) -> bool {
        self.outline != 0
    }

    /// Overwrites the one that is there.
    pub(super) fn write(&self, folder: &Path, synced: bool) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(NAME))?;
        let line = self.line();
        file.write_all_at(line.as_bytes(), 0)?;
        if synced {
            file.set_len(line.len() as u64)?;
            file.sync_all()?;
        }
        Ok(())
    }

    pub(super) fn exists(folder: &Path) -> bool {
        folder.join(NAME).exists()
    }

    pub(super) fn remove(folder: &Path) {
        let _ = fs::remove_file(folder.join(NAME));
    }

    /// Always of one length, so that a new one covers the old one.
    fn line(&self) -> String {
        let Self { lsn, outline, last_seq, configuration } = self;
        let line = format!("{lsn:020} {outline:020} {last_seq:020} {configuration:020}");
        let sum = crc32fast::hash(line.as_bytes());
        format!("{line} {sum:010}\n")
    }
}

/// A digest of the database's configuration.
pub(super) fn configuration(db: &Path) -> u64 {
    let digest = Sha256::digest(fs::read(db.join("conf")).unwrap_or_default());
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_is_not_whole_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Mark { lsn: u64::MAX, outline: 5, last_seq: 7, configuration: 9 };
        assert_eq!(Mark::read(folder.path()), None);
        for mark in [mark, Mark { lsn: 1, outline: 0, ..mark }] {
            mark.write(folder.path(), true).unwrap();
            assert_eq!(Mark::read(folder.path()), Some(mark));
        }
        let path = folder.path().join(NAME);
        let line = fs::read_to_string(&path).unwrap();
        for other in [line.replacen('1', "2", 1), line[..line.len() - 9].to_owned(), "1 2 3 4 5\n".to_owned()] {
            fs::write(&path, other).unwrap();
            assert_eq!(Mark::read(folder.path()), None);
        }
    }
}
