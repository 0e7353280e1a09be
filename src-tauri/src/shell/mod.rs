//! What only a desktop can do, one feature of the system a file.

pub(crate) mod browser;
pub(crate) mod clipboard;
pub(crate) mod display;
pub(crate) mod instance;
pub(crate) mod window;
