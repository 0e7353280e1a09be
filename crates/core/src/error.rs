//! The one error of every border: a closed [`Code`] that programs decide on, and a sentence for people.
//!
//! Exit statuses (terminal) and HTTP statuses (browser face) are functions of the code and stand here, beside it.

use serde::{Deserialize, Serialize};

/// What went wrong, as a closed set: faces decide on it, never on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Code {
    /// The request itself is wrong.
    Invalid,
    /// A lifetime outside the range, or longer than the room allows.
    OutOfRange,
    /// Over a size limit.
    TooLarge,
    /// Unknown, or ended: the two look alike.
    NotFound,
    /// A repeated save of a message that has already ended.
    Ended,
    /// Somebody else was first: claimed, or changed meanwhile.
    Taken,
    /// The store does not answer.
    Unreachable,
    /// The store answers, and says no.
    Refused,
    /// The embedded store belongs to another process.
    InUse,
    /// No room on the disk or in the server.
    Full,
    /// What was read is damaged.
    Corrupt,
    /// A format, an address or an operation this version does not know.
    Unsupported,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// The terminal's exit status.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Invalid | Self::OutOfRange | Self::TooLarge => 2,
            Self::NotFound | Self::Ended | Self::Taken => 3,
            Self::Unreachable => 4,
            Self::Refused => 5,
            Self::InUse => 6,
            Self::Full | Self::Corrupt | Self::Unsupported | Self::Internal => 1,
        }
    }
}

/// An error as it crosses every border: `{code, message}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "Failure"))]
#[error("{message}")]
pub struct Error {
    /// What programs decide on.
    pub code: Code,
    /// One plain sentence for people; never a message's content, a key or a password.
    pub message: String,
}

/// What every fallible function of the core returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this code with this sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Unknown and ended messages look alike, so that nobody learns which it was.
    pub fn no_such_message() -> Self {
        Self::new(Code::NotFound, "no such message: it has expired or never was")
    }
}
