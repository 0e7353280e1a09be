//! Whether there is a display to open a window on, asked before the toolkit is: it panics without one.

use std::{env, os::unix::net::UnixStream, path::PathBuf};

use temp_messenger_core::error::{Code, Error, Result};

/// `unsupported` where there is no display that answers.
pub(crate) fn require() -> Result<()> {
    if wayland() || x11() {
        return Ok(());
    }
    Err(Error::new(Code::Unsupported, "there is no display here to open a window on; in a terminal, use tempmsg"))
}

fn wayland() -> bool {
    let Some(name) = env::var_os("WAYLAND_DISPLAY").filter(|name| !name.is_empty()) else { return false };
    let folder = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_default();
    UnixStream::connect(folder.join(name)).is_ok()
}

fn x11() -> bool {
    let Ok(name) = env::var("DISPLAY") else { return false };
    // `:0` and `:0.0` are sockets of this computer; `host:0` is asked by the toolkit itself.
    match name.strip_prefix(':').map(|rest| rest.split('.').next().unwrap_or_default()) {
        Some(number) if !number.is_empty() => UnixStream::connect(format!("/tmp/.X11-unix/X{number}")).is_ok(),
        _ => name.contains(':'),
    }
}
