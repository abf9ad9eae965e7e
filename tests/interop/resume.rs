//! Exports from a real registry that are interrupted, and go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::round_trip::fetched;
use crate::support::command::{Run, Station};
use crate::support::crowd;
use crate::support::registry::{Registry, run};

const IMAGES: usize = 40;
const BLOBS: usize = IMAGES * 10 + 4 * 3;

/// Somebody who exports many images to one file.
struct Desk {
    from: Registry,
    station: Station,
    names: Vec<String>,
}

impl Desk {
    fn new() -> Self {
        let from = Registry::start();
        let names = crowd::fill(&from, IMAGES, 4);
        let station = Station::new();
        fs::create_dir(station.path("out")).unwrap();
        Self { from, station, names }
    }

    fn export(&self, bundle: &str, more: &[&str]) -> Command {
        let mut command = self.station.program();
        command
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .args(["export", "-o", bundle])
            .args(more)
            .args(&self.names);
        command
    }

    /// Where the checkpoint of the first run is.
    fn checkpoint(&self) -> PathBuf {
        self.station.path("out/.b.sealift.partial/1/checkpoint")
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.station.path("out")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn appears(path: &Path, child: &mut Child) {
    let end = Instant::now() + Duration::from_mins(1);
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before there was a checkpoint");
        assert!(Instant::now() < end, "there is no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_interrupted_export_says_what_is_kept_and_goes_on_to_the_same_bundle() {
    let desk = Desk::new();
    run(&mut desk.export("whole.sealift", &["-q"]));
    let whole = fs::read(desk.station.path("whole.sealift")).unwrap();

    let mut export = desk.export("out/b.sealift", &[]);
    let mut child =
        export.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    appears(&desk.checkpoint(), &mut child);
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{told}");
    let kept = "what was gathered is kept in out/.b.sealift.partial: the same command with --resume goes on from there\n";
    assert!(told.contains("sealift: interrupted\n") && told.ends_with(kept), "{told}");
    assert_eq!(desk.left(), [".b.sealift.partial"]);
    assert_eq!(fs::read_dir(desk.station.temporary()).unwrap().count(), 0);

    let before = desk.from.accesses().len();
    let resumed = Run::of(&mut desk.export("out/b.sealift", &["--resume"]));
    assert!(resumed.stderr.contains(" came from the interrupted export\n"), "{resumed:?}");
    resumed.succeeds();
    let fetched = fetched(&desk.from, before);
    assert!(!fetched.is_empty() && fetched.len() < BLOBS, "{}", fetched.len());
    assert!(fs::read(desk.station.path("out/b.sealift")).unwrap() == whole);
    assert_eq!(desk.left(), ["b.sealift"]);
    desk.station.sealift(["verify", "-q", "out/b.sealift"]).succeeds();
}

#[test]
fn an_export_that_fails_says_what_is_kept_and_one_that_starts_anew_says_what_is_there() {
    let desk = Desk::new();
    // A blob of the last image is something else at the registry.
    let manifest = run(Command::new("curl").args([
        "--silent",
        "--header",
        "Accept: application/vnd.oci.image.manifest.v1+json",
        &format!("{}/v2/team/app3/manifests/9", desk.from.url()),
    ]));
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let digest = manifest["layers"][11]["digest"].as_str().unwrap()[7..].to_owned();
    let blob = desk
        .from
        .storage()
        .join(format!("docker/registry/v2/blobs/sha256/{}/{digest}/data", &digest[..2]));
    let good = fs::read(&blob).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&blob, bad).unwrap();

    let told = Run::of(&mut desk.export("out/b.sealift", &["-q"]));
    assert!(told.stderr.contains("warning: what was gathered is kept in out/.b.sealift.partial"));
    let told = told.refused(8);
    assert!(told.contains(&digest), "{told}");
    assert_eq!(desk.left(), [".b.sealift.partial"]);
    fs::write(&blob, good).unwrap();

    // Somebody who does not know of it starts anew, and hears of it.
    let mut anew = desk.export("out/b.sealift", &[]);
    let mut child =
        anew.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    appears(&desk.station.path("out/.b.sealift.partial/2"), &mut child);
    child.kill().unwrap();
    let told = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(
        told.contains("an interrupted export has left ") && told.contains("--resume"),
        "{told}"
    );

    let resumed = desk.export("out/b.sealift", &["--resume", "--json"]).output().unwrap();
    let resumed: serde_json::Value = serde_json::from_slice(&resumed.stdout).unwrap();
    let at_hand = resumed["atHand"]["blobs"].as_u64().unwrap();
    assert!(at_hand > BLOBS as u64 - 20, "nearly everything was there: {at_hand}");
    assert_eq!(desk.left(), ["b.sealift"]);
    desk.station.sealift(["verify", "-q", "out/b.sealift"]).succeeds();
}
