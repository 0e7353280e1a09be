//! What can go wrong between us and a server, sorted by what is to be done about it.

use redis::RedisError;

use crate::error::{Code, Error};

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The connection, or the server as such: drop it, ask anew where the server is, try again. Whether the call was
    /// done is unknown.
    Lost(Error),
    /// The server's answer is no; the connection is as good as before.
    Answer(Error),
}

impl Fault {
    pub(super) fn lost(why: impl Into<String>) -> Self {
        Self::Lost(Error::new(Code::Unreachable, why))
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let answer = |code, message: &str| Self::Answer(Error::new(code, message));
        if error.is_timeout() {
            return Self::lost("the server does not answer");
        }
        let detail = error.detail().unwrap_or_default();
        match error.code() {
            None if matches!(error.kind(), redis::ErrorKind::AuthenticationFailed) => wrong_password(),
            None => Self::lost(format!("the connection to the server broke: {}", error.category())),
            Some("WRONGPASS" | "NOAUTH") => wrong_password(),
            // A script's own command may be what is refused.
            Some("NOPERM") => {
                answer(Code::Refused, "the server does not allow this user what is needed (docs/redis.md has the ACL)")
            }
            _ if detail.contains("executing the script can't") || detail.contains("ACL failure") => {
                answer(Code::Refused, "the server does not allow this user what is needed (docs/redis.md has the ACL)")
            }
            Some("OOM") => answer(Code::Full, "the server's memory is full"),
            Some("MISCONF") => {
                answer(Code::Full, "the server cannot write to its disk, and takes nothing until it can")
            }
            Some("NOREPLICAS") => answer(Code::Unreachable, "the server has too few replicas to take a message"),
            Some("WRONGTYPE") => answer(Code::Corrupt, "the server holds something else where the messages should be"),
            Some(
                code @ ("MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY" | "LOADING" | "BUSY"
                | "UNBLOCKED"),
            ) => Self::lost(format!("the server does not serve at the moment ({code})")),
            // A slot that is half-way to another node.
            _ if detail.contains("non local key") => {
                Self::lost("the server does not serve at the moment (the slot moves)")
            }
            _ if detail.contains("max number of clients") => Self::lost("the server has too many clients"),
            Some("ERR") if detail.contains("unknown command") || detail.contains("Unexpected shebang") => {
                answer(Code::Unsupported, "Redis 7.0 or later is needed")
            }
            Some("CORRUPT") => {
                answer(Code::Corrupt, "the server's log is garbled, and it takes nothing until {tm}:log is deleted")
            }
            Some(code) => answer(Code::Internal, &format!("the server could not do it ({code})")),
        }
    }
}

const WRONG_PASSWORD: &str = "the server refuses this user or password";

fn wrong_password() -> Fault {
    Fault::Answer(Error::new(Code::Refused, WRONG_PASSWORD))
}

/// Whether another password may help.
pub fn is_about_password(error: &Error) -> bool {
    error.code == Code::Refused && error.message == WRONG_PASSWORD
}
