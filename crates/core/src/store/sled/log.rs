//! sled's log, read as sled would read it before sled is let near it. Where the log is damaged, sled forgets what is
//! missing in silence and overwrites what comes after; here nothing is written. The format is the pinned version's.
//!
//! A log is a file of segments in any order, each with a header that says its place (lsn), then messages. Opening
//! replays what was written since the newest snapshot of the page table.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::mark::Mark;

const SEGMENT: u64 = 512 * 1024;
const SEGMENT_HEADER: usize = 20;
/// Nearer to a segment's end than this no message begins.
const LONGEST_HEADER: usize = 32;
/// Lsns in segment headers are written so that zeros are none.
const MASK: u64 = 0x7FFF_FFFF_FFFF_FFFF;
/// The kind of message that fills what is left of a segment.
const CAP: u8 = 2;
const KINDS: std::ops::RangeInclusive<u8> = 1..=11;

/// How much of a segment can be read.
struct Extent {
    /// The lsn after its last message.
    end: u64,
    /// It was filled, and all of it can be read.
    whole: bool,
}

/// Whether sled would find everything that the mark says was durable; after an orderly end, also whether all that it
/// would replay can be read. A kill may leave a segment half overwritten that was free, which is no damage.
pub(super) fn is_sound(db: &Path, mark: &Mark) -> io::Result<bool> {
    let log = File::open(db.join("db"))?;
    let replayed = match newest_snapshot(db)? {
        Some(path) => match snapshot_lsn(&path)? {
            Some(lsn) => lsn,
            None => return Ok(false),
        },
        None => 0,
    };
    let segments = segments(&log)?;
    let Some((&last, &offset)) = segments.last_key_value() else { return Ok(false) };
    // Once later segments are there, the one of the mark may have been freed and be in use again.
    if last < floor(mark.lsn) || last == floor(mark.lsn) && extent(&log, last, offset)?.end <= mark.lsn {
        return Ok(false);
    }
    if mark.is_closed() {
        if outline(&log)? != mark.outline {
            return Ok(false);
        }
        for (&lsn, &offset) in segments.range(floor(replayed)..last) {
            if !extent(&log, lsn, offset)?.whole {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A digest of the log's length and of where each segment is; never 0.
pub(super) fn outline(log: &File) -> io::Result<u64> {
    let mut outline = log.metadata()?.len().to_le_bytes().to_vec();
    for (lsn, offset) in segments(log)? {
        outline.extend([lsn.to_le_bytes(), offset.to_le_bytes()].concat());
    }
    Ok(u64::from(crc32fast::hash(&outline)) + 1)
}

fn floor(lsn: u64) -> u64 {
    lsn / SEGMENT * SEGMENT
}

/// The segments by their lsn, with their offset. One without a header is free, or lost.
fn segments(log: &File) -> io::Result<BTreeMap<u64, u64>> {
    let mut segments = BTreeMap::new();
    for offset in (0..log.metadata()?.len()).step_by(512 * 1024) {
        let mut header = [0; SEGMENT_HEADER];
        match log.read_exact_at(&mut header, offset) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        let (sum, lsn) = (u32_at(&header, 0), u64_at(&header, 4));
        if let (Some(sum), Some(lsn)) = (sum, lsn)
            && sum == !crc32fast::hash(&header[4..])
        {
            segments.insert(lsn ^ MASK, offset);
        }
    }
    Ok(segments)
}

fn extent(log: &File, lsn: u64, offset: u64) -> io::Result<Extent> {
    let mut bytes = vec![0; 512 * 1024];
    let mut read = 0;
    while read < bytes.len() {
        match log.read_at(&mut bytes[read..], offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    let mut at = SEGMENT_HEADER;
    while at + LONGEST_HEADER <= bytes.len() {
        match message(&bytes[..read], at, lsn / SEGMENT) {
            Some((CAP, _)) => break,
            Some((_, length)) => at += length,
            None => return Ok(Extent { end: lsn + at as u64, whole: false }),
        }
    }
    Ok(Extent { end: lsn + SEGMENT, whole: true })
}

/// The kind and the length of a message, where it can be read and belongs to its segment.
fn message(bytes: &[u8], at: usize, segment: u64) -> Option<(u8, usize)> {
    let message = bytes.get(at..)?;
    let (sum, kind) = (u32_at(message, 0)?, *message.get(4)?);
    let mut header = 5;
    let mut number = || {
        let (number, length) = number(message.get(header..)?)?;
        header += length;
        Some(number)
    };
    let (length, of_segment, _page) = (usize::try_from(number()?).ok()?, number()?, number()?);
    let body = message.get(header..header.checked_add(length)?)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(&message[4..header]);
    let sound = KINDS.contains(&kind) && of_segment == segment && sum == !hasher.finalize();
    sound.then_some((kind, header + length))
}

/// A number of sled's, and how many bytes it takes.
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let byte = |n: usize| bytes.get(n).copied().map(u64::from);
    Some(match *bytes.first()? {
        first @ 0..=240 => (u64::from(first), 1),
        first @ 241..=248 => (240 + 256 * (u64::from(first) - 241) + byte(1)?, 2),
        249 => (2288 + 256 * byte(1)? + byte(2)?, 3),
        first => {
            let length = usize::from(first) - 247;
            let mut number = [0; 8];
            number[..length].copy_from_slice(bytes.get(1..=length)?);
            (u64::from_le_bytes(number), length + 1)
        }
    })
}

fn newest_snapshot(db: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(db)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("snap.") && !name.ends_with(".generating") {
            newest = newest.max(Some(path));
        }
    }
    Ok(newest)
}

/// Up to where a snapshot goes; `None` where it is damaged.
fn snapshot_lsn(path: &Path) -> io::Result<Option<u64>> {
    let bytes = fs::read(path)?;
    let body = bytes.len().checked_sub(12).and_then(|end| bytes.get(..end));
    let sound = body.is_some_and(|body| u32_at(&bytes, bytes.len() - 4) == Some(crc32fast::hash(body)));
    let lsn = path.extension().and_then(|lsn| u64::from_str_radix(&lsn.to_string_lossy(), 16).ok());
    Ok(lsn.filter(|_| sound))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_sled_writes_them() {
        for n in [0, 240, 241, 2_287, 2_288, 67_823, 67_824, 1 << 24, 1 << 32, 1 << 40, 1 << 48, 1 << 56, u64::MAX] {
            let bytes = sled::Serialize::serialize(&n);
            assert_eq!(number(&bytes), Some((n, bytes.len())), "{n}");
            for end in 0..bytes.len() {
                assert_eq!(number(&bytes[..end]), None, "{n}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_message() {
        for length in 0..64 {
            for byte in [0, 1, 200, 249, 255] {
                assert_eq!(message(&vec![byte; length], 0, 1), None);
            }
        }
        assert_eq!(message(b"x", 9, 1), None);
    }
}
