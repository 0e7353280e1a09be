//! An authority of one's own, and certificates as files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use temp_messenger_core::store::Access;
use tempfile::TempDir;

use crate::redis::Server;

/// Certificates as files.
#[derive(Debug)]
pub struct Files {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Files {
    #[expect(clippy::new_without_default, reason = "it writes files")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, format!("authority {}", uuid::Uuid::new_v4()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.path().join("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, authority: Issuer::new(params, key) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate of the authority's for this host.
    pub fn issue(&self, name: &str, host: &str, expired: bool) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let (certificate_path, key_path) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&certificate_path, certificate.pem()).unwrap();
        fs::write(&key_path, key.serialize_pem()).unwrap();
        (certificate_path, key_path)
    }

    /// Options of a server that shows this certificate at this port.
    pub fn options(&self, (certificate, key): &(PathBuf, PathBuf), port: &str, clients: &str) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let authority = self.path("authority.pem");
        let pairs = [
            ("--tls-port", port.to_owned()),
            ("--tls-cert-file", text(certificate)),
            ("--tls-key-file", text(key)),
            ("--tls-ca-cert-file", text(&authority)),
            ("--tls-auth-clients", clients.to_owned()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    /// A server that shows this certificate, and listens for nothing else.
    pub fn serve(&self, certificate: &(PathBuf, PathBuf), clients: &str) -> Server {
        let mut options = self.options(certificate, "PORT", clients);
        options.extend(["--port".to_owned(), "0".to_owned()]);
        Server::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Trusts the authority.
    pub fn access(&self) -> Access {
        Access { authority: Some(self.path("authority.pem")), ..Access::default() }
    }
}
