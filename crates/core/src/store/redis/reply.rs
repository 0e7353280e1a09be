//! What a server answers, read into types. Anybody may have written what stands under our keys: every value is bounded
//! and parsed, and what cannot be read is skipped and counted.

use redis::Value;

use crate::{
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{Room, RoomId, RoomName},
    store::{LARGEST_PAYLOAD, ROOM_KEPT, Record, no_such_room},
};

/// What stands before a payload: seq, accepted, deadline (8 bytes each, the highest first), version, room, flags.
pub(super) const HEADER: usize = 42;
/// The version of a record that this program writes, and the only one it reads.
const VERSION: u8 = 1;
/// A record's flag: to be seen once.
const ONCE: u8 = 1;

/// The part of a record that does not depend on the server's clock: version, room, flags, payload.
pub(super) fn body(room: RoomId, once: bool, payload: &[u8]) -> Vec<u8> {
    [&[VERSION], &room.0[..], &[u8::from(once) * ONCE], payload].concat()
}

/// Why a value under one of our keys is no record of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// Written by a newer version of ours.
    Newer,
    /// Anything else.
    Malformed,
}

/// A record of the value under a message's key.
pub(super) fn record(id: MessageId, value: &[u8]) -> Result<Record, Foreign> {
    let (header, payload) = value.split_at_checked(HEADER).ok_or(Foreign::Malformed)?;
    let number = |at: usize| header[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    match header[24] {
        VERSION => {}
        // No number of ours will be higher for long.
        version if (VERSION + 1..32).contains(&version) => return Err(Foreign::Newer),
        _ => return Err(Foreign::Malformed),
    }
    let (seq, accepted, deadline) = (number(0), number(8), number(16));
    let room = RoomId(header[25..41].try_into().map_err(|_| Foreign::Malformed)?);
    // Numbers that the window could not count with are not ours.
    let sound = seq < 1 << 53 && accepted < deadline && deadline - accepted <= Lifetime::LONGEST.millis();
    if !sound || payload.len() > LARGEST_PAYLOAD || header[41] > ONCE {
        return Err(Foreign::Malformed);
    }
    Ok(Record { id, room, seq, accepted, deadline, once: header[41] == ONCE, payload: payload.to_vec() })
}

/// A room as its field holds it, with its last activity.
pub(super) fn room(id: &[u8], value: &[u8], live: u64) -> Option<(Room, Millis)> {
    let (head, name) = value.split_at_checked(25)?;
    let number = |at: usize| head[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let name: RoomName = std::str::from_utf8(name).ok()?.parse().ok()?;
    let lifetime = Lifetime::from_millis(number(1)).ok()?;
    let longest = Lifetime::from_millis(number(9)).ok()?;
    let sound = head[0] == VERSION && name.id().0 == id && lifetime <= longest;
    sound.then(|| (Room { name, lifetime, longest, live }, number(17)))
}

/// A room's field.
pub(super) fn room_value(room: &Room, active: Millis) -> Vec<u8> {
    let mut value = vec![VERSION];
    for number in [room.lifetime.millis(), room.longest.millis(), active] {
        value.extend(number.to_be_bytes());
    }
    value.extend(room.name.as_str().as_bytes());
    value
}

/// The rooms of `rooms.lua`, but those that are forgotten; with the server's now.
pub(super) fn rooms(answer: &Value) -> Result<Vec<Room>> {
    let [now, parts @ ..] = array(answer)? else { return Err(unexpected()) };
    let (now, parts) = (number(now)?, parts.as_chunks::<3>().0);
    let read = |[id, value, live]: &[Value; 3]| room(bytes(id).ok()?, bytes(value).ok()?, number(live).ok()?);
    let kept =
        parts.iter().filter_map(read).filter(|(room, active)| room.live > 0 || active.saturating_add(ROOM_KEPT) > now);
    Ok(kept.map(|(room, _)| room).collect())
}

/// The stamp of a script that answers `{'saved', seq, accepted, deadline, now}`, or why there is none.
pub(super) fn stamp(id: MessageId, answer: &Value) -> Result<Stamp> {
    let parts = array(answer)?;
    let part = |at: usize| parts.get(at).ok_or_else(unexpected).and_then(number);
    match word(answer)? {
        b"saved" => Ok(Stamp { id, seq: part(1)?, accepted: part(2)?, deadline: part(3)?, now: part(4)? }),
        b"ended" => Err(crate::store::ended()),
        b"no_room" => Err(no_such_room()),
        b"gone" => Err(Error::no_such_message()),
        b"moved" => Err(Error::new(Code::Taken, "its lifetime has been changed meanwhile")),
        b"too_long" => Err(match Lifetime::from_millis(part(1)?) {
            Ok(longest) => Error::new(Code::OutOfRange, format!("a message lives at most {longest} in this room")),
            Err(error) => error,
        }),
        _ => Err(unexpected()),
    }
}

/// The word that an answer of ours begins with.
pub(super) fn word(answer: &Value) -> Result<&[u8]> {
    array(answer)?.first().ok_or_else(unexpected).and_then(bytes)
}

pub(super) fn array(value: &Value) -> Result<&[Value]> {
    match value {
        Value::Array(parts) => Ok(parts),
        _ => Err(unexpected()),
    }
}

pub(super) fn bytes(value: &Value) -> Result<&[u8]> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.as_bytes()),
        Value::Okay => Ok(b"OK"),
        _ => Err(unexpected()),
    }
}

