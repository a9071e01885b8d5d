//! TLS: certificate and key from their files, and again when these change.
//!
//! Owns the one configuration of rustls. Knows nothing of HTTP. Invariant: what is served is a chain with its own key; new
//! files that are none leave the old ones in use, and that is told.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::ring::{default_provider, sign};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at. Contents are compared, not times, which a link that is swapped keeps.
const POLL: Duration = Duration::from_secs(1);

/// Why certificate or key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{} can't be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// They don't go together, or the key is of an unknown kind.
    #[error("{} and {} can't be used together: {reason}", cert.display(), key.display())]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The certificate that is served now.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    served: ArcSwap<CertifiedKey>,
    seen: Mutex<Seen>,
}

/// What the files held when they were last read, or why they could not be, and what was wrong with it.
struct Seen {
    files: Result<Contents, String>,
    fault: Option<String>,
}

type Contents = (Vec<u8>, Vec<u8>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// Whether a server could use these files.
///
/// # Errors
/// [`TlsError`] when it could not.
pub fn check_tls(cert: &Path, key: &Path) -> Result<(), TlsError> {
    load(cert, key, &contents(cert, key)?).map(drop)
}

fn contents(cert: &Path, key: &Path) -> Result<Contents, TlsError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() })
    };
    Ok((read(cert)?, read(key)?))
}

fn load(cert: &Path, key: &Path, (chain, secret): &Contents) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &Path, reason: String| TlsError::Unreadable { path: path.to_owned(), reason };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable(cert, "there is no certificate in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_slice(secret).map_err(|error| unreadable(key, error.to_string()))?;
    let unusable = |reason: String| TlsError::Unusable { cert: cert.to_owned(), key: key.to_owned(), reason };
    let signing = sign::any_supported_type(&secret).map_err(|error| unusable(error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|error| unusable(error.to_string()))?;
    Ok(certified)
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] when they can't be used.
    pub fn open(cert: PathBuf, key: PathBuf) -> Result<Arc<Self>, TlsError> {
        let contents = contents(&cert, &key)?;
        let served = ArcSwap::from_pointee(load(&cert, &key, &contents)?);
        Ok(Arc::new(Self { cert, key, served, seen: Mutex::new(Seen { files: Ok(contents), fault: None }) }))
    }

    /// What accepts connections.
    ///
    /// # Errors
    /// None with the cipher suites that are built in.
    pub(super) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, rustls::Error> {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13, &TLS12])?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::new(Resolver(Arc::clone(self))));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What is wrong with the files as they are now; what was right before is served on.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.seen.lock().fault.clone()
    }

    /// Reads the files again whenever they change. Ends with the runtime.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut tick = tokio::time::interval(POLL);
        loop {
            tick.tick().await;
            let tls = Arc::clone(&self);
            // A file that can't be read for a moment is looked at again.
            let _ = tokio::task::spawn_blocking(move || tls.reread()).await;
        }
    }

    fn reread(&self) {
        let found = contents(&self.cert, &self.key).map_err(|error| error.to_string());
        let mut seen = self.seen.lock();
        if seen.files == found {
            return;
        }
        let loaded = match &found {
            Ok(contents) => load(&self.cert, &self.key, contents).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        seen.files = found;
        match loaded {
            Ok(certified) => {
                self.served.store(Arc::new(certified));
                seen.fault = None;
                tracing::info!(cert = %self.cert.display(), "the new certificate is served");
            }
            Err(error) => {
                metrics::counter!("rollcall_tls_reload_failures_total").increment(1);
                tracing::error!(error, "the new certificate can't be used; the old one is served on");
                seen.fault = Some(error);
            }
        }
    }
}

/// Gives every connection the certificate of now.
struct Resolver(Arc<Tls>);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.served.load_full())
    }
}
