//! The team's store: a Redis 7 (or Valkey 8) server that every window looks at.
//!
//! ```text
//! RedisStore --(calls)--> session --> one pair of connections to the one server --> scripts (*.lua)
//!     |                     |  ^
//!     |                     |  +-- server: named, told by Sentinels, pointed to by a Cluster
//!     +<--(changes)-- feed -+-- janitor: erases what is due, by a lease
//! ```
//! `address` and `access` say where and with what; `keys` names keys; `reply` reads what anybody may have written;
//! `fault` sorts failures by what to do about them; `audit` looks at the server itself.

mod access;
mod address;
mod audit;
mod fault;
mod feed;
mod janitor;
mod keys;
mod pair;
mod reply;
mod scripts;
mod server;
mod session;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use async_trait::async_trait;
use redis::Value;
use tokio::task::JoinHandle;

use self::{
    reply::Foreign,
    scripts::Call,
    server::Target,
    session::{Answer, Session},
};
use super::{
    Changes, Health, LARGEST_PAGE, NewRecord, Page, Record, Store, changes_of, seen_by_somebody_else, validate,
};
use crate::{
    clock::{Clock, Stopwatch},
    error::{Code, Error, Result},
    lifetime::{Lifetime, Millis},
    message::{MessageId, Stamp},
    room::{PutRoom, Room, RoomId},
};
pub use access::{Access, Password};
pub use address::{Finder, Host, RedisAddress};
pub use fault::is_about_password;

/// How long after it was made a save may still be accepted, in ms: what waits in a dead connection's buffer longer than
/// that is refused, because its id may no longer be remembered.
const SAVE_AGES: Millis = 10 * 60_000;
/// A room's last activity is noted once in this many ms.
const ACTIVITY_NOTED: Millis = 60 * 60_000;
/// The most bytes of one piece of a page.
const PAGE_BYTES: usize = 256 * 1024;
/// How long ago a call that had to be repeated was first made, at most, in ms.
const REPEATED: Millis = 10_000;
/// How often a change that others overtook is made anew.
const OVERTAKEN: usize = 8;

/// A team's store.
pub struct RedisStore {
    session: Arc<Session>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl RedisStore {
    /// Begins to connect, and goes on until it is dropped; an unreachable server is no error here. `invalid` for a TLS
    /// file that cannot be used. Must be called inside a tokio runtime.
    pub fn start(address: RedisAddress, access: Access, clock: Arc<dyn Clock>) -> Result<Self> {
        let session = Arc::new(Session::new(Target::new(address, access)?, clock));
        let keeper = Mutex::new(Some(tokio::spawn(session.clone().keep())));
        Ok(Self { session, keeper })
    }

    /// Ends its connections: calls under way fail, the lease is given back.
    pub async fn close(&self) {
        self.session.close();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // It ended by a panic, which was told.
            let _ = keeper.await;
        }
    }

    /// Waits until the first tries have come to something: `unreachable`, also where they take over 10 s, or `refused`
    /// (user, password, rights, trust).
    pub async fn connected(&self) -> Result<()> {
        self.session.settled().await
    }

    async fn ask(&self, call: &Call) -> Result<Value> {
        Ok(self.session.call(call).await?.value)
    }

    /// The room that a message's header names, for the keys of what is done with it; any other where there is none.
    async fn room_of(&self, id: MessageId) -> Result<RoomId> {
        let call = Call::command("GETRANGE").arg(self.session.target.keys.message(id)).arg(25).arg(40);
        let found = self.ask(&call).await?;
        Ok(RoomId(reply::bytes(&found)?.try_into().unwrap_or_default()))
    }

