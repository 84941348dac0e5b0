//! A certificate authority of a sink's own, made anew for each sink.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server certificate, its key, and the authority that vouches for it.
#[derive(Clone, Debug)]
pub struct Certificate {
    ca_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivatePkcs8KeyDer<'static>>,
}

impl Certificate {
    /// Valid for these host names and IP addresses; `expired` ended in 2020.
    pub fn generate(names: &[&str], expired: bool) -> anyhow::Result<Certificate> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name = named("Pressrun sink authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let ca = authority.self_signed(&authority_key)?;

        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut leaf = CertificateParams::new(names)?;
        // Two names: with one, OpenSSL takes the certificate for its own issuer.
        leaf.distinguished_name = named("Pressrun sink");
        if expired {
            leaf.not_after = date_time_ymd(2020, 1, 1);
        }
        let leaf_key = KeyPair::generate()?;
        let issuer = Issuer::new(authority, authority_key);
        let certificate = leaf.signed_by(&leaf_key, &issuer)?;
        Ok(Certificate {
            ca_pem: ca.pem(),
            chain: vec![certificate.der().clone()],
            key: Arc::new(PrivatePkcs8KeyDer::from(leaf_key.serialize_der())),
        })
    }

    /// The same, with its authority behind it in the chain: who is known by the authority (DANE-TA) must send that too.
    pub fn with_authority(mut self) -> anyhow::Result<Certificate> {
        self.chain
            .push(CertificateDer::from_pem_slice(self.ca_pem.as_bytes())?);
        Ok(self)
    }

    /// Valid for this machine under its loopback names.
    pub fn loopback() -> anyhow::Result<Certificate> {
        Certificate::generate(&["localhost", "127.0.0.1", "::1"], false)
    }

    /// The authority in PEM: the `ca_file` of a relay that is this sink.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The server's own certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// The server's side of the handshake.
    pub fn server(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(self.key.clone_key());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)?;
        Ok(Arc::new(config))
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

#[cfg(test)]
mod tests {
    use super::Certificate;

    #[test]
    fn a_certificate_and_its_authority_have_names_of_their_own() {
        let certificate = Certificate::loopback().expect("a certificate");
        let holds =
            |bytes: &[u8], name: &str| bytes.windows(name.len()).any(|w| w == name.as_bytes());
        let leaf = &certificate.chain[0];
        assert!(holds(leaf, "Pressrun sink authority"), "the issuer");
        // The subject's name ends where the authority's goes on.
        let subject = leaf.windows(14).filter(|w| w.starts_with(b"Pressrun sink"));
        assert!(subject.into_iter().any(|w| w[13] != b' '), "the subject");
    }
}
