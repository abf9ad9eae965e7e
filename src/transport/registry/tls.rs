//! Whom we trust to be who they say, and who we say we are: the TLS of one line, and what of a
//! failed request is a matter of TLS.
//!
//! A certificate is always checked. Trusted are the system's roots, those of `--ca-file`, and those
//! that `certs.d` has for a registry.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::route::{Certificates, Identity, read_authorities};
use crate::model::{Error, Result};

/// Whom everybody is measured by: the system's roots and those of `--ca-file`.
#[derive(Clone)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    /// The trusted certificates themselves.
    certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The system's roots and those in `ca_files`. Where the system has none (a bare container),
    /// Mozilla's list takes their place.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate.
    pub(super) fn new(ca_files: &[PathBuf]) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        let certificates = rustls_native_certs::load_native_certs().certs;
        // Single certificates that cannot be read are no reason to trust none of the others.
        roots.add_parsable_certificates(certificates.iter().cloned());
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let mut trust = Self { provider, roots, certificates };
        for path in ca_files {
            for certificate in read_authorities(path)? {
                trust.add(path, certificate)?;
            }
        }
        Ok(trust)
    }

    fn add(&mut self, file: &Path, certificate: CertificateDer<'static>) -> Result<()> {
        self.roots.add(certificate.clone()).map_err(|e| {
            Error::usage(format!("{} holds a certificate that cannot be used", file.display()))
                .because(e)
        })?;
        self.certificates.push(certificate);
        Ok(())
    }

    /// A configuration that also trusts the authorities of these folders, and shows who we are as
    /// one of them says.
    ///
    /// # Errors
    /// What a folder holds that cannot be used.
    pub(super) fn configuration(
        &self,
        authorities: &[PathBuf],
        identity: Option<&Path>,
    ) -> Result<ClientConfig> {
        let mut trust = self.clone();
        let mut own = Vec::new();
        for folder in authorities {
            let found = Certificates::read(folder)?;
            for (file, certificate) in found.authorities {
                trust.add(&file, certificate)?;
            }
            if Some(folder.as_path()) == identity {
                own = found.identities;
            }
        }
        let cannot = |e: rustls::Error| Error::usage("TLS cannot be set up").because(e);
        let provider = Arc::clone(&trust.provider);
        let inner = WebPkiServerVerifier::builder_with_provider(
            Arc::new(trust.roots),
            Arc::clone(&provider),
        )
        .build()
        .map_err(|e| Error::usage("TLS cannot be set up").because(e))?;
        let verifier = Verifier { inner, certificates: trust.certificates };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(cannot)?
            // Not to check less: see `Verifier`.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        if own.is_empty() {
            return Ok(builder.with_no_client_auth());
        }
        let keys = own.into_iter().map(|one| certified(one, &provider)).collect::<Result<_>>()?;
        Ok(builder.with_client_cert_resolver(Arc::new(Identities(keys))))
    }
}

fn certified(identity: Identity, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>> {
    CertifiedKey::from_der(identity.chain, identity.key, provider).map(Arc::new).map_err(|e| {
        Error::usage(format!("{} and its key cannot be used together", identity.file.display()))
            .because(e)
            .hint("the .key must be the key of the certificate in the .cert of the same name")
    })
}

/// Checks as `WebPKI` does, and takes one thing more: a certificate that is itself among those that
/// the user trusts.
///
/// Docker's own manual has registries use a certificate that signs itself and says that it is an
/// authority (what `openssl req -x509` makes), copied to `certs.d/HOST/ca.crt`. `WebPKI` refuses an
/// authority as the certificate of a server, after its dates were checked; Go does not. Host name
/// and handshake are checked as for every other.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match checked {
            Err(error)
                if is_authority_as_server(&error)
                    && self.certificates.iter().any(|own| own == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whether a server shows a certificate that says of itself that it is an authority.
pub(super) fn is_authority_as_server(error: &rustls::Error) -> bool {
    // WebPKI's own error has no name outside of it.
    matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if other.0.to_string() == "CaUsedAsEndEntity"
    )
}

/// Our certificates for one registry.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for Identities {
    /// The first that comes from an authority that the server names; where it names none, or only
    /// others, the first: let the server say no.
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        // A certificate holds the name of its issuer as it is.
        let from = |key: &&Arc<CertifiedKey>| {
            key.cert.iter().any(|certificate| {
                authorities.iter().any(|name| {
                    !name.is_empty() && certificate.windows(name.len()).any(|part| part == *name)
                })
            })
        };
        let fitting = || self.0.iter().filter(fits);
        fitting().find(from).or_else(|| fitting().next()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Whether the certificate of the other side is the problem, and not that it speaks no TLS.
pub(super) fn is_certificate_problem(error: &reqwest::Error) -> bool {
    matches!(
        tls_problem(error),
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
    )
}

/// The TLS error at the bottom of a failed request.
pub(super) fn tls_problem(error: &reqwest::Error) -> Option<&rustls::Error> {
    cause(error, |cause| cause.downcast_ref::<rustls::Error>())
}

/// Searches the causes, also those that an [`io::Error`] carries and passes over in `source`.
pub(super) fn cause<'a, T>(
    error: &'a (dyn StdError + 'static),
    wanted: impl Fn(&'a (dyn StdError + 'static)) -> Option<&'a T>,
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = wanted(cause) {
            return Some(found);
        }
        let carried = cause.downcast_ref::<io::Error>().and_then(|cause| cause.get_ref());
        next = match carried {
            Some(carried) => Some(carried),
            None => cause.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn files_without_a_certificate_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let refused = || Trust::new(std::slice::from_ref(&path)).err().unwrap().kind();
        assert_eq!(refused(), Kind::Io);
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            std::fs::write(&path, text).unwrap();
            assert_eq!(refused(), Kind::Usage, "{text:?}");
        }
        assert!(Trust::new(&[]).unwrap().configuration(&[], None).is_ok());
    }
}
