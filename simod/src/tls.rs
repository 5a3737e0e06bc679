//! TLS from the operator's own files, which are reread when they change: open connections keep their certificate, new ones
//! get the new one.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use simo_common::time::DAY;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::own_ca::OwnCa;

/// How often the files are checked for changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A certificate that expires within this time should be renewed.
const EXPIRES_SOON: i64 = 14 * DAY;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, pem::Error),
    /// The file contains no certificate.
    #[error("{}: no certificate in it; it must be PEM, the server's certificate first, then those between it and the CA", .0.display())]
    Empty(PathBuf),
    /// The file's content is not a certificate.
    #[error("{}: a certificate in it cannot be read", .0.display())]
    Unreadable(PathBuf),
    /// Certificate and key do not match, or cannot be used.
    #[error("{} and {}: {}", .0.display(), .1.display(), .2)]
    Unfit(PathBuf, PathBuf, rustls::Error),
}

/// The current certificate and key.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Served>,
}

/// Settings for new connections.
#[derive(Debug, Clone)]
struct Served {
    config: Arc<ServerConfig>,
    /// When the first certificate of the chain expires.
    expires_at: Timestamp,
    /// The CA that phones have to be made to trust, if it is the plant's own.
    own_ca: Option<OwnCa>,
}

/// Changes when a file is replaced or written.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Tls {
    /// Reads the certificate chain and the key, both PEM.
    ///
    /// # Errors
    /// When they cannot be read, or do not match.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(configured(certificate, key)?),
        })
    }

    /// The acceptor for the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(current.config.clone())
    }

    /// When the first of the certificate and its intermediates expires.
    pub(crate) fn expires_at(&self) -> Timestamp {
        self.current.read().unwrap_or_else(PoisonError::into_inner).expires_at
    }

    /// The plant's own CA that issued the certificate, if any.
    pub(crate) fn own_ca(&self) -> Option<OwnCa> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).own_ca.clone()
    }

    /// Logs that the certificate has expired, or soon will.
    pub(crate) fn warn_of_expiry(&self, now: i64) {
        let (expires, certificate) = (self.expires_at(), self.certificate.display());
        if expires.as_microsecond() <= now {
            tracing::warn!(%certificate, %expires, "the TLS certificate has expired: phones and programs refuse to connect; renew it");
        } else if expires.as_microsecond() <= now + EXPIRES_SOON {
            tracing::warn!(%certificate, %expires, "the TLS certificate expires soon; renew it");
        }
    }

    /// Watches the files for ever. A pair that does not match is logged, and the old one stays in use: the other file may
    /// be about to change too.
    pub(crate) async fn follow_files(&self) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.stamps();
            if now == seen {
                continue;
            }
            seen = now;
            match configured(&self.certificate, &self.key) {
                Ok(config) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                    tracing::info!(certificate = %self.certificate.display(), "the TLS certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(%error, "the TLS files have changed and cannot be used; the old certificate goes on");
                }
            }
        }
    }

    fn stamps(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).as_ref().map(stamp).ok())
    }
}

fn stamp(of: &Metadata) -> (i64, i64, u64, u64) {
    (of.mtime(), of.mtime_nsec(), of.ino(), of.size())
}

fn configured(certificate: &Path, key: &Path) -> Result<Served, TlsError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::File(certificate.to_owned(), error))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(certificate.to_owned()));
    }
    let unreadable = || TlsError::Unreadable(certificate.to_owned());
    let ends = chain.iter().map(|der| ends_at(der)).collect::<Option<Vec<_>>>().ok_or_else(unreadable)?;
    let expires_at = ends.into_iter().min().ok_or_else(unreadable)?;
    let own_ca = OwnCa::of_chain(&chain);
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File(key.to_owned(), error))?;
    let unfit = |error| TlsError::Unfit(certificate.to_owned(), key.to_owned(), error);
    // The provider's safe default versions are TLS 1.2 and 1.3.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Served { config: Arc::new(config), expires_at, own_ca })
}

/// When a certificate expires.
fn ends_at(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
