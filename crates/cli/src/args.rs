//! What can be asked on the command line, and the help that says so. Values are read where they are used, so that a bad
//! one gets the same code and sentence as on every other face.

use std::{ffi::OsString, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum, value_parser};
use temp_messenger_core::{
    error::Result,
    room::RoomName,
    settings::{Settings, SettingsFile, Tls},
    store::{Access, Address, Password},
};

/// Messages that are really gone when their time is over.
///
/// Exit status: 0 done, 2 usage, 3 not found, 4 store unreachable, 5 refused, 6 in use by another process, 1 anything else.
#[derive(Parser)]
#[command(name = "tempmsg", version)]
pub(crate) struct Call {
    /// Where the messages are: sled: (this computer), sled:FOLDER, redis://[USER@]HOST[:PORT] or another address of a
    /// server, memory:
    #[arg(long, global = true, env = "TEMP_MESSENGER_STORE", value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Which room
    #[arg(long, global = true, env = "TEMP_MESSENGER_ROOM", value_name = "NAME")]
    pub(crate) room: Option<String>,
    /// The server's password is in this file; else in TEMP_MESSENGER_PASSWORD, else the one kept for this address
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// PEM certificates that alone are trusted with a rediss:// address
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
    /// A PEM certificate of one's own for the server
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, global = true, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// Answer in JSON, one object a line; errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send a message, and print its id
    Send {
        /// The message. Without it, standard input is the message, less one newline at its end (as echo adds one);
        /// every other byte is kept. At most 32 KiB of UTF-8
        text: Option<OsString>,
        /// How long it lives: 30s, 10m, 8h, 1d, up to 30d; else what the room gives
        #[arg(long = "for", value_name = "LIFETIME")]
        lifetime: Option<String>,
        /// To be seen once: its text is in no list, and goes to the first who takes it
        #[arg(long)]
        once: bool,
    },
    /// Show what is alive in the room
    List {
        /// How many at most, the newest ones
        #[arg(long, value_name = "N", default_value = "50", value_parser = value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Print one message
    ///
    /// On a terminal, what cannot be seen is written by name (U+001B); into a file or a pipe go the very bytes that were
    /// sent, with no newline added.
    Get {
        /// Its id, or any beginning of it that fits one message only among the room's newest 200
        id: String,
    },
    /// Print a message that is to be seen once, and end it for everybody
    ///
    /// Like get: on a terminal what cannot be seen is written by name, elsewhere go the very bytes.
    Take {
        /// Its id, or a beginning as for get
        id: String,
    },
    /// End a message now, for everybody
    Delete {
        /// Its id, or a beginning as for get
        id: String,
    },
    /// Give a living message another lifetime, from now on
    Lifetime {
        /// Its id, or a beginning as for get
        id: String,
        /// How long it goes on living: 30s, 10m, 8h, 1d; never past what the room allows from its acceptance on
        lifetime: String,
    },
    /// Show what is alive, and everything that comes, until Ctrl+C
    Watch,
    /// Show the rooms
    Rooms,
    /// Create a room, or change its lifetimes
    #[command(name = "room")]
    PutRoom {
        /// Its name: 1 to 64 characters
        name: String,
        /// What a message lives for there unless its author says otherwise
        #[arg(long = "for", value_name = "LIFETIME")]
        lifetime: Option<String>,
        /// The longest that a message may live there
        #[arg(long, value_name = "LIFETIME")]
        longest: Option<String>,
    },
    /// Show which store, room and name are in use
    Status,
    /// Show the settings, or one of them, or set it: name, room, store
    Configure {
        /// Which
        #[arg(value_enum)]
        setting: Option<Setting>,
        /// What it becomes. A server is connected to before it is kept, and its password, where one is given by
        /// --password-file, with it
        value: Option<String>,
    },
    /// Ask whether the store is there
    Konnichiwa,
    /// Speak JSON-RPC 2.0, one object a line, on standard input and output
    Rpc,
}

impl Command {
    /// Whether it is about messages; the others are answered also while no store can be opened.
    pub(crate) fn opens_the_store(&self) -> bool {
        !matches!(self, Self::Status | Self::Configure { .. } | Self::Rpc)
    }
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Setting {
    /// The display name
    Name,
    /// The room that is meant where none is given
    Room,
    /// The store's address
    Store,
}

impl Call {
    /// The room that is meant.
    pub(crate) fn room(&self, settings: &Settings) -> Result<RoomName> {
        self.room.as_ref().map_or_else(|| Ok(settings.room.clone()), |room| room.parse())
    }

    /// What opens the store that is meant.
    pub(crate) fn access(&self, settings: &SettingsFile, address: &Address) -> Result<Access> {
        let mut access = settings.access(address)?;
        if let Some(file) = &self.password_file {
            access.password = Password::from_file(file)?;
        }
        self.tls(&settings.settings()).access(access.password)
    }

    /// How a server is trusted: as it is said here, else as the settings say.
    pub(crate) fn tls(&self, settings: &Settings) -> Tls {
        let (authority, certificate, key) = (self.authority.clone(), self.certificate.clone(), self.key.clone());
        Tls { authority, certificate, key }.or(settings.tls.clone())
    }

    /// How a further command on the same store and room begins.
    pub(crate) fn again(&self, settings: &Settings) -> String {
        let mut again = "tempmsg".to_owned();
        let given = [("--store", &self.store, settings.store.as_str()), ("--room", &self.room, settings.room.as_str())];
        for (option, value, setting) in given {
            if let Some(value) = value.as_deref().filter(|value| *value != setting) {
                again.push_str(&format!(" {option} {}", quoted(value)));
            }
        }
        again
    }
}

/// As a shell takes it back.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_hold() {
        use clap::CommandFactory;
        Call::command().debug_assert();
    }

    #[test]
    fn a_near_word_is_proposed() {
        let error = Call::try_parse_from(["tempmsg", "lst"]).err().unwrap();
        assert!(error.to_string().contains("'list'"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, written) in [("ops", "ops"), ("night shift", "'night shift'"), ("it's", r"'it'\''s'"), ("", "''")] {
            assert_eq!(quoted(word), written);
        }
    }
}
