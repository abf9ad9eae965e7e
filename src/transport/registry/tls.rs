//! Whom we trust to be who they say: the roots that a registry's certificate must lead to, and
//! what of a failed request is a matter of TLS.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::codec::checked::read_bounded;
use crate::model::{Error, Result};

/// Bytes of a file of certificates. The whole bundle of a Linux distribution has 250 KiB.
const CA_FILE_BYTES: u64 = 4 << 20;

/// A TLS configuration that trusts the system's roots and those in `ca_files`. Where the system
/// has none (a bare container), Mozilla's list takes their place.
///
/// # Errors
/// A file that cannot be read or holds no certificate.
pub(super) fn configuration(ca_files: &[PathBuf]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // Single certificates that cannot be read are no reason to trust none of the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for path in ca_files {
        for certificate in read_certificates(path)? {
            roots.add(certificate).map_err(|e| {
                Error::usage(format!("{} holds a certificate that cannot be used", path.display()))
                    .because(e)
            })?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::usage("TLS cannot be set up").because(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let what = format!("the CA file {}", path.display());
    let file =
        std::fs::File::open(path).map_err(|e| Error::io(format!("cannot open {what}"), e))?;
    let bytes = read_bounded(file, CA_FILE_BYTES, &what)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|e| Error::usage(format!("{what} is not PEM")).because(e))?;
    if certificates.is_empty() {
        return Err(Error::usage(format!("{what} holds no certificate"))
            .hint("give the certificate of the authority as PEM (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

/// Whether the certificate of the other side is the problem, and not that it speaks no TLS.
pub(super) fn is_certificate_problem(error: &reqwest::Error) -> bool {
    matches!(tls_problem(error), Some(rustls::Error::InvalidCertificate(_)))
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
        assert_eq!(configuration(std::slice::from_ref(&path)).unwrap_err().kind(), Kind::Io);
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            std::fs::write(&path, text).unwrap();
            let error = configuration(std::slice::from_ref(&path)).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text:?}");
        }
        assert!(configuration(&[]).is_ok());
    }
}
