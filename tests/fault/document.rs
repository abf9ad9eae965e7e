//! `docs/security.md` says nothing that is not so: the tests that it names exist, and its commands
//! for auditors take good bundles and stop at bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sample::{key, sample};
use crate::support::forge::{Forge, end, member, members, put_member};

const DOCUMENT: &str = include_str!("../../docs/security.md");

/// Every Rust file below a folder, as text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Names between backticks that are paths of tests.
fn named() -> Vec<&'static str> {
    let quoted = DOCUMENT.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains("::") && !name.contains(char::is_whitespace)).collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let names = named();
    assert!(names.len() > 25, "only {} tests are named", names.len());
    for name in names {
        let mut parts: Vec<&str> = name.split("::").collect();
        let function = parts.pop().unwrap();
        let test = format!("#[test]\nfn {function}(");
        let below = parts[1..].join("/");
        let files = sources(&root.join(parts[0]));
        let place = |path: &Path| path.display().to_string().contains(&below);
        assert!(files.iter().any(|(path, text)| place(path) && text.contains(&test)), "{name}");
    }
}

/// The commands of the section for auditors.
fn commands() -> String {
    let (_, section) = DOCUMENT.split_once("\n## Checking a bundle by hand\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

/// Runs them in a folder with these volumes; gives the folder where all went well.
fn audit(volumes: &[(&str, &[u8])]) -> Result<tempfile::TempDir, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in volumes {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let public = key(1).public().to_pem().unwrap();
    fs::write(folder.path().join("sender.pub"), public).unwrap();
    let output = Command::new("bash").arg("-c").arg(commands()).current_dir(folder.path()).output();
    let output = output.expect("bash is there");
    let said = [&output.stdout[..], &output.stderr].concat();
    if output.status.success() { Ok(folder) } else { Err(String::from_utf8_lossy(&said).into()) }
}

/// With one bit turned in the content of a member.
fn harmed(bundle: &[u8], name: &str) -> Vec<u8> {
    let member = member(bundle, name);
    let mut bytes = bundle.to_vec();
    bytes[member.at + 512 + member.content.len() / 2] ^= 1;
    bytes
}

#[test]
fn the_auditors_commands_take_what_is_whole_and_nothing_else() {
    let small = &sample().small;
    let folder = audit(&[("app.sealift", small)]).expect("the bundle is whole");
    let images = fs::read_dir(folder.path().join("audit/images")).unwrap();
    let mut count = 0;
    for image in images {
        let image = image.unwrap();
        let name = format!("blobs/sha256/{}", image.file_name().display());
        assert!(fs::read(image.path()).unwrap() == sample().arrived[&name], "{name}");
        count += 1;
    }
    assert_eq!(count, 3, "two images, and a signature that is attached to one");
    audit(&[("app.sealift", &sample().large)]).expect("so is the large one");

    let forged = Forge::of(small);
    let set = sample().set.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
    let set: Vec<(&str, &[u8])> = set.collect();
    assert!(set.len() > 2, "there are several volumes");
    audit(&set).expect("so is a set of volumes");
    for gone in 0..set.len() {
        let rest = [&set[..gone], &set[gone + 1..]].concat();
        assert!(audit(&rest).is_err(), "{} was not missed", set[gone].0);
    }

    let pack = member(small, "packs/");
    let missing = [&small[..pack.at], &small[pack.end()..]].concat();
    let mut added = small[..pack.at].to_vec();
    let more = crate::support::forge::frame(b"one more");
    let name = format!("packs/{}.zst", sealift::model::Digest::of(&more).hex());
    put_member(&mut added, &name, &more, 1_700_000_000);
    added.extend(&small[pack.at..]);
    let bad = [
        ("README", harmed(small, "README.txt")),
        ("the volume", harmed(small, "volume")),
        ("a pack", harmed(small, "packs/")),
        ("the index", harmed(small, "index/")),
        ("the manifest", harmed(small, "manifest")),
        ("the signature", harmed(small, "signatures/")),
        ("a pack that is missing", missing),
        ("a pack that was added", added),
        ("another signer", forged.sealed(&[key(2)])),
        ("another type", forged.with_text("sealift manifest 2\n{}\n").sealed(&[key(1)])),
        ("an end that is missing", small[..member(small, "manifest").at].to_vec()),
    ];
    for (what, bytes) in bad {
        assert!(audit(&[("app.sealift", &bytes)]).is_err(), "{what} was not noticed");
    }
    for (what, bytes) in smuggled(small) {
        assert!(audit(&[("app.sealift", &bytes)]).is_err(), "{what} was not noticed");
    }
    let more = [&set[0].1[..set[0].1.len() - 1024], &smuggled(small)[0].1[pack.at..]].concat();
    let more = [&[(set[0].0, &more[..])], &set[1..]].concat();
    assert!(audit(&more).is_err(), "what was added to the first volume was not noticed");
    let stray: &[(&str, &[u8])] =
        &[("app.001.sealift", &sample().large), ("app.002.sealift", small)];
    assert!(audit(stray).is_err(), "a volume of another set was not noticed");
}

/// Ways to bring more along than was signed, with an end that is right for what is there.
fn smuggled(bundle: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    const TIME: u64 = 1_700_000_000;
    let manifest = member(bundle, "manifest");
    let signed = members(bundle).into_iter().filter_map(|member| {
        let id = member.name.strip_prefix("signatures/")?.strip_suffix(".sig")?;
        Some((id.to_owned(), member.content))
    });
    let signed: Vec<(String, Vec<u8>)> = signed.collect();
    let with = |signatures: &[(String, Vec<u8>)], put: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bundle[..manifest.at].to_vec();
        put(&mut bytes);
        end(&mut bytes, &manifest.content, signatures, TIME);
        bytes
    };
    let file = |name: &'static str| {
        with(&signed, &move |bytes| put_member(bytes, name, b"echo harm\n", TIME))
    };
    let index = member(bundle, "index/");
    let twice = with(&signed, &|bytes| put_member(bytes, &index.name, &index.content, TIME));
    let link = with(&signed, &|bytes| {
        let at = bytes.len();
        put_member(bytes, &format!("signatures/{}.sig", "0".repeat(64)), b"", TIME);
        let mut header = tar::Header::from_byte_slice(&bytes[at..at + 512]).clone();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        bytes[at..at + 512].copy_from_slice(header.as_bytes());
    });
    let long = ("f".repeat(64), b"echo harm\n".repeat(20));
    let long = with(&[&signed[..], &[long]].concat(), &|_| ());
    vec![
        ("a script among the packs", file("packs/install.sh")),
        ("a script at the top", file("install.sh")),
        ("a script as the index", file("index/install.sh")),
        ("a second README", file("README.txt")),
        ("a second index", twice),
        ("a link", link),
        ("a signature that is none", long),
    ]
}
