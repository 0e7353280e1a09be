//! The messenger: messages, lifetimes and stores. No window, no web server, no terminal: those are faces over [`api::Api`].
//!
//! ```text
//! face --> api::Api --> messenger::Messenger --> store::Store { memory | sled | redis }
//!   ^                          |                      |
//!   +------ event::Event <-----+------ store::Change <+
//! ```

pub mod api;
pub mod clock;
mod desk;
pub mod dispatch;
pub mod error;
pub mod event;
pub mod folders;
pub mod lifetime;
pub mod markup;
pub mod message;
pub mod messenger;
mod outbox;
pub mod room;
pub mod session;
pub mod settings;
pub mod store;
mod subscription;
#[cfg(test)]
mod types;
