//! A desk with three people's keys and bundles on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use sealift::trust::{PublicKey, SecretKey};

use crate::support::command::{Run, Station};
use crate::support::images::{self, Packing, image_of, layer};

/// When bundles are made here: in November 2023.
pub(crate) const MADE: &str = "1700000000";

pub(crate) const PEOPLE: [&str; 3] = ["anna", "ben", "carl"];

/// A home with the signing keys of three people, none of them trusted, and images of two
/// repositories.
pub(crate) struct Desk {
    pub(crate) station: Station,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let station = Station::without_keys();
        for (name, number) in PEOPLE.into_iter().zip(1u8..) {
            let mut der = hex::decode("302e020100300506032b657004220420").unwrap();
            der.extend([number; 32]);
            let body = base64::engine::general_purpose::STANDARD.encode(der);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
            let path = station.path(&format!("{name}.pem"));
            fs::write(&path, pem).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let public = SecretKey::load(&path, &mut || panic!("it has no passphrase")).unwrap();
            fs::write(path.with_extension("pub"), public.public().to_pem().unwrap()).unwrap();
        }
        let image = |text: &str| {
            image_of(&[layer(&[("text", text.as_bytes())])], Packing::Plain, "amd64", text)
        };
        let (app, tool) = (image("app"), image("tool"));
        images::write_layout(
            &station.path("images"),
            &[("h.example/team/app:1", &app), ("h.example/other/tool:1", &tool)],
        );
        Self { station }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.station.path(name)
    }

    pub(crate) fn id(name: &str) -> String {
        let desk = Self::new();
        PublicKey::load(&desk.path(&format!("{name}.pub"))).unwrap().id().to_string()
    }

    /// Makes `trust.toml` in the trust folder.
    pub(crate) fn policy(&self, text: &str) -> PathBuf {
        let folder = self.trust();
        for name in PEOPLE {
            let file = format!("{name}.pub");
            fs::copy(self.path(&file), folder.join(file)).unwrap();
        }
        fs::write(folder.join("trust.toml"), text).unwrap();
        folder.join("trust.toml")
    }

    /// The trust folder.
    pub(crate) fn trust(&self) -> PathBuf {
        let folder = self.path(".config/sealift/trust");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Trusts these, as it was before there were policies.
    pub(crate) fn trusting(self, names: &[&str]) -> Self {
        for name in names {
            let file = format!("{name}.pub");
            fs::copy(self.path(&file), self.trust().join(file)).unwrap();
        }
        self
    }

    pub(crate) fn program(&self) -> Command {
        let mut command = self.station.program();
        command.env("SOURCE_DATE_EPOCH", MADE);
        command
    }

    /// Where in a bundle the first pack has a byte that matters.
    pub(crate) fn in_pack(bundle: &[u8]) -> usize {
        // The README speaks of packs, too, but no block begins so.
        let at = bundle.chunks(512).position(|block| block.starts_with(b"packs/")).unwrap();
        (at + 1) * 512 + 20
    }

    /// Exports the application to a new bundle, with Anna's key unless others are named.
    pub(crate) fn export(&self, bundle: &str, more: &[&str]) {
        self.exporting(bundle, more).succeeds();
    }

    pub(crate) fn exporting(&self, bundle: &str, more: &[&str]) -> Run {
        let mut command = self.program();
        command.args(["export", "-q", "oci:images:h.example/team/app:1", "-o", bundle, "--force"]);
        command.args(more);
        if !more.contains(&"--key") {
            command.args(["--key", "anna.pem"]);
        }
        Run::of(&mut command)
    }

    /// Runs sealift.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.program().args(arguments))
    }

    /// What it said on stderr, with the exit code before it; nothing may be on stdout.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.stdout, "");
        format!("{}\n{}", run.code.unwrap(), self.plain(&run.stderr))
    }

    /// What it printed, and then what it said.
    pub(crate) fn told(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        let code = run.code.unwrap();
        format!("{code}\n{}{}", self.plain(&run.stdout), self.plain(&run.stderr))
    }

    /// A text in which nothing differs from one machine or version to the next.
    pub(crate) fn plain(&self, text: &str) -> String {
        let mut text = text.replace(self.station.home().to_str().unwrap(), "HOME");
        for name in PEOPLE {
            let id = PublicKey::load(&self.path(&format!("{name}.pub"))).unwrap().id();
            let word = name.to_uppercase();
            text = text.replace(&id.to_string(), &word).replace(&id.short(), &word);
        }
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("sha256:") {
            plain.push_str(before);
            plain.push_str("DIGEST");
            rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        }
        plain.push_str(rest);
        // How long a bundle is depends on the version that wrote it.
        let lines = plain.lines().map(|line| match line.split_once(" KiB in ") {
            Some((_, packs)) if line.starts_with("ok: ") => format!("ok: SIZE in {packs}\n"),
            _ => format!("{line}\n"),
        });
        lines.collect()
    }
}