    /// A room, and its field; a field that somebody garbled holds none.
    async fn room(&self, id: RoomId) -> Result<Option<(Option<Room>, Vec<u8>)>> {
        let keys = &self.session.target.keys;
        let found = self.ask(&Call::command("HGET").arg(keys.rooms()).arg(&id.0[..])).await?;
        match &found {
            Value::Nil => Ok(None),
            value => {
                let value = reply::bytes(value)?;
                Ok(Some((reply::room(&id.0, value, 0).map(|(room, _)| room), value.to_vec())))
            }
        }
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.session.close();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore {{ {} }}", self.session.target.address)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn save(&self, new: NewRecord) -> Result<Stamp> {
        validate(&new.payload, new.once.as_deref())?;
        let keys = &self.session.target.keys;
        let mut declared =
            vec![keys.message(new.id), keys.order(new.room), keys.deadlines(), keys.dead(), keys.log(), keys.rooms()];
        declared.extend(new.once.is_some().then(|| keys.once(new.id)));
        let not_after = new.not_after.unwrap_or_else(|| self.session.time.now() + SAVE_AGES);
        let mut call = Call::script(&scripts::SAVE, &declared)
            .arg(&new.id.as_bytes()[..])
            .arg(&new.room.0[..])
            .arg(new.lifetime.millis())
            .arg(not_after)
            .arg(reply::body(new.room, new.once.is_some(), &new.payload))
            .arg(ACTIVITY_NOTED);
        if let Some(once) = &new.once {
            call = call.arg(once);
        }
        let asked = self.session.time.asked();
        let stamp = reply::stamp(new.id, &self.ask(&call).await?)?;
        self.session.time.sample(stamp.now, asked);
        Ok(stamp)
    }

    async fn get(&self, id: MessageId) -> Result<Record> {
        let call = Call::command("GETRANGE").arg(self.session.target.keys.message(id)).arg(0);
        // One byte more than the largest, so that what is too long is known for it.
        let found = self.ask(&call.arg(reply::HEADER + super::LARGEST_PAYLOAD)).await?;
        let value = reply::bytes(&found)?;
        if value.is_empty() {
            return Err(Error::no_such_message());
        }
        self.session.record(id, value).map_err(|foreign| match foreign {
            Foreign::Newer => Error::new(Code::Unsupported, "this message needs a newer version"),
            Foreign::Malformed => reply::unexpected(),
        })
    }

    async fn page(&self, room: RoomId, before: Option<u64>, limit: usize) -> Result<Page> {
        let keys = &self.session.target.keys;
        let limit = limit.clamp(1, LARGEST_PAGE);
        let (mut records, mut newer, mut now) = (Vec::<Record>::new(), 0, 0);
        let asked = self.session.time.asked();
        let mut cursor = before.map_or_else(|| b"+inf".to_vec(), |seq| format!("({seq}").into_bytes());
        // In pieces that a slow line can carry before its time-out.
        while !cursor.is_empty() && records.len() <= limit {
            let call = Call::script(&scripts::PAGE, &[keys.order(room)]).arg(&cursor).arg(limit + 1 - records.len());
            let answer = self.ask(&call.arg(keys.messages()).arg(PAGE_BYTES)).await?;
            let [time, next, rest @ ..] = reply::array(&answer)? else { return Err(reply::unexpected()) };
            now = reply::number(time)?;
            cursor = reply::bytes(next)?.to_vec();
            for [id, value] in rest.as_chunks::<2>().0 {
                let Ok(id) = reply::bytes(id)?.try_into().map(MessageId::from_bytes) else { continue };
                // A record under another room's order is not where it belongs.
                match self.session.record(id, reply::bytes(value)?) {
                    Ok(record) => records.extend(Some(record).filter(|record| record.room == room)),
                    Err(foreign) => newer += usize::from(foreign == Foreign::Newer),
                }
            }
            // What was in an earlier piece may have ended; the next fills its place.
            records.retain(|record| record.deadline > now);
        }
        self.session.time.sample(now, asked);
        let more = records.len() > limit;
        records.truncate(limit);
        Ok(Page { records, newer, more, now })
    }

    async fn delete(&self, id: MessageId) -> Result<()> {
        let keys = &self.session.target.keys;
        for _ in 0..OVERTAKEN {
            let room = self.room_of(id).await?;
            let declared =
                [keys.message(id), keys.order(room), keys.deadlines(), keys.dead(), keys.log(), keys.once(id)];
            let call = Call::script(&scripts::DELETE, &declared).arg(&id.as_bytes()[..]).arg(&room.0[..]);
            let Answer { value, repeated } = self.session.call(&call).await?;
            match reply::word(&value)? {
                b"again" => {}
                b"deleted" => return Ok(()),
                // The answer that said so was lost.
                b"dead" if repeated => return Ok(()),
                _ => return Err(Error::no_such_message()),
            }
        }
        Err(overtaken_too_often())
    }

