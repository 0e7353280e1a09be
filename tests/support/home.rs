//! A home of its own for each test: settings, store, cache and sockets in a temporary folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

#[derive(Debug)]
pub struct Home(TempDir);

impl Default for Home {
    fn default() -> Self {
        let home = Self(tempfile::Builder::new().prefix("tm").tempdir().unwrap());
        for folder in ["data", "config", "cache", "run"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        home
    }
}

impl Home {
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The folder of the embedded store.
    pub fn store(&self) -> PathBuf {
        self.path().join("data/temp-messenger/store")
    }

    /// Makes this the home of a process.
    pub fn furnish(&self, command: &mut Command) {
        for (variable, folder) in [
            ("XDG_DATA_HOME", "data"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            command.env(variable, self.path().join(folder));
        }
        command.env("HOME", self.path()).env("USER", "mei");
        command.env_remove("TEMP_MESSENGER_STORE").env_remove("TEMP_MESSENGER_ROOM").env_remove("WAYLAND_DISPLAY");
    }
}
