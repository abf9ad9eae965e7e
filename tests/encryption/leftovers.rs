//! Nothing that could be read is left anywhere: not in the file, not beside it, not when an export
//! is killed.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::hands::{Hands, everything_below, shows};

#[test]
fn nothing_plain_reaches_the_folder_of_the_bundle() {
    let hands = Hands::of(700_000);
    let recipient = hands.identity("key.txt");
    let stick = hands.path("stick");
    std::fs::create_dir(&stick).unwrap();
    hands.export(&["one", "two"], &["-o", "plain.sealift"]).succeeds();
    // So that the search is known to find it where it is.
    assert!(shows(&hands.read("plain.sealift")));
    let arguments = ["-o", "stick/x.age", "--volume-size", "1MiB", "--encrypt-to", &recipient];
    let mut exporting = hands
        .station
        .program()
        .args(["export", "-q", "oci:one", "oci:two"])
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = 0;
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let done = exporting.try_wait().unwrap();
        for (path, content) in look(&stick) {
            seen += 1;
            let begins_plain = content.starts_with(b"README.txt");
            assert!(!shows(&content) && !begins_plain, "{}", path.display());
        }
        if let Some(status) = done {
            assert!(status.success());
            break;
        }
        assert!(Instant::now() < deadline);
    }
    assert!(seen > 3);
    assert!(everything_below(&stick).iter().all(|(path, _)| path.extension().unwrap() == "age"));
}

/// What is there now; files come and go while an export runs.
fn look(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(look(&path));
        } else if let Ok(content) = std::fs::read(&path) {
            found.push((path, content));
        }
    }
    found
}
