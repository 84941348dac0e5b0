//! TLS towards a relay: who is trusted, and when nobody needs to be.
//!
//! Promises: TLS 1.2 or 1.3 by aws-lc-rs, named explicitly; `required` verifies chain, name and dates.
//! `opportunistic` encrypts without asking who is there, so a session over it never sends credentials.
//! A host with TLSA records is who matches one of them, whatever authorities say (`dane`).

mod dane;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::config::TlsPolicy;
use crate::mx::dane::Bond;
use crate::smtp::tls::dane::Bound;

/// What is asked of a connection's encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// None, even where it is offered.
    Clear,
    /// TLS where it is offered, with anyone.
    Offered,
    /// TLS, with anyone.
    Encrypted,
    /// TLS with who proves to be the host, by an authority.
    Verified,
    /// TLS with who matches one of these records; they are usable ones.
    Dane(Bond),
}

impl Demand {
    /// Whether a connection in clear is an answer to it.
    pub fn allows_clear(&self) -> bool {
        matches!(self, Demand::Clear | Demand::Offered)
    }
}

impl From<TlsPolicy> for Demand {
    fn from(policy: TlsPolicy) -> Demand {
        match policy {
            TlsPolicy::None => Demand::Clear,
            TlsPolicy::Opportunistic => Demand::Offered,
            TlsPolicy::Required => Demand::Verified,
        }
    }
}

/// The trusted authorities, read once and shared by all connections.
#[derive(Clone, Debug)]
pub struct TlsClient {
    verified: Arc<ClientConfig>,
    unverified: Arc<ClientConfig>,
    provider: Arc<CryptoProvider>,
}

/// The machine's own authorities: some three hundred files, read once for all relays.
fn native_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "a trusted certificate of this machine cannot be read");
        }
        // A machine's store may hold certificates that are none to rustls; the rest still counts.
        roots.add_parsable_certificates(native.certs);
        roots
    })
}

impl TlsClient {
    /// Trusts the machine's own authorities and those in `ca_file` (PEM), for a relay with a private one.
    pub fn new(ca_file: Option<&Path>) -> anyhow::Result<TlsClient> {
        let mut roots = native_roots().clone();
        if let Some(path) = ca_file {
            let shown = path.display();
            let before = roots.len();
            let certificates = CertificateDer::pem_file_iter(path)
                .with_context(|| format!("cannot read `{shown}`; set `ca_file` to a PEM file"))?;
            for certificate in certificates {
                let certificate =
                    certificate.with_context(|| format!("`{shown}` is no valid PEM"))?;
                roots
                    .add(certificate)
                    .with_context(|| format!("`{shown}` holds an unusable certificate"))?;
            }
            if roots.len() == before {
                anyhow::bail!("`{shown}` holds no certificate; set `ca_file` to a PEM file");
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .context("the TLS provider knows no protocol version")
        };
        let verified = builder()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let anyone = Arc::new(Anyone(Arc::clone(&provider)));
        let unverified = builder()?
            .dangerous()
            .with_custom_certificate_verifier(anyone)
            .with_no_client_auth();
        Ok(TlsClient {
            verified: Arc::new(verified),
            unverified: Arc::new(unverified),
            provider,
        })
    }

    /// What `required` is: for another protocol with the same authorities.
    pub fn verifying(&self) -> ClientConfig {
        ClientConfig::clone(&self.verified)
    }

    /// Encrypts a connection to `host`, if it proves what `demand` asks for.
    pub async fn handshake(
        &self,
        host: &str,
        demand: &Demand,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = match demand {
            Demand::Clear | Demand::Verified => Arc::clone(&self.verified),
            Demand::Offered | Demand::Encrypted => Arc::clone(&self.unverified),
            Demand::Dane(bond) => Arc::new(self.bound(bond)?),
        };
        let host = match demand {
            Demand::Dane(bond) => &bond.base,
            _ => host,
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        let connector = TlsConnector::from(config);
        Ok(connector.connect(name, stream).await?.into())
    }

    fn bound(&self, bond: &Bond) -> std::io::Result<ClientConfig> {
        let provider = Arc::clone(&self.provider);
        let verifier = Arc::new(Bound::new(bond.clone(), Arc::clone(&provider)));
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?;
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth())
    }
}

/// Takes any certificate; signatures are still checked, so that the handshake itself is sound.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
