//! What opens a server beyond its address: password, TLS authority, client certificate.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use zeroize::Zeroizing;

use crate::{
    error::{Code, Error, Result},
    folders,
};

/// The largest file of certificates, in bytes.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// A password: never shown, wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// `None` for an empty one.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = Zeroizing::new(text.into());
        (!text.is_empty()).then_some(Self(text))
    }

    /// What stands in a file, less one newline at its end.
    pub fn from_file(path: &Path) -> Result<Option<Self>> {
        let text = Zeroizing::new(read(path)?);
        let text = str::from_utf8(&text).map_err(|_| unusable(path, &"it is no text"))?;
        Ok(Self::new(text.strip_suffix('\n').unwrap_or(text)))
    }

    /// The password itself, for the server and for its own file alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What opens a server beyond its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The user's password.
    pub password: Option<Password>,
    /// A file of PEM certificates that alone are trusted; absent: the system's own authorities.
    pub authority: Option<PathBuf>,
    /// Files with the client's own PEM certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Access {
    /// The TLS of every connection; `invalid` where a file holds no certificate or key.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        match &self.authority {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| unusable(path, &error))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                let (_, _) = roots.add_parsable_certificates(found.certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Code::Internal, format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(roots);
        let config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let pem = Zeroizing::new(read(key)?);
                let secret = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(key, &error))?;
                let chain = certificates(certificate)?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(certificate, &error))?
            }
        };
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &error))?;
    if found.is_empty() { Err(unusable(path, &"it holds no certificate")) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let trouble = |error| folders::trouble(path, &error);
    if fs::metadata(path).map_err(trouble)?.len() > LARGEST_FILE {
        return Err(unusable(path, &"it is too large"));
    }
    fs::read(path).map_err(trouble)
}

fn unusable(path: &Path, why: &dyn fmt::Display) -> Error {
    Error::new(Code::Invalid, format!("{} cannot be used: {why}", folders::shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_shows_nowhere() {
        let access = Access { password: Password::new("swordfish"), ..Access::default() };
        assert!(!format!("{access:?}").contains("swordfish"));
        assert_eq!(Password::new(""), None);
    }

    #[test]
    fn files_that_hold_no_certificate_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        fs::write(&path, "nothing").unwrap();
        let refused = Access { authority: Some(path), ..Access::default() }.tls().unwrap_err();
        assert!(refused.code == Code::Invalid && refused.message.contains("authority.pem"), "{refused}");
    }
}
