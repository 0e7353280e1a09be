//! Who erases: one client at a time, by a lease. It sleeps until the next deadline of the space, whatever its room, and
//! reaps what is due; ids first, then a script that declares its keys and judges again.

use std::sync::Arc;

use super::{
    fault::Fault,
    keys,
    pair::Pair,
    reply,
    scripts::{self, Call},
    session::Session,
};
use crate::{
    lifetime::Millis,
    room::RoomId,
    store::{Change, ROOM_KEPT},
};

/// How long a lease is good without being renewed, and how often it is renewed, in ms.
const LEASE: Millis = 2_000;
const RENEWING: Millis = 500;
/// How often somebody without the lease asks for it, in ms.
const ASKING: Millis = 1_000;
/// The most messages of one reaping.
const REAPED: usize = 500;
/// How often rooms are looked over for those that nobody uses, in ms.
const LOOKING_OVER: Millis = 60 * 60_000;
/// A step of the server's clock over this is told, in ms.
const NOTICED_STEP: Millis = 250;

/// Reaps as long as the pair stands.
pub(super) async fn run(session: &Session, pair: &Arc<Pair>) -> Fault {
    let mut janitor = Janitor { session, pair, looked_over: None, offset: None };
    if let Err(fault) = janitor.look_at_the_clock().await {
        return fault;
    }
    // Whoever comes for a moment leaves the lease to those who stay.
    let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
    session.sleep(RENEWING / 2 + RENEWING * Millis::from(random) / 255).await;
    loop {
        match janitor.turn().await {
            Ok(span) => session.sleep(span).await,
            Err(Fault::Lost(error)) => return Fault::Lost(error),
            Err(Fault::Answer(error)) => {
                tracing::warn!(%error, "erasing is late");
                session.sleep(ASKING).await;
            }
        }
    }
}

/// Gives the lease back, if this session has it.
pub(super) async fn release(session: &Session, pair: &Pair) -> Result<(), Fault> {
    let call = Call::script(&scripts::RELEASE, &[session.target.keys.janitor()]).arg(&session.me);
    pair.send(&call).await.map(drop)
}

struct Janitor<'a> {
    session: &'a Session,
    pair: &'a Arc<Pair>,
    /// When the rooms were last looked over, on the boot clock.
    looked_over: Option<Millis>,
    /// The server's clock less ours since boot, and how long it took to learn that.
    offset: Option<(i128, Millis)>,
}

impl Janitor<'_> {
    /// Does what is due, and answers with how long to sleep.
    async fn turn(&mut self) -> Result<Millis, Fault> {
        let keys = &self.session.target.keys;
        let asked = self.session.clock.boot();
        let lease = Call::script(&scripts::LEASE, &[keys.janitor(), keys.deadlines(), keys.dead(), keys.log()]);
        let answer = self.pair.send(&lease.arg(&self.session.me).arg(LEASE)).await?;
        let part = |at: usize| reply::array(&answer)?.get(at).ok_or_else(reply::unexpected).and_then(reply::number);
        let (mine, now, next) = (part(0)? == 1, part(1)?, part(2)?);
        self.notice(now, asked);
        if !mine {
            return Ok(ASKING);
        }
        if next > 0 && next <= now {
            self.reap(now).await?;
            return Ok(0);
        }
        if self.looked_over.is_none_or(|at| asked.saturating_sub(at) > LOOKING_OVER) {
            self.looked_over = Some(asked);
            self.forget_rooms().await?;
        }
        let late = self.session.clock.boot().saturating_sub(asked);
        Ok(if next > 0 { (next - now).saturating_sub(late).clamp(1, RENEWING) } else { RENEWING })
    }

    async fn look_at_the_clock(&mut self) -> Result<(), Fault> {
        let asked = self.session.clock.boot();
        let answer = self.pair.send(&Call::command("TIME")).await?;
        self.notice(reply::time(&answer)?, asked);
        Ok(())
    }

    /// A server's clock that was set makes every countdown wrong: whoever shows messages reads again.
    fn notice(&mut self, now: Millis, asked: Millis) {
        let heard = self.session.clock.boot();
        let took = heard.saturating_sub(asked);
        self.session.time.sample(now, asked);
        let offset = i128::from(now) - i128::from(heard);
        let stepped = |(before, slow): (i128, Millis)| before.abs_diff(offset) > u128::from(NOTICED_STEP + took + slow);
        if self.offset.is_some_and(stepped) {
            self.session.tell(Change::Reset);
        }
        self.offset = Some((offset, took));
    }

    async fn reap(&self, now: Millis) -> Result<(), Fault> {
        let keys = &self.session.target.keys;
        let due = Call::command("ZRANGE").arg(keys.deadlines()).arg("-inf").arg(now).arg("BYSCORE");
        let due = self.pair.send(&due.arg("LIMIT").arg(0).arg(REAPED)).await?;
        let (mut declared, mut members) = (vec![keys.deadlines(), keys.dead()], Vec::new());
        for member in reply::array(&due)? {
            let bytes = reply::bytes(member)?;
            match keys::member(bytes) {
                Some((room, id)) => {
                    declared.extend([keys.message(id), keys.order(room), keys.once(id)]);
                    members.push(bytes);
                }
                // Not ours; left at the head it would hold up all that comes after.
                None => drop(self.pair.send(&Call::command("ZREM").arg(keys.deadlines()).arg(bytes)).await?),
            }
        }
        if !members.is_empty() {
            self.pair.send(&Call::script(&scripts::REAP, &declared).arg(members)).await?;
        }
        Ok(())
    }

    async fn forget_rooms(&self) -> Result<(), Fault> {
        let keys = &self.session.target.keys;
        let listed = Call::script(&scripts::ROOMS, &[keys.rooms(), keys.deadlines()]).arg(keys.orders());
        let answer = self.pair.send(&listed).await?;
        let [now, rooms @ ..] = reply::array(&answer)? else { return Err(reply::unexpected().into()) };
        let now = reply::number(now)?;
        for [id, value, _] in rooms.as_chunks::<3>().0 {
            let (id, value) = (reply::bytes(id)?, reply::bytes(value)?);
            let unused = reply::room(id, value, 0).is_some_and(|(_, active)| active.saturating_add(ROOM_KEPT) <= now);
            if let (true, Ok(room)) = (unused, id.try_into()) {
                let forget = Call::script(&scripts::FORGET_ROOM, &[keys.rooms(), keys.order(RoomId(room))]);
                self.pair.send(&forget.arg(id).arg(value)).await?;
            }
        }
        Ok(())
    }
}
