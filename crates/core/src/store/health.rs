//! How a store is doing: whether it answers, and what an audit of it found, in plain words with a remedy each.

use serde::{Deserialize, Serialize};

use crate::lifetime::Millis;

/// How a store is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// `memory`, `sled`, `redis`, or what a server calls itself.
    pub kind: String,
    /// The engine's version.
    pub version: String,
    /// A real round trip through it, in ms.
    pub round_trip: f64,
    /// The store's clock.
    pub now: Millis,
    /// What an audit found; empty where there is nothing to audit.
    pub findings: Vec<Finding>,
    /// How often a value that is none of ours was met and skipped since the store was opened.
    pub skipped: u64,
}

/// What an audit makes of one matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Grade {
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Look,
    /// Could not be read.
    Unknown,
}

/// One finding of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Finding {
    /// What is made of it.
    pub grade: Grade,
    /// In a few words.
    pub title: String,
    /// What it means for messages.
    pub text: String,
    /// What to write into the server's configuration, or to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub remedy: Option<String>,
}
