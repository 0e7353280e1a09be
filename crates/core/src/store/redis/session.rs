//! The two connections to the server, made, watched and made again as one pair: one for commands, one that blocks in the
//! feed. Any time-out and any broken connection drops both by force; what follows is a new pair, after a pause that grows.
//!
//! The crate's own reconnecting connections are not used: they go on with a half-open connection for ever, and give up
//! silently.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use redis::Value;
use tokio::sync::{Notify, broadcast, watch};

use super::{
    address::{Finder, Host},
    audit,
    fault::Fault,
    feed, janitor,
    pair::Pair,
    scripts::Call,
    server::{self, ANSWERING, Connection, Target},
};
use crate::{
    clock::{Clock, StoreTime},
    error::{Code, Error, Result},
    event::Link,
    lifetime::Millis,
    store::{Change, Finding},
};

/// How long a caller waits for an answer over all connections that are tried meanwhile.
const PATIENCE: Duration = Duration::from_millis(4_500);
/// How long whoever opens a store waits for its server.
const CONNECTED: Duration = Duration::from_secs(10);
/// How long a pair has to stand to count as a link that was there, in ms.
const STANDS: Millis = 500;
/// How long an end waits until the lease is given back.
const RELEASING: Duration = Duration::from_millis(200);
/// The first pause before a new try, and the longest, in ms.
const FIRST_PAUSE: Millis = 50;
const LONGEST_PAUSE: Millis = 10_000;
/// From this try on the link is called offline.
const OFFLINE_FROM: u32 = 5;
/// How often a Sentinel is asked whether the master is still the one, in ms.
const ASK_AGAIN: Millis = 1_000;
/// The longest silence on the boot clock, in ms: longer than any time-out, so that only a sleep comes to it.
const LONGEST_SILENCE: Millis = 30_000;

/// What all tasks of a store share.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) target: Target,
    pub(super) changes: broadcast::Sender<Change>,
    pub(super) clock: Arc<dyn Clock>,
    /// The server's clock between two answers.
    pub(super) time: StoreTime,
    /// Values under our keys that were none of ours.
    pub(super) skipped: AtomicU64,
    /// Who this is, for the lease.
    pub(super) me: String,
    state: watch::Sender<State>,
    urged: Notify,
    /// The space's random id, as it was when it was first seen.
    space: Mutex<Option<Vec<u8>>>,
}

#[derive(Clone, Debug)]
enum State {
    /// Being connected; whoever asks waits. With what came of the last try.
    Trying(Option<Error>),
    Up(Arc<Pair>),
    /// Whoever asks is told so at once.
    Down(Error),
    Closed,
}

/// An answer, and whether the call had to be made again after one of unknown outcome.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) repeated: bool,
}

impl Session {
    pub(super) fn new(target: Target, clock: Arc<dyn Clock>) -> Self {
        Self {
            target,
            changes: broadcast::Sender::new(1_024),
            time: StoreTime::new(clock.clone()),
            clock,
            skipped: AtomicU64::new(0),
            me: uuid::Uuid::new_v4().simple().to_string(),
            state: watch::Sender::new(State::Trying(None)),
            urged: Notify::new(),
            space: Mutex::default(),
        }
    }

