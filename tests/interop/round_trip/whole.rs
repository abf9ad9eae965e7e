//! Everything that a registry holds, carried to another one, and carried again.

use std::collections::BTreeSet;
use std::fs;

use super::{changes, fetched};
use crate::support::command::{Run, Station};
use crate::support::gallery::{Gallery, NAMES};
use crate::support::judge::{self, Verdict};
use crate::support::registry::{Registry, run};

#[test]
fn every_kind_of_image_arrives_byte_for_byte_and_only_once() {
    let (from, to) = (Registry::start(), Registry::start());
    let gallery = Gallery::hang(&from);
    let station = Station::new();
    let before = from.accesses().len();
    let mut export = station.program();
    export.args(["export", "-q", "-o", "all.sealift"]).args(Gallery::references(&from));
    let export = Run::of(&mut export);
    assert!(export.stderr.contains("foreign layer"), "what stays behind is said: {export:?}");
    export.succeeds();

    let fetched = fetched(&from, before);
    assert!(fetched.len() > 15, "{fetched:?}");
    let twice: Vec<_> = fetched.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "a blob of two images is fetched once: {twice:?}");

    let verified = station.sealift(["verify", "-q", "all.sealift"]).succeeds();
    assert!(verified.contains("\nok: "), "{verified}");
    assert_eq!(verified.matches(" whole\n").count(), NAMES.len(), "{verified}");

    let to_mirror = format!("{}/mirror", to.host());
    station.import("all.sealift", &to_mirror, [""; 0]);
    let verdict = judge::same(&from, &to, "mirror/");
    // In the order of the names; the signature and the list of referrers of team/app have tags.
    let tags = NAMES.len() + 2;
    let manifests = 1 + 1 + 6 + 1 + 3 + 1 + 3 + 1 + 1 + 1 + 3;
    let blobs = 4 + 3 + 8 + 2 + 4 + 2 + 5 + 2 + 1 + 3 + 2;
    assert_eq!(verdict, Verdict { tags, manifests, blobs });
    let shared = gallery.ordinary[0].stored.digest.to_string();
    for repository in ["plain/ordinary", "plain/sharing", "legacy/schema2", "odd/deep"] {
        assert!(judge::blob_size(&to, &format!("mirror/{repository}"), &shared).is_some());
    }
    let uploads: Vec<_> = to
        .accesses_since(0)
        .into_iter()
        .filter(|access| access.method == "PUT" && access.path.contains(&shared[7..]))
        .collect();
    assert_eq!(uploads.len(), 1, "what one repository got is linked to the others: {uploads:?}");

    // skopeo checks every digest of what it copies.
    let tag = format!("docker://{to_mirror}/team/app:1");
    let folder = format!("dir:{}", station.path("arrived").display());
    run(station.command("skopeo").args([
        "--insecure-policy",
        "copy",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        &tag,
        &folder,
    ]));

    let before = to.accesses().len();
    let again = station.sealift(["import", "all.sealift", "--to", &to_mirror, "--json"]).json();
    let asked = to.accesses_since(before);
    assert!(!asked.is_empty());
    assert_eq!(changes(&asked), Vec::<&_>::new(), "a second import sends nothing");
    for what in ["sent", "mounted"] {
        assert_eq!(again[what]["blobs"], 0, "{again}");
    }
    assert_eq!((&again["manifestsSent"], &again["tagsSet"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn the_same_images_and_date_give_the_same_bytes() {
    let from = Registry::start();
    let _gallery = Gallery::hang(&from);
    let station = Station::new();
    let export = |name: &str, jobs: &str, date: &str| {
        let mut command = station.program();
        command.env("SOURCE_DATE_EPOCH", date).args(["export", "-q", "-o", name, "--jobs", jobs]);
        run(command.args(Gallery::references(&from)));
        fs::read(station.path(name)).unwrap()
    };
    let one = export("one.sealift", "1", "1700000000");
    assert!(one.len() > 1 << 20);
    assert!(one == export("four.sealift", "4", "1700000000"), "the number of threads shows");
    assert!(one != export("later.sealift", "4", "1700000001"), "the date does not show");
}

#[test]
fn a_bundle_is_read_where_it_lies_and_nothing_is_written_beside_it() {
    let (from, to) = (Registry::start(), Registry::start());
    let _gallery = Gallery::hang(&from);
    let station = Station::new();
    station.export("all.sealift", Gallery::references(&from));
    let listing = || -> BTreeSet<_> {
        let entries = run(station.command("find").args([".", "-printf", "%p %s %T@ %C@\n"]));
        String::from_utf8(entries).unwrap().lines().map(str::to_owned).collect()
    };
    let before = listing();
    assert!(before.iter().any(|line| line.starts_with("./tmp ")), "{before:?}");
    station.sealift(["verify", "all.sealift", "--no-state"]).succeeds();
    station.sealift(["inspect", "all.sealift", "--layers"]).succeeds();
    assert_eq!(listing(), before, "neither in its folder nor among temporary files");

    // On a disc that cannot be written, where home and temporary folder are as well.
    let on_a_disc = |arguments: &str| {
        let script = format!(
            "mount --bind \"$HOME\" \"$HOME\" && mount -o remount,bind,ro \"$HOME\" && cd \"$HOME\" \
             && ! touch all.sealift && exec {} {arguments}",
            crate::support::command::BINARY
        );
        run(station.command("unshare").args(["--mount", "sh", "-c", &script]));
    };
    on_a_disc("verify --no-state all.sealift");
    on_a_disc("inspect --layers all.sealift");
    on_a_disc(&format!("import -q --no-state all.sealift --to {}/mirror", to.host()));
    judge::same(&from, &to, "mirror/");
    assert_eq!(listing(), before);
}
