//! Reading back reads the medium, not the memory: on a file system of its own, with a byte that
//! changes under it.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sealift::endpoint::{Event, Progress, Silent};
use sealift::model::Kind;
use sealift::operation::export;
use sealift::operation::parity::Wanted;

use crate::Bench;
use crate::volumes::images;

/// A stick: a file with an ext4 file system, mounted.
struct Stick {
    image: PathBuf,
    mounted: PathBuf,
}

fn run(program: &str, args: &[&Path]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Stick {
    fn new(bench: &Bench, mebibytes: u64) -> Self {
        let (image, mounted) = (bench.path("image"), bench.path("mounted"));
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        std::fs::create_dir(&mounted).unwrap();
        run("mkfs.ext4", &[Path::new("-q"), &image]);
        run("mount", &[Path::new("-o"), Path::new("loop"), &image, &mounted]);
        Self { image, mounted }
    }

    /// Changes a byte of a file under the file system.
    fn decay(&self, file: &Path) {
        let bytes = std::fs::read(file).unwrap();
        let piece = &bytes[bytes.len() / 2..bytes.len() / 2 + 64];
        let disk = std::fs::read(&self.image).unwrap();
        let at = disk.windows(64).position(|window| window == piece).expect("on the medium");
        let image = std::fs::OpenOptions::new().write(true).open(&self.image).unwrap();
        image.write_all_at(&[piece[0] ^ 1], at as u64).unwrap();
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.mounted).status();
    }
}

/// Pages of a file that are in memory.
fn in_memory(file: &Path) -> u64 {
    let options = ["--noheadings", "--bytes", "--output", "RES"].map(Path::new);
    let args: Vec<&Path> = options.into_iter().chain([file]).collect();
    run("fincore", &args).trim().parse().unwrap()
}

#[test]
fn a_byte_that_changed_on_the_medium_is_found() {
    let bench = Bench::new();
    let stick = Stick::new(&bench, 32);
    let mut request = bench.request(images(), &stick.mounted.join("a.sealift"), 2, None);
    request.writer.imprint = true;
    let sealed = export::export(request, &Silent).unwrap().sealed;
    let volume = &sealed.volumes[0];
    let before = std::fs::read(&volume.path).unwrap();
    assert!(in_memory(&volume.path) > 0);
    stick.decay(&volume.path);
    assert!(std::fs::read(&volume.path).unwrap() == before, "memory still has what was written");
    let imprint = volume.imprint.as_ref().unwrap();
    let dropped = std::cell::Cell::new(None);
    let look = |_| {
        if dropped.get().is_none() {
            dropped.set(Some(in_memory(&volume.path)));
        }
    };
    let error = imprint.compare(&volume.path, &look).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().contains("is not what was written"), "{error:?}");
    // When the first piece came, the rest was not there, but for what the system reads ahead.
    assert!(dropped.get().unwrap() < volume.bytes, "{dropped:?} of {}", volume.bytes);
}

/// What was made beside the bundle is read back with it.
#[test]
fn parity_is_read_back_too() {
    let bench = Bench::new();
    let stick = Stick::new(&bench, 32);
    let bundle = stick.mounted.join("a.sealift");
    let mut request = bench.request(images(), &bundle, 2, None);
    request.writer.imprint = true;
    let output = stick.mounted.join("a.parity.sealift");
    request.parity = Some(Wanted { percent: 50, output, limit: None, force: false });
    let heard = Heard::default();
    let report = export::export(request, &heard).unwrap();
    let made = report.parity.unwrap();
    assert_eq!(heard.read_back.into_inner(), report.sealed.bytes + made.bytes);
    let (file, written) = (&made.files[0], &made.written[0]);
    written.compare(file, &|_| ()).unwrap();
    stick.decay(file);
    let error = written.compare(file, &|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.message().contains("a.parity.sealift is not what was written"), "{error:?}");
}

/// Hears how many bytes are read back.
#[derive(Default)]
struct Heard {
    is_on: AtomicBool,
    read_back: AtomicU64,
}

impl Progress for Heard {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Phase { title, .. } => {
                self.is_on.store(title == "reading back", Ordering::Relaxed);
            }
            Event::Advanced { bytes, .. } if self.is_on.load(Ordering::Relaxed) => {
                self.read_back.fetch_add(bytes, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// A disk that is certainly too small is refused before anything is fetched; one that gets full
/// leaves nothing behind.
#[test]
fn a_disk_that_gets_full_holds_no_wreck() {
    let bench = Bench::new();
    let stick = Stick::new(&bench, 4);
    let error =
        bench.volumes(images(), &stick.mounted.join("a.sealift"), 2, Some(1 << 20)).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    let hint = error.get_hint().unwrap();
    assert!(hint.contains("are needed in") && hint.contains("were free"), "{error:?} {hint}");
    let left: Vec<_> = std::fs::read_dir(&stick.mounted)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["lost+found"]);
}
