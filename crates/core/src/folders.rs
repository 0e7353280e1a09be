//! Where our files are on this computer. Creates what is missing, for this user alone (0700).

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::error::{Code, Error, Result};

/// The name of our folder in each of the system's.
const OURS: &str = "temp-messenger";

/// `$XDG_DATA_HOME/temp-messenger`: the store, the window's own files.
pub fn data() -> Result<PathBuf> {
    private(dirs::data_dir().ok_or_else(homeless)?.join(OURS))
}

/// `$XDG_CONFIG_HOME/temp-messenger`: the settings.
pub fn config() -> Result<PathBuf> {
    private(dirs::config_dir().ok_or_else(homeless)?.join(OURS))
}

/// `$XDG_RUNTIME_DIR/temp-messenger`, else `/tmp/temp-messenger-UID`: sockets. Refused where it belongs to
/// somebody else.
pub fn runtime() -> Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let folder = match dirs::runtime_dir() {
        Some(folder) => folder.join(OURS),
        None => PathBuf::from(format!("/tmp/{OURS}-{uid}")),
    };
    let folder = private(folder)?;
    let found = folder.symlink_metadata().map_err(|error| trouble(&folder, &error))?;
    if !found.is_dir() || found.uid() != uid {
        return Err(Error::new(Code::Refused, format!("{} belongs to somebody else", shown(&folder))));
    }
    Ok(folder)
}

/// Creates a folder that only this user may enter, and takes others' rights away from one that is there.
pub fn private(folder: PathBuf) -> Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| trouble(&folder, &error))?;
    let found = folder.symlink_metadata().map_err(|error| trouble(&folder, &error))?;
    let ours = found.uid() == rustix::process::getuid().as_raw();
    if found.is_dir() && ours && found.permissions().mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&folder, private).map_err(|error| trouble(&folder, &error))?;
    }
    Ok(folder)
}

/// A path as people are shown it: `~` for the home folder.
pub fn shown(path: &Path) -> String {
    match dirs::home_dir().and_then(|home| path.strip_prefix(home).map(Path::to_path_buf).ok()) {
        Some(below) => Path::new("~").join(below).display().to_string(),
        None => path.display().to_string(),
    }
}

/// An error of the file system as one of ours.
pub fn trouble(path: &Path, error: &io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Code::Refused,
        _ => Code::Internal,
    };
    Error::new(code, format!("{}: {error}", shown(path)))
}

fn homeless() -> Error {
    Error::new(Code::Unsupported, "no home folder: set HOME, or XDG_DATA_HOME and XDG_CONFIG_HOME")
}
