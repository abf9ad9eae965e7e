//! Certificates for single registries, as docker and the containers tools keep them: a folder
//! `certs.d`, in it a folder for each `HOST[:PORT]`, in that `*.crt` (authorities), and `*.cert`
//! with `*.key` (who we are). See containers-certs.d(5).
//!
//! Of several `certs.d` the first that has a folder for the host counts, and no other; within a
//! folder, files are taken in the order of their names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::file;
use crate::model::{Error, Result};

/// Files of one folder that are looked at. Real folders have three.
const FILES: usize = 256;

/// Where certificates for single registries are. By default nowhere.
#[derive(Clone, Debug, Default)]
pub struct CertificateFolders {
    /// The `certs.d` folders, the first to be asked first.
    pub roots: Vec<PathBuf>,
    /// A folder that takes the place of all of these, for every registry.
    pub only: Option<PathBuf>,
}

impl CertificateFolders {
    /// The folder for a registry, by any of its names.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where a folder cannot be looked at. One that this user
    /// may not look into is passed over, as the containers tools do.
    pub(in super::super) fn of(&self, names: &[&str]) -> Result<Option<PathBuf>> {
        if let Some(only) = &self.only {
            return Ok(Some(only.clone()));
        }
        for root in &self.roots {
            for name in names.iter().filter(|name| is_plain(name)) {
                let folder = root.join(name);
                match fs::metadata(&folder) {
                    Ok(found) if found.is_dir() => return Ok(Some(folder)),
                    Ok(_) => {}
                    Err(error) if is_passed_over(&error) => {}
                    Err(error) => {
                        return Err(Error::io(
                            format!("cannot look at {}", folder.display()),
                            error,
                        ));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Where a certificate would be put for a registry, for hints: the first place and the last.
    pub(in super::super) fn places(&self, name: &str) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> =
            self.roots.iter().map(|root| root.join(name).join("ca.crt")).collect();
        if places.len() > 2 {
            places.drain(1..places.len() - 1);
        }
        places
    }
}

/// A name that stays within the folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

fn is_passed_over(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | InvalidFilename)
}

/// What a folder for one registry holds.
#[derive(Default)]
pub(in super::super) struct Certificates {
    /// Authorities, each with the file that it stands in.
    pub(in super::super) authorities: Vec<(PathBuf, CertificateDer<'static>)>,
    /// Who we are.
    pub(in super::super) identities: Vec<Identity>,
}

/// A certificate of ours, the chain up from it, and its key.
pub(in super::super) struct Identity {
    pub(in super::super) file: PathBuf,
    pub(in super::super) chain: Vec<CertificateDer<'static>>,
    pub(in super::super) key: PrivateKeyDer<'static>,
}

impl Certificates {
    /// Reads a folder.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::model::Kind::Usage) for a file that does not hold what its name says,
    /// and for a `.cert` without its `.key` or the other way round;
    /// [`Kind::Io`](crate::model::Kind::Io) where something cannot be read.
    pub(in super::super) fn read(folder: &Path) -> Result<Self> {
        let cannot = |e| Error::io(format!("cannot read {}", folder.display()), e);
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(cannot)? {
            files.push(entry.map_err(cannot)?.path());
            if files.len() > FILES {
                return Err(Error::usage(format!(
                    "{} holds more than {FILES} files",
                    folder.display()
                )));
            }
        }
        files.sort();
        let mut found = Self::default();
        for path in &files {
            let partner = |extension| {
                let partner = path.with_extension(extension);
                if files.contains(&partner) { Ok(partner) } else { Err(lonely(path, &partner)) }
            };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => {
                    let authorities = read_authorities(path)?;
                    found.authorities.extend(authorities.into_iter().map(|a| (path.clone(), a)));
                }
                Some("cert") => found.identities.push(Identity {
                    file: path.clone(),
                    key: read_key(&partner("key")?)?,
                    chain: read_pem(path, "the client certificate")?,
                }),
                Some("key") => drop(partner("cert")?),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn lonely(path: &Path, partner: &Path) -> Error {
    Error::usage(format!(
        "{} needs {} beside it, which is not there",
        path.display(),
        partner.file_name().unwrap_or_default().display()
    ))
    .hint("a client certificate is NAME.cert with NAME.key; an authority is NAME.crt")
}

/// The certificates of a file of authorities, PEM.
///
/// # Errors
/// A file that cannot be read or holds no certificate.
pub(in super::super) fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    read_pem(path, "the CA file")
}

fn read_pem(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path, what)?;
    let what = format!("{what} {}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|e| Error::usage(format!("{what} is not PEM")).because(e))?;
    if certificates.is_empty() {
        return Err(Error::usage(format!("{what} holds no certificate"))
            .hint("it must be PEM (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(certificates)
}

/// Reads a key; nothing of it is quoted in an error.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let bytes = Zeroizing::new(read(path, "the client key")?);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        Error::usage(format!("{} holds no private key that can be used", path.display()))
            .hint("it must be PEM and without a passphrase")
    })
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    file::read(path, what)?.ok_or_else(|| {
        Error::io(format!("cannot open {what} {}", path.display()), io::ErrorKind::NotFound.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn the_first_folder_for_a_host_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = |name: &str| folder.path().join(name);
        for path in ["a/h.example:5000", "b/h.example", "b/h.example:5000"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(folder.path().join("a/h.example"), "no folder").unwrap();
        let folders =
            CertificateFolders { roots: vec![root("a"), root("b"), root("c")], only: None };
        let found = |name: &str| folders.of(&[name]).unwrap();
        assert_eq!(found("h.example:5000"), Some(root("a").join("h.example:5000")));
        assert_eq!(found("h.example"), Some(root("b").join("h.example")));
        for name in ["other.example", "", "..", ".", "../b/h.example", "h.example/.."] {
            assert_eq!(found(name), None, "{name:?}");
        }
        assert_eq!(folders.places("x"), [root("a").join("x/ca.crt"), root("c").join("x/ca.crt")]);
        let only = CertificateFolders { only: Some(root("z")), ..folders };
        assert_eq!(only.of(&["h.example"]).unwrap(), Some(root("z")));
    }

    #[test]
    fn what_is_not_as_its_name_says_is_named() {
        for (file, text, kind) in [
            ("ca.crt", "", Kind::Usage),
            ("ca.crt", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", Kind::Usage),
            ("client.cert", "", Kind::Usage),
            ("client.key", "", Kind::Usage),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(file), text).unwrap();
            let error = Certificates::read(folder.path()).err().unwrap();
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.message().contains(file), "{error:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        for file in ["client.cert", "client.key"] {
            fs::write(folder.path().join(file), "canary").unwrap();
        }
        let error = Certificates::read(folder.path()).err().unwrap();
        assert!(error.message().contains("client.key"), "{error:?}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert!(Certificates::read(&folder.path().join("none")).is_err());
    }
}
