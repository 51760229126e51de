//! TLS of the node's own server: a certificate that is read again when its files change, so that no connection is cut when it
//! is renewed. Versions and ciphers are those that the library takes, TLS 1.2 and 1.3.

use std::{
    fs, io,
    sync::{
        Arc, PoisonError, RwLock, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::GatewayError;
use crate::{config::TlsSection, tls};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// A certificate with its key, as it was when it could be read last.
#[derive(Debug)]
struct Certificate {
    files: TlsSection,
    /// How often in a row they could not be read.
    unread: AtomicU32,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    /// What the files said when they were looked at last.
    text: (Vec<u8>, Vec<u8>),
    pair: Arc<CertifiedKey>,
}

/// What takes TLS connections; none where the server speaks plain HTTP.
pub(super) fn acceptor(files: &TlsSection) -> Result<Option<TlsAcceptor>, GatewayError> {
    if !files.is_on() {
        return Ok(None);
    }
    tls::choose_provider();
    let certificate = Certificate::read(files)
        .map_err(|why| GatewayError::Certificate { file: files.certificate.display().to_string(), why })?;
    let certificate = Arc::new(certificate);
    tokio::spawn(Certificate::follow(Arc::downgrade(&certificate)));
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

impl Certificate {
    fn read(files: &TlsSection) -> Result<Self, String> {
        let text = text(files)?;
        let pair = Arc::new(pair(&text)?);
        Ok(Self { files: files.clone(), unread: AtomicU32::new(0), held: RwLock::new(Held { text, pair }) })
    }

    /// Looks at the files until nobody needs the certificate any more.
    async fn follow(certificate: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(certificate) = certificate.upgrade() else { return };
            // Reading two small files holds nobody up for long, and a disk that does holds up one of the blocking threads.
            if tokio::task::spawn_blocking(move || certificate.renew()).await.is_err() {
                return;
            }
        }
    }

    /// Takes what the files say, where it is something new and can be used. While one file is new and the other is not yet,
    /// they do not fit each other, and the old ones stay.
    fn renew(&self) {
        let text = match text(&self.files) {
            Ok(text) => text,
            Err(why) => {
                // A file that is being replaced may be away for a moment.
                if self.unread.fetch_add(1, Relaxed) == 1 {
                    tracing::warn!(
                        why,
                        "a file of the http server's certificate cannot be read, and the old one stays until it expires: let the \
                         node's user read the file"
                    );
                }
                return;
            }
        };
        self.unread.store(0, Relaxed);
        if text == self.held().text {
            return;
        }
        let renewed = pair(&text);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let file = self.files.certificate.display();
        match renewed {
            Ok(pair) => {
                held.pair = Arc::new(pair);
                tracing::info!(%file, "the http server's certificate was renewed");
            }
            Err(why) => {
                tracing::warn!(%file, why, "the http server's new certificate cannot be used; the old one stays")
            }
        }
        held.text = text;
    }

    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held().pair))
    }
}

fn text(files: &TlsSection) -> Result<(Vec<u8>, Vec<u8>), String> {
    let read = |file: &std::path::Path| fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
    Ok((read(&files.certificate)?, read(&files.key)?))
}

/// A certificate and its key, which fit each other.
fn pair((certificates, key): &(Vec<u8>, Vec<u8>)) -> Result<CertifiedKey, String> {
    let chain = chain(certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "http.tls.key has no private key (PEM)".to_owned())?;
    let provider = provider()?;
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| format!("key and certificate: {error}"))
}

fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err("has no certificate (PEM)".to_owned()),
    }
}

fn provider() -> Result<Arc<CryptoProvider>, String> {
    CryptoProvider::get_default().cloned().ok_or_else(|| "no cryptography has been chosen for TLS".to_owned())
}

/// Whether a certificate and its key can be used.
///
/// # Errors
/// Why they cannot.
pub fn look(files: &TlsSection) -> Result<(), String> {
    tls::choose_provider();
    Certificate::read(files).map(drop)
}

/// Speaks TLS with the node of this machine that has this certificate. Nobody vouches for it: it is the one in the file.
///
/// # Errors
/// Where the file cannot be read, or whoever listens does not have the certificate.
pub async fn connect(files: &TlsSection, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    tls::choose_provider();
    let certificates = fs::read(&files.certificate)?;
    let own = chain(&certificates).map_err(io::Error::other)?.swap_remove(0);
    let provider = provider().map_err(io::Error::other)?;
    let mut config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    config.dangerous().set_certificate_verifier(Arc::new(ThisOne { own, provider }));
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Believes one certificate, whoever signed it.
#[derive(Debug)]
struct ThisOne {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ThisOne {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.own {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("it shows another certificate than http.tls.certificate".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
