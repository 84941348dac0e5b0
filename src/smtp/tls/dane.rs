//! The handshake with a host that has TLSA records (RFC 7672, section 3).
//!
//! Promises: the certificate matches a DANE-EE(3) record, or its chain holds an authority of a
//! DANE-TA(2) record that vouches for one of its names; the machine's own authorities are not asked.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::mx::dane::{Bond, Usage};

/// A verifier for one host.
#[derive(Debug)]
pub(super) struct Bound {
    bond: Bond,
    provider: Arc<CryptoProvider>,
}

impl Bound {
    pub(super) fn new(bond: Bond, provider: Arc<CryptoProvider>) -> Bound {
        Bound { bond, provider }
    }

    fn is_named(&self, usage: Usage, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let key = parsed.subject_public_key_info();
        let mut records = self
            .bond
            .records
            .iter()
            .filter(|r| r.usage() == Some(usage));
        Ok(records.any(|record| record.matches(certificate, &key)))
    }
}

impl ServerCertVerifier for Bound {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is_named(Usage::Server, end_entity)? {
            // RFC 7672, section 3.1.1: neither name nor dates matter.
            return Ok(ServerCertVerified::assertion());
        }
        let mut anchors = RootCertStore::empty();
        for certificate in intermediates {
            if self.is_named(Usage::Authority, certificate)? {
                anchors.add(certificate.clone().into_owned())?;
            }
        }
        if anchors.is_empty() {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &anchors,
            intermediates,
            now,
            algorithms,
        )?;
        // RFC 7672, section 3.2.2: any of the names is enough.
        let fits = |name: &str| {
            let name = ServerName::try_from(name);
            name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        };
        match self.bond.names().any(fits) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData,
    };
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use sha2::{Digest, Sha256};

    use super::Bound;
    use crate::mx::dane::{Bond, Tlsa};

    struct Chain {
        leaf: CertificateDer<'static>,
        leaf_key: Vec<u8>,
        ca: CertificateDer<'static>,
        ca_key: Vec<u8>,
    }

    fn chain() -> Chain {
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority
            .distinguished_name
            .push(DnType::CommonName, "An authority of nobody's");
        let ca_key = KeyPair::generate().expect("a key");
        let ca = authority.self_signed(&ca_key).expect("a certificate");
        let leaf = CertificateParams::new(vec!["mx.example.org".into()]).expect("parameters");
        let leaf_key = KeyPair::generate().expect("a key");
        let (ca_spki, leaf_spki) = (
            ca_key.subject_public_key_info(),
            leaf_key.subject_public_key_info(),
        );
        let issuer = Issuer::new(authority, ca_key);
        let signed = leaf.signed_by(&leaf_key, &issuer).expect("a certificate");
        Chain {
            leaf: signed.der().clone(),
            leaf_key: leaf_spki,
            ca: ca.der().clone(),
            ca_key: ca_spki,
        }
    }

    fn record(usage: u8, selector: u8, octets: &[u8]) -> Tlsa {
        Tlsa {
            usage,
            selector,
            matching: 1,
            data: Sha256::digest(octets).to_vec(),
        }
    }

    fn accepts(chain: &Chain, record: Tlsa, with_ca: bool, name: &str, years: u64) -> bool {
        let bond = Bond::new(vec![record], name, &["news.example.org"]);
        let bound = Bound::new(bond, Arc::new(aws_lc_rs::default_provider()));
        let others = if with_ca {
            vec![chain.ca.clone()]
        } else {
            Vec::new()
        };
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(years * 31_557_600));
        let verified = bound.verify_server_cert(&chain.leaf, &others, &name, &[], now);
        verified.is_ok()
    }

    #[test]
    fn a_server_is_known_by_its_key_whatever_its_name_and_dates() {
        let chain = chain();
        let key = || record(3, 1, &chain.leaf_key);
        assert!(accepts(&chain, key(), false, "mx.example.org", 50));
        assert!(accepts(&chain, key(), false, "other.example.org", 5));
        assert!(accepts(
            &chain,
            record(3, 0, &chain.leaf),
            false,
            "mx.example.org",
            50
        ));
        assert!(!accepts(
            &chain,
            record(3, 1, b"another key"),
            true,
            "mx.example.org",
            50
        ));
        assert!(!accepts(
            &chain,
            record(3, 1, &chain.ca_key),
            true,
            "mx.example.org",
            50
        ));
    }

    #[test]
    fn an_authority_vouches_for_the_name_it_signed() {
        let chain = chain();
        for record in [
            |chain: &Chain| record(2, 1, &chain.ca_key),
            |chain: &Chain| record(2, 0, &chain.ca),
        ] {
            assert!(accepts(&chain, record(&chain), true, "mx.example.org", 50));
            assert!(
                !accepts(&chain, record(&chain), false, "mx.example.org", 50),
                "not in the chain"
            );
            assert!(!accepts(
                &chain,
                record(&chain),
                true,
                "other.example.org",
                50
            ));
        }
        assert!(!accepts(
            &chain,
            record(2, 1, &chain.leaf_key),
            true,
            "mx.example.org",
            50
        ));
    }
}
