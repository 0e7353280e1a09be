//! What leaves the window: links to the system's browser, the store's folder to the system's file manager.

use std::ffi::OsStr;

use temp_messenger_core::{
    error::{Code, Error, Result},
    markup,
    store::Address,
};

/// Opens a link outside: `http`, `https` and `mailto` only, whatever the page says.
pub(crate) fn open_link(url: &str) -> Result<()> {
    let url = markup::link(url).ok_or_else(|| Error::new(Code::Refused, "only web and mail links are opened"))?;
    open(url.as_str())
}

/// Opens the folder of the embedded store.
pub(crate) fn show_folder(address: &Address) -> Result<()> {
    match address {
        Address::Sled { folder } => open(folder),
        Address::Memory | Address::Redis(_) => Err(Error::new(Code::Unsupported, "this store has no folder")),
    }
}

fn open(what: impl AsRef<OsStr>) -> Result<()> {
    open::that_detached(what).map_err(|error| Error::new(Code::Internal, format!("nothing here opens it: {error}")))
}
