//! Store addresses: `sled:` (this computer), `sled:DIR`, `memory:`, those of `redis`. Parsing only; opening is `store::open`.

use std::{fmt, path::PathBuf, str::FromStr};

use super::RedisAddress;
use crate::{
    error::{Code, Error, Result},
    folders,
};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In this process's memory: gone with it.
    Memory,
    /// The embedded store in this folder.
    Sled {
        /// Holds `LOCK` and `db/`.
        folder: PathBuf,
    },
    /// A team's server.
    Redis(RedisAddress),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sled", "")) => Ok(Self::Sled { folder: folders::data()?.join("store") }),
            Some(("sled", folder)) => Ok(Self::Sled { folder: PathBuf::from(folder) }),
            Some((scheme, _)) if scheme.starts_with("redis") => Ok(Self::Redis(text.parse()?)),
            _ => Err(Error::new(Code::Unsupported, "a store address is sled:, sled:FOLDER, redis://HOST or memory:")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sled { folder } => write!(f, "sled:{}", folder.display()),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        assert_eq!("memory:".parse::<Address>().unwrap(), Address::Memory);
        let folder = PathBuf::from("/a/b");
        assert_eq!("sled:/a/b".parse::<Address>().unwrap(), Address::Sled { folder });
        for text in ["", "sled", "memory:x", "http://x", "/a/b"] {
            assert_eq!(text.parse::<Address>().unwrap_err().code, Code::Unsupported, "{text}");
        }
    }
}