/// What a server says of itself, as far as people can be shown it: 64 printable characters at most.
pub(super) fn printable(value: &Value) -> Option<String> {
    let text = bytes(value).ok()?.iter().filter(|byte| (b' '..=b'~').contains(byte));
    Some(text.take(64).map(|byte| char::from(*byte)).collect())
}

pub(super) fn number(value: &Value) -> Result<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| unexpected()),
        other => std::str::from_utf8(bytes(other)?).ok().and_then(|text| text.parse().ok()).ok_or_else(unexpected),
    }
}

/// What TIME answers, in ms.
pub(super) fn time(answer: &Value) -> Result<Millis> {
    match array(answer)? {
        [seconds, micros] => Ok(number(seconds)? * 1_000 + number(micros)? / 1_000),
        _ => Err(unexpected()),
    }
}

/// The value of a name in a flat list of names and values.
pub(super) fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    let pairs = array(list).ok()?.as_chunks::<2>().0;
    pairs.iter().find(|[key, _]| bytes(key).is_ok_and(|key| key == name.as_bytes())).map(|[_, value]| value)
}

pub(super) fn unexpected() -> Error {
    Error::new(Code::Corrupt, "the server holds something else where the messages should be")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_foreign_bytes_are_refused() {
        let (id, room) = (MessageId::random(), RoomName::lobby().id());
        let mut value = [5_u64, 100, 1_100].iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>();
        value.extend(body(room, true, b"hello"));
        let found = record(id, &value).unwrap();
        assert_eq!((found.seq, found.accepted, found.deadline, found.once), (5, 100, 1_100, true));
        assert_eq!((found.room, found.payload.as_slice()), (room, &b"hello"[..]));
        for end in 0..HEADER {
            assert_eq!(record(id, &value[..end]), Err(Foreign::Malformed));
        }
        let changed = |at: usize, byte: u8| {
            let mut value = value.clone();
            value[at] = byte;
            record(id, &value).unwrap_err()
        };
        assert_eq!(changed(24, 2), Foreign::Newer);
        assert_eq!(
            (changed(24, 0), changed(41, 9), changed(16, 9), changed(0, 255)),
            (Foreign::Malformed, Foreign::Malformed, Foreign::Malformed, Foreign::Malformed)
        );
    }

    #[test]
    fn a_room_is_read_back_under_its_own_name_alone() {
        let lobby = Room { name: RoomName::lobby(), lifetime: Lifetime::DEFAULT, longest: Lifetime::LONGEST, live: 3 };
        let (value, id) = (room_value(&lobby, 77), lobby.name.id().0);
        assert_eq!(room(&id, &value, 3), Some((lobby, 77)));
        assert_eq!(room(&[0; 16], &value, 3), None);
        for end in 0..value.len() {
            assert_eq!(room(&id, &value[..end], 3), None);
        }
    }
}
