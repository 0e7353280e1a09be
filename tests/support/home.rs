//! A home of its own for each test: settings, store, cache and sockets in a temporary folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::{Pid, Signal, kill_process};
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

    /// Every file in it, by its path from here.
    pub fn files(&self) -> Vec<PathBuf> {
        let (mut folders, mut files) = (vec![self.path().to_path_buf()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(self.path()).unwrap().to_path_buf());
                }
            }
        }
        files
    }

    /// Every process that lives here, whoever started it.
    pub fn processes(&self) -> Vec<Pid> {
        let home = format!("HOME={}\0", self.path().display());
        let numbers =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let lives_here = |number: &i32| {
            let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
            environment.windows(home.len()).any(|part| part == home.as_bytes())
        };
        numbers.filter(lives_here).filter_map(Pid::from_raw).collect()
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

/// Nothing outlives its home.
impl Drop for Home {
    fn drop(&mut self) {
        for process in self.processes() {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}
