//! What the tests share: private homes, the real window under its driver, processes that end with the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "these are tests")]

pub mod dice;
pub mod home;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod team;
pub mod terminal;
pub mod tls;
pub mod torture;
pub mod window;

/// A binary of this workspace, built beside the tests.
pub fn binary(name: &str) -> std::path::PathBuf {
    let this = std::env::current_exe().unwrap();
    // Tests lie in `deps`, below the binaries.
    let folder = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).unwrap();
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: build the whole workspace first", path.display());
    path
}
