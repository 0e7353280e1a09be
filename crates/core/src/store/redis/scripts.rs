//! The scripts: every write is one of them, atomic, known by its hash. They stand in files of their own beside this one.

use std::sync::LazyLock;

use redis::{Cmd, Script, ToRedisArgs};

/// A script as it is sent: the line that says what it may do, the shared head, and its own lines.
macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal, $flags:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
                let source = concat!("#!lua", $flags, "\n", include_str!("scripts/prelude.lua"), include_str!(concat!("scripts/", $file)));
                Script::new(source)
            });
        )*
    };
}

scripts! {
    SAVE = "save.lua", "";
    PAGE = "page.lua", " flags=no-writes";
    FETCH = "fetch.lua", " flags=no-writes";
    // What makes room is let through when there is none.
    DELETE = "delete.lua", " flags=allow-oom";
    SET_LIFETIME = "set_lifetime.lua", " flags=allow-oom";
    CLAIM = "claim.lua", " flags=allow-oom";
    REAP = "reap.lua", " flags=allow-oom";
    LEASE = "lease.lua", " flags=allow-oom";
    RELEASE = "release.lua", " flags=allow-oom";
    ROOMS = "rooms.lua", " flags=no-writes";
    PUT_ROOM = "put_room.lua", "";
    FORGET_ROOM = "forget_room.lua", " flags=allow-oom";
}

/// A command, and the script that it runs where it does.
pub(super) struct Call {
    pub(super) command: Cmd,
    pub(super) script: Option<&'static Script>,
}

impl Call {
    /// Runs a script over these keys; arguments follow by [`Call::arg`].
    pub(super) fn script(script: &'static Script, keys: &[Vec<u8>]) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(keys.len()).arg(keys);
        Self { command, script: Some(script) }
    }

    /// A plain command.
    pub(super) fn command(name: &str) -> Self {
        Self { command: redis::cmd(name), script: None }
    }

    /// A further argument.
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }
}