    async fn set_lifetime(
        &self,
        id: MessageId,
        seen_deadline: Millis,
        remaining: Lifetime,
        payload: Option<Vec<u8>>,
    ) -> Result<Stamp> {
        validate(payload.as_deref().unwrap_or_default(), None)?;
        let keys = &self.session.target.keys;
        let found = self.get(id).await?;
        let declared =
            [keys.message(id), keys.order(found.room), keys.deadlines(), keys.log(), keys.once(id), keys.rooms()];
        let mut call = Call::script(&scripts::SET_LIFETIME, &declared)
            .arg(&id.as_bytes()[..])
            .arg(&found.room.0[..])
            .arg(remaining.millis())
            .arg(seen_deadline);
        if let Some(payload) = payload {
            call = call.arg(reply::body(found.room, found.once, &payload));
        }
        let Answer { value, repeated } = self.session.call(&call).await?;
        match reply::stamp(id, &value) {
            // The answer that said so may have been lost: then its deadline is what this call made it.
            Err(error) if error.code == Code::Taken && repeated => {
                let (found, now) = (self.get(id).await?, self.now().await?);
                let made =
                    (now.saturating_sub(REPEATED)..=now).contains(&found.deadline.saturating_sub(remaining.millis()));
                if made { Ok(found.stamp(now)) } else { Err(error) }
            }
            answer => answer,
        }
    }

    async fn claim(&self, id: MessageId, nonce: [u8; 16]) -> Result<Vec<u8>> {
        let keys = &self.session.target.keys;
        let room = self.room_of(id).await?;
        let declared = [
            keys.message(id),
            keys.order(room),
            keys.deadlines(),
            keys.dead(),
            keys.log(),
            keys.once(id),
            keys.seen(id),
        ];
        let call = Call::script(&scripts::CLAIM, &declared).arg(&id.as_bytes()[..]).arg(&room.0[..]).arg(&nonce[..]);
        let answer = self.ask(&call).await?;
        match (reply::word(&answer)?, reply::array(&answer)?) {
            (b"ok", [_, body]) => Ok(reply::bytes(body)?.to_vec()),
            (b"taken", _) => Err(seen_by_somebody_else()),
            (b"not_once", _) => Err(Error::new(Code::Invalid, "this message is not to be seen once")),
            _ => Err(Error::no_such_message()),
        }
    }

    async fn rooms(&self) -> Result<Vec<Room>> {
        let keys = &self.session.target.keys;
        let call = Call::script(&scripts::ROOMS, &[keys.rooms(), keys.deadlines()]).arg(keys.orders());
        let mut rooms = reply::rooms(&self.ask(&call).await?)?;
        rooms.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rooms)
    }

    async fn put_room(&self, put: PutRoom) -> Result<Room> {
        let keys = &self.session.target.keys;
        let id = put.name.id();
        for _ in 0..OVERTAKEN {
            let found = self.room(id).await?;
            let (before, seen) = found.unwrap_or_default();
            let room = put.clone().applied_to(before.clone())?;
            if before.as_ref() == Some(&room) {
                return Ok(room);
            }
            let call = Call::script(&scripts::PUT_ROOM, &[keys.rooms(), keys.log()]).arg(&id.0[..]).arg(seen);
            let answer = self.ask(&call.arg(reply::room_value(&room, self.now().await?))).await?;
            if reply::array(&answer)?.first().map(reply::number).transpose()? == Some(1) {
                return Ok(room);
            }
        }
        Err(overtaken_too_often())
    }

    async fn health(&self, urgent: bool) -> Result<Health> {
        if urgent {
            self.session.urge();
        }
        // The first answer may have waited for a connection.
        let pair = self.session.pair().await?;
        let (watch, asked) = (Stopwatch::start(), self.session.time.asked());
        let now = self.now().await?;
        let round_trip = watch.millis();
        self.session.time.sample(now, asked);
        let (kind, version) = pair.server.clone();
        let findings = self.session.findings(&pair).await;
        let skipped = self.session.skipped.load(Ordering::Relaxed);
        Ok(Health { kind, version, round_trip, now, findings, skipped })
    }

    fn changes(&self) -> Changes {
        changes_of(self.session.changes.subscribe())
    }
}

impl RedisStore {
    /// The server's clock.
    async fn now(&self) -> Result<Millis> {
        reply::time(&self.ask(&Call::command("TIME")).await?)
    }
}

fn overtaken_too_often() -> Error {
    Error::new(Code::Taken, "others change the same all the time")
}
