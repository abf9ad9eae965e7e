//! A folder in which others write too: what they lay where an export keeps its own is neither believed
//! nor removed, and nothing waits for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};
use sealift::bundle::{Kept, Occupied};
use sealift::endpoint::Silent;
use sealift::model::{Error, Kind};
use sealift::operation::export;

use crate::Bench;
use crate::memory::{Memory, noise, tar};

/// The user `nobody`, as whom no test runs.
const NOBODY: u32 = 65_534;

const SET: &str = "00000000000000000000000000000000";

/// A folder as `/tmp` is, and in it a bundle of several volumes.
struct Shared {
    bench: Bench,
}

impl Shared {
    fn new() -> Self {
        let bench = Bench::new();
        fs::create_dir(bench.path("out")).unwrap();
        let mode = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(bench.path("out"), mode).unwrap();
        let shared = Self { bench };
        shared.export().unwrap();
        assert!(shared.volumes().len() > 2);
        shared
    }

    fn output(&self) -> PathBuf {
        self.bench.path("out/b.sealift")
    }

    fn export(&self) -> Result<(), Error> {
        let mut memory = Memory::default();
        let layers = [1, 2, 3].map(|seed| {
            let file = ("a".to_owned(), noise(seed, 900_000));
            memory.layer(&tar(&[file]), sealift::model::manifest::media::OCI_LAYER)
        });
        memory.image("h.example/app:1", "amd64", &layers);
        let request = self.bench.request(memory, &self.output(), 1, Some(1 << 20));
        export::export(request, &Silent).map(drop)
    }

    fn volumes(&self) -> Vec<PathBuf> {
        Occupied::find(&self.output()).unwrap().files().to_vec()
    }

    /// All files that lie there, and what they hold.
    fn whole(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths =
            fs::read_dir(self.bench.path("out")).unwrap().map(|entry| entry.unwrap().path());
        let files = paths.filter(|path| path.is_file());
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// What a killed export would have left, with a note of names that says this.
    fn left(&self, note: &[u8]) -> PathBuf {
        let home = self.bench.path("out/.b.sealift.partial");
        let run = home.join("1");
        fs::create_dir_all(&run).unwrap();
        for folder in [&home, &run] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(run.join("names"), note).unwrap();
        home
    }

    /// A note as an export makes it that was to name one volume more than there are.
    fn note(&self) -> String {
        let lengths =
            self.volumes().into_iter().map(|path| path.metadata().unwrap().len()).chain([9]);
        let lines: Vec<String> = lengths.map(|length| length.to_string()).collect();
        format!("{SET}\n{}\n", lines.join("\n"))
    }
}

#[test]
fn what_an_export_left_while_it_named_its_volumes_is_removed() {
    let shared = Shared::new();
    let note = shared.note();
    shared.left(note.as_bytes());
    assert!(shared.volumes().is_empty(), "they are no bundle, and will go");
    // One of another length is not one of those.
    let volumes: Vec<PathBuf> = shared.whole().into_keys().collect();
    let longer = note.replacen('\n', "\n1", 1);
    shared.left(longer.as_bytes());
    assert_eq!(shared.volumes(), volumes[..1]);
}

#[test]
fn what_somebody_else_has_laid_there_is_left_alone() {
    let shared = Shared::new();
    let (volumes, note) = (shared.whole(), shared.note());
    let count = volumes.len();
    let refused = |what: &str| {
        assert_eq!(shared.volumes().len(), count, "{what}: they count as left");
        assert_eq!(Kept::find(&shared.output()), None, "{what}");
        let error = shared.export().unwrap_err();
        assert_eq!(error.kind(), Kind::Io, "{what}");
        assert!(error.chain().contains("belongs to somebody else"), "{what}: {error:?}");
        assert!(shared.whole() == volumes, "{what}: a volume is gone");
    };
    let give = |path: &Path| chown(path, Some(NOBODY), None).unwrap();
    let home = shared.left(note.as_bytes());
    for part in ["", "1"] {
        give(&home.join(part));
        refused(&format!("of nobody: {part:?}"));
        chown(home.join(part), Some(0), None).unwrap();
    }
    for part in ["", "1"] {
        fs::set_permissions(home.join(part), fs::Permissions::from_mode(0o777)).unwrap();
        refused(&format!("open to all: {part:?}"));
        fs::set_permissions(home.join(part), fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::rename(home.join("1"), shared.bench.path("elsewhere")).unwrap();
    symlink(shared.bench.path("elsewhere"), home.join("1")).unwrap();
    refused("a link");
    assert!(shared.bench.path("elsewhere/names").exists());
    // Nobody's word among what is ours.
    fs::remove_file(home.join("1")).unwrap();
    shared.left(note.as_bytes());
    give(&home.join("1/names"));
    assert_eq!(shared.volumes().len(), count);
}

#[test]
fn nobody_waits_for_a_note_and_none_is_longer_than_it_can_be() {
    let shared = Shared::new();
    let count = shared.volumes().len();
    let names = shared.left(b"").join("1/names");
    let looked_at = |what: &str| assert_eq!(shared.volumes().len(), count, "{what}");
    looked_at("empty");
    fs::File::options().write(true).open(&names).unwrap().set_len(3 << 30).unwrap();
    looked_at("3 GiB of nothing");
    fs::remove_file(&names).unwrap();
    mkfifoat(CWD, &names, Mode::from_raw_mode(0o600)).unwrap();
    looked_at("a pipe");
    fs::remove_file(&names).unwrap();
    fs::write(shared.bench.path("note"), shared.note()).unwrap();
    symlink(shared.bench.path("note"), &names).unwrap();
    looked_at("a link");
}
