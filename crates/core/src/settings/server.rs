//! What settings say of a server: how it is trusted, and how somebody asks for another one.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    store::{Access, Password},
};

/// Files for TLS; absent: the system's own authorities, and no certificate of one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Tls {
    /// PEM certificates that alone are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub authority: Option<PathBuf>,
    /// The client's own PEM certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub key: Option<PathBuf>,
}

impl Tls {
    /// What is given here, and the rest as it is there.
    pub fn or(self, other: Self) -> Self {
        Self {
            authority: self.authority.or(other.authority),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
        }
    }

    /// With a password, what opens a server; `invalid` for a certificate without its key.
    pub fn access(self, password: Option<Password>) -> Result<Access> {
        let certificate = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Error::new(
                    Code::Invalid,
                    "a certificate of one's own needs its key, and the key its certificate",
                ));
            }
        };
        Ok(Access { password, authority: self.authority, certificate })
    }
}

/// A store to go over to, as a person writes it down. `Debug` shows no password.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Connect {
    /// Its address.
    pub store: String,
    /// A new password; absent: the one that is kept for this address.
    #[serde(default)]
    #[cfg_attr(test, ts(optional))]
    pub password: Option<String>,
    /// How it is trusted.
    #[serde(default)]
    #[cfg_attr(test, ts(as = "Option<Tls>", optional))]
    pub tls: Tls,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connect {{ store: {:?}, tls: {:?}, .. }}", self.store, self.tls)
    }
}
