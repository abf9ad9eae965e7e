//! A certificate authority, made by openssl on the spot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::registry::run;

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// An authority; its files vanish with it.
pub(crate) struct Authority {
    name: String,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // No two have one name.
        let name = folder.path().file_name().unwrap().display().to_string();
        Self::named(name, folder)
    }

    /// Another one that bears the same name.
    pub(crate) fn twin(&self) -> Self {
        Self::named(self.name.clone(), tempfile::tempdir().unwrap())
    }

    fn named(name: String, folder: tempfile::TempDir) -> Self {
        let authority = Self { name, folder };
        let (key, certificate) = (authority.path("ca.key"), authority.path("ca.pem"));
        openssl(&format!(
            "req -x509 {KEY} -days 2 -subj /CN=authority-{} -keyout {} -out {}",
            authority.name,
            key.display(),
            certificate.display()
        ));
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    fn request(&self, name: &str) -> (Pair, PathBuf) {
        let path = |extension: &str| self.path(&format!("{name}.{extension}"));
        let pair = Pair { certificate: path("pem"), key: path("key") };
        openssl(&format!(
            "req {KEY} -subj /CN={name} -keyout {} -out {}",
            pair.key.display(),
            path("csr").display()
        ));
        (pair, path("csr"))
    }

    /// A certificate for these names, as in `DNS:h.example,IP:127.0.0.1`.
    pub(crate) fn certify(&self, name: &str, alternatives: &str) -> Pair {
        let (pair, request) = self.request(name);
        let extensions = self.path(&format!("{name}.ext"));
        fs::write(&extensions, format!("subjectAltName={alternatives}\n")).unwrap();
        openssl(&format!(
            "x509 -req -days 2 -in {} -CA {} -CAkey {} -CAcreateserial -extfile {} -out {}",
            request.display(),
            self.certificate().display(),
            self.path("ca.key").display(),
            extensions.display(),
            pair.certificate.display()
        ));
        pair
    }

    /// A certificate that was good until the first of February of 2020.
    pub(crate) fn expired(&self, name: &str, alternatives: &str) -> Pair {
        let (pair, request) = self.request(name);
        let folder = self.folder.path().display();
        let config = self.path("ca.cnf");
        fs::write(self.path("index.txt"), "").unwrap();
        fs::write(
            &config,
            format!(
                "[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\n\
                 rand_serial=yes\ndefault_md=sha256\npolicy=any\nx509_extensions=server\n\
                 [any]\ncommonName=supplied\n[server]\nsubjectAltName={alternatives}\n"
            ),
        )
        .unwrap();
        openssl(&format!(
            "ca -batch -notext -config {} -startdate 20200101000000Z -enddate 20200201000000Z -in {} -cert {} -keyfile {} -out {}",
            config.display(),
            request.display(),
            self.certificate().display(),
            self.path("ca.key").display(),
            pair.certificate.display()
        ));
        pair
    }
}

/// A certificate that signs itself and says that it is an authority, as docker's manual has it made
/// for a registry.
pub(crate) fn self_signed(folder: &Path, alternatives: &str) -> Pair {
    let pair = Pair { certificate: folder.join("self.pem"), key: folder.join("self.key") };
    openssl(&format!(
        "req -x509 {KEY} -days 2 -subj /CN=itself -addext subjectAltName={alternatives} -keyout {} -out {}",
        pair.key.display(),
        pair.certificate.display()
    ));
    pair
}

fn openssl(arguments: &str) {
    run(Command::new("openssl").args(arguments.split(' ')));
}
