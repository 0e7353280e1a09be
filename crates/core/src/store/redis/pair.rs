//! One generation of connections, to one server: what is called on it, when it was last heard, and that it is lost.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use redis::{Value, aio::MultiplexedConnection};
use tokio::sync::{OnceCell, watch};

use super::{address::Host, fault::Fault, scripts::Call, server::Connection};
use crate::{
    clock::Clock,
    error::{Code, Error},
    lifetime::Millis,
    store::Finding,
};

/// One generation of connections, to one server.
#[derive(Debug)]
pub(super) struct Pair {
    commands: Connection,
    /// Its name and version.
    pub(super) server: (String, String),
    pub(super) findings: OnceCell<Vec<Finding>>,
    /// Where it is.
    pub(super) host: Host,
    /// When there was last an answer, on the boot clock.
    heard: AtomicU64,
    clock: Arc<dyn Clock>,
    lost: watch::Sender<Option<Error>>,
}

impl Pair {
    pub(super) fn new(commands: Connection, server: (String, String), host: Host, clock: Arc<dyn Clock>) -> Self {
        let (heard, lost) = (AtomicU64::new(clock.boot()), watch::Sender::new(None));
        Self { commands, server, findings: OnceCell::new(), host, heard, clock, lost }
    }

    fn connection(&self) -> MultiplexedConnection {
        self.commands.commands.clone()
    }

    /// One call on this pair alone.
    pub(super) async fn send(&self, call: &Call) -> Result<Value, Fault> {
        let answer = self.send_once(call).await;
        if let Err(Fault::Lost(error)) = &answer {
            self.lost.send_replace(Some(error.clone()));
        }
        answer
    }

    /// There was an answer.
    pub(super) fn hear(&self) {
        self.heard.store(self.clock.boot(), Ordering::Relaxed);
    }

    async fn send_once(&self, call: &Call) -> Result<Value, Fault> {
        let mut connection = self.connection();
        let answer = call.command.query_async(&mut connection).await;
        if answer.is_ok() {
            self.hear();
        }
        match answer {
            Err(error) if error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript) => {
                let Some(script) = call.script else { return Err(error.into()) };
                // The server was restarted, or its scripts were flushed.
                let _: Value = script.load_async(&mut connection).await.map(Value::SimpleString)?;
                Ok(call.command.query_async(&mut connection).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Whether it can be called at all.
    pub(super) fn stands(&self) -> bool {
        self.lost.borrow().is_none()
    }

    /// How long there has been no answer, in ms, suspend counted.
    pub(super) fn silence(&self) -> Millis {
        self.clock.boot().saturating_sub(self.heard.load(Ordering::Relaxed))
    }

    /// Ends its connection: calls under way fail, and no other begins.
    pub(super) fn drop_by_force(&self) {
        self.lost.send_if_modified(|lost| {
            let stands = lost.is_none();
            lost.get_or_insert_with(|| Error::new(Code::Unreachable, "the connection was given up"));
            stands
        });
        self.commands.abort();
    }

    /// Waits until a call has found it broken.
    pub(super) async fn is_lost(&self) -> Fault {
        let lost = self.lost.subscribe().wait_for(Option::is_some).await.ok().and_then(|lost| lost.clone());
        lost.map_or_else(|| Fault::lost("the connection ended"), Fault::Lost)
    }
}