    /// Waits until the first tries have come to something, but not longer than 10 s.
    pub(super) async fn settled(&self) -> Result<()> {
        let mut state = self.state.subscribe();
        let settled = tokio::time::timeout(CONNECTED, state.wait_for(|state| !matches!(state, State::Trying(_))));
        match settled.await.map(|settled| settled.map(|state| state.clone())) {
            Err(_) => Err(self.silence()),
            Ok(Ok(State::Down(error))) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Why nobody answers, as far as it is known.
    fn silence(&self) -> Error {
        match &*self.state.borrow() {
            State::Trying(Some(error)) | State::Down(error) => error.clone(),
            _ => Error::new(Code::Unreachable, "the server does not answer"),
        }
    }

    /// One call, on as many pairs as it takes. All calls of ours may be made twice: scripts know what they did.
    pub(super) async fn call(&self, call: &Call) -> Result<Answer> {
        let mut last = None;
        let answered = tokio::time::timeout(PATIENCE, async {
            let mut repeated = false;
            loop {
                match self.next_pair().await?.send(call).await {
                    Ok(value) => return Ok(Answer { value, repeated }),
                    Err(Fault::Answer(error)) => return Err(error),
                    Err(Fault::Lost(error)) => (last, repeated) = (Some(error), true),
                }
            }
        });
        answered.await.unwrap_or_else(|_| Err(last.unwrap_or_else(|| self.silence())))
    }

    /// The pair that stands, once there is one; within a caller's patience.
    pub(super) async fn pair(&self) -> Result<Arc<Pair>> {
        tokio::time::timeout(PATIENCE, self.next_pair()).await.unwrap_or_else(|_| Err(self.silence()))
    }

    async fn next_pair(&self) -> Result<Arc<Pair>> {
        let mut state = self.state.subscribe();
        let usable = |state: &State| match state {
            State::Trying(_) => false,
            State::Up(pair) => pair.stands(),
            State::Down(_) | State::Closed => true,
        };
        match state.wait_for(usable).await.map(|state| state.clone()) {
            Ok(State::Up(pair)) => Ok(pair),
            Ok(State::Down(error)) => Err(error),
            _ => Err(Error::new(Code::Unreachable, "the store is closed")),
        }
    }

    /// Tries now what would wait for its next turn, or for somebody to ask.
    pub(super) fn urge(&self) {
        let down = |state: &mut State| {
            let State::Down(error) = state else { return false };
            *state = State::Trying(Some(error.clone()));
            true
        };
        if self.state.send_if_modified(down) {
            self.urged.notify_one();
        }
    }

    /// Ends everything: the lease is given back, the connections are dropped, calls under way fail.
    pub(super) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    pub(super) fn tell(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.changes.send(change);
    }

    /// Resolves once the session is closed.
    async fn closed(&self) {
        // An error means that the session is gone.
        let _ = self.state.subscribe().wait_for(|state| matches!(state, State::Closed)).await;
    }

    /// Keeps a pair standing until the session is closed.
    pub(super) async fn keep(self: Arc<Self>) {
        self.connect_until_closed().await;
        self.tell(Change::Link(Link::Offline { since: self.clock.wall() }));
    }

    async fn connect_until_closed(&self) {
        let mut attempt = 0;
        let mut since = self.clock.wall();
        loop {
            let connected = tokio::select! {
                connected = self.connect() => connected,
                () = self.closed() => return,
            };
            let fault = match connected {
                Ok((pair, feed)) => {
                    let begun = self.clock.boot();
                    let Some(fault) = self.attend(&pair, feed).await else { return };
                    // What breaks at once, again and again, is no link.
                    if self.clock.boot().saturating_sub(begun) > STANDS {
                        attempt = 0;
                    }
                    since = self.clock.wall();
                    fault
                }
                Err(fault) => fault,
            };
            attempt += 1;
            let wait = match fault {
                Fault::Answer(error) if matches!(error.code, Code::Refused | Code::Unsupported | Code::Invalid) => {
                    tracing::warn!(%error, "the server refuses this client");
                    self.tell(Change::Link(Link::Refused { message: error.message.clone() }));
                    self.set(State::Down(error));
                    // Stops and asks: only a person can do something about it.
                    None
                }
                Fault::Lost(error) | Fault::Answer(error) => {
                    tracing::info!(%error, attempt, "the link is down");
                    let offline = attempt >= OFFLINE_FROM;
                    self.tell(Change::Link(match offline {
                        true => Link::Offline { since },
                        false => Link::Reconnecting { attempt },
                    }));
                    self.set(if offline { State::Down(error) } else { State::Trying(Some(error)) });
                    Some(pause(attempt))
                }
            };
            tokio::select! {
                () = self.urged.notified() => {}
                () = self.sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = self.closed() => return,
            }
        }
    }

    fn set(&self, next: State) {
        self.state.send_if_modified(|state| {
            let open = !matches!(state, State::Closed);
            if open {
                *state = next;
            }
            open
        });
    }

    /// Waits this long, suspend counted: what was due in a sleep is done on waking.
    pub(super) async fn sleep(&self, span: Millis) {
        let until = self.clock.boot() + span;
        let slept = async {
            while self.clock.boot() < until {
                self.clock.wait_until(until).await;
            }
        };
        tokio::select! {
            () = slept => {}
            () = tokio::time::sleep(Duration::from_millis(span)) => {}
        }
    }

    async fn connect(&self) -> Result<(Arc<Pair>, Connection), Fault> {
        // Once for both, so that they never speak to two servers.
        let host = self.target.find().await?;
        let (commands, feed) =
            tokio::try_join!(self.target.connect(&host, ANSWERING), self.target.connect(&host, feed::ANSWERING))?;
        let server = server::version(&mut commands.commands.clone()).await?;
        let pair = Arc::new(Pair::new(commands, server, host, self.clock.clone()));
        self.enter_space(&pair).await?;
        let asked = self.time.asked();
        let answer = pair.send(&Call::command("TIME")).await?;
        self.time.sample(super::reply::time(&answer)?, asked);
        Ok((pair, feed))
    }

    /// Another space than before means that the server forgot everything.
    async fn enter_space(&self, pair: &Pair) -> Result<(), Fault> {
        let rooms = self.target.keys.rooms();
        let field = b"space".as_slice();
        let ask = Call::command("HGET").arg(&rooms).arg(field);
        let mut found = pair.send(&ask).await?;
        if found == Value::Nil {
            let new = uuid::Uuid::new_v4().simple().to_string();
            match pair.send(&Call::command("HSETNX").arg(&rooms).arg(field).arg(new)).await {
                // A full server can be read, and what is due on it erased.
                Err(Fault::Answer(error)) if error.code == Code::Full => return Ok(()),
                set => set?,
            };
            found = pair.send(&ask).await?;
        }
        let found = super::reply::bytes(&found)?.to_vec();
        let before = self.space.lock().unwrap_or_else(PoisonError::into_inner).replace(found.clone());
        if before.is_some_and(|before| before != found) {
            self.tell(Change::Forgot);
        }
        Ok(())
    }

    /// Everything that goes on while a pair stands; ends with why it does not any more, or with nothing once the session
    /// is closed. Then nobody's call goes on with it, whoever still holds it.
    async fn attend(&self, pair: &Arc<Pair>, feed: Connection) -> Option<Fault> {
        let attended = async {
            let begun = match feed::Feed::begin(self, pair, feed).await {
                Ok(feed) => feed,
                Err(fault) => return fault,
            };
            self.set(State::Up(pair.clone()));
            tokio::select! {
                fault = begun.run() => fault,
                fault = janitor::run(self, pair) => fault,
                fault = pair.is_lost() => fault,
                fault = self.watch_silence(pair) => fault,
                fault = self.watch_master(&pair.host) => fault,
            }
        };
        let fault = tokio::select! {
            fault = attended => Some(fault),
            () = self.closed() => {
                // So that the next need not wait for its end; lost, it costs the others two seconds.
                let _ = tokio::time::timeout(RELEASING, janitor::release(self, pair)).await;
                None
            }
        };
        pair.drop_by_force();
        fault
    }

    /// A computer that slept, and a peer that died without a word.
    async fn watch_silence(&self, pair: &Pair) -> Fault {
        loop {
            self.clock.wait_until(self.clock.boot() + 1_000).await;
            if pair.silence() > LONGEST_SILENCE {
                return Fault::lost("the server was silent for too long");
            }
        }
    }

    /// A master that was replaced in good order goes on answering for a while, and what it takes then is lost.
    async fn watch_master(&self, known: &Host) -> Fault {
        if !matches!(self.target.address.finder, Finder::Sentinel { .. }) {
            return std::future::pending().await;
        }
        loop {
            if self.target.find().await.is_ok_and(|host| host != *known) {
                return Fault::lost("another server has become the master");
            }
            self.sleep(ASK_AGAIN).await;
        }
    }

    /// The audit of the server that is connected, made once a pair.
    pub(super) async fn findings(&self, pair: &Pair) -> Vec<Finding> {
        pair.findings.get_or_init(|| audit::findings(self, pair)).await.clone()
    }
}

/// Doubles from 50 ms to 10 s, less up to a half, so that a team does not come back all at once.
fn pause(attempt: u32) -> Millis {
    let span = (FIRST_PAUSE << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
    span - span / 2 * Millis::from(random) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for attempt in 1..100 {
            let span = (FIRST_PAUSE << (attempt - 1).min(16)).min(LONGEST_PAUSE);
            assert!((span / 2..=span).contains(&pause(attempt)), "{attempt}");
        }
    }
}
