//! Cases 73 to 76: other users of the same machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::catalogue::Entry;
use crate::sample::{sample, write_key};
use crate::scene::{Case, files};
use crate::support::images::{self, Packing, image_of, layer};

pub(crate) const CASES: &[Entry] = &[
    Entry { number: 73, name: "a symbolic link where something is to be written", play: links },
    Entry { number: 74, name: "a secret key that others can read", play: open_key },
    Entry { number: 75, name: "key generate under umask 0", play: umask },
    Entry { number: 76, name: "where secrets are not", play: canary },
];

fn mode(case: &Case, name: &str) -> u32 {
    fs::symlink_metadata(case.station.path(name)).unwrap().permissions().mode() & 0o7777
}

fn source(case: &Case) {
    let image = image_of(&[layer(&[("a", b"a")])], Packing::Plain, "amd64", "a");
    images::write_layout(&case.station.path("source"), &[("h.example/a:1", &image)]);
}

fn links(case: &mut Case) {
    source(case);
    let victim = case.station.path("victim");
    fs::write(&victim, "precious").unwrap();
    let untouched = || assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    symlink(&victim, case.station.path("n.sealift")).unwrap();
    let told = case.run(&["export", "-q", "oci:source", "-o", "n.sealift"]);
    assert_ne!(told.code, 0);
    untouched();
    case.row("at the name of the bundle", &told);
    let told = case.run(&["export", "-q", "--force", "oci:source", "-o", "n.sealift"]);
    untouched();
    case.row("the same with --force: the link is replaced, not followed", &told);

    // A key is never written through a link, nor over anything.
    symlink(&victim, case.station.path("k.pem")).unwrap();
    let told = case.run(&["key", "generate", "-o", "k.pem"]);
    assert_ne!(told.code, 0);
    untouched();
    case.row("at the name of a new key", &told);

    // Blobs of a layout that is written to.
    let blobs = case.station.path("there/blobs/sha256");
    for (path, bytes) in &sample().arrived {
        if let Some(name) = path.strip_prefix("blobs/sha256/").filter(|_| bytes.len() > 1000) {
            symlink(&victim, blobs.join(name)).unwrap();
        }
    }
    fs::write(case.station.path("good.sealift"), &sample().small).unwrap();
    let told = case.run(&["import", "-q", "good.sealift", "--to", "oci:there"]);
    untouched();
    case.row("at the names of blobs in a layout", &told);
}

fn open_key(case: &mut Case) {
    source(case);
    let secret = case.station.path(".config/sealift/signing.pem");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let told = case.run(&["export", "-q", "oci:source", "-o", "n.sealift"]);
    assert_eq!(told.code, 2, "{}", told.text);
    assert!(!case.station.path("n.sealift").exists());
    case.row("mode 0644", &told);
    let other = case.station.path("other.pem");
    write_key(&other, 2);
    symlink(&other, case.station.path("link.pem")).unwrap();
    let told = case.run(&["export", "-q", "oci:source", "-o", "n.sealift", "--key", "link.pem"]);
    assert_eq!(told.code, 2, "{}", told.text);
    case.row("behind a symbolic link", &told);
}

fn umask(case: &mut Case) {
    let script = r#"umask 0; exec "$@""#;
    let arguments =
        ["-c", script, "sh", crate::support::command::BINARY, "key", "generate", "-o", "k.pem"];
    let command = case.watched("sh", &arguments);
    let told = case.told(command, &arguments);
    assert_eq!(told.code, 0, "{}", told.text);
    assert_eq!(mode(case, "k.pem"), 0o600);
    case.row("the secret half is 0600", &told);
}

fn canary(case: &mut Case) {
    // A key whose bytes are known, in every form in which they could turn up.
    let secret = [7u8; 32];
    let key = case.station.path("canary.pem");
    write_key(&key, 7);
    let pem = fs::read_to_string(&key).unwrap();
    let line = pem.lines().nth(1).unwrap().to_owned();
    let before = files(case.station.home());
    source(case);
    let export = ["export", "oci:source", "-o", "n.sealift", "--key", "canary.pem"];
    let output = case.station.program().args(export).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let encodings = [secret.to_vec(), hex::encode(secret).into_bytes(), line.into_bytes()];
    let holds = |bytes: &[u8]| {
        encodings.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
    };
    assert!(holds(pem.as_bytes()), "the search finds what is there");
    assert!(!holds(&output.stdout) && !holds(&output.stderr), "it was printed");
    for (path, bytes) in files(case.station.home()) {
        assert!(before.contains_key(&path) || !holds(&bytes), "it stands in {path}");
    }
    case.note("not in what an export prints or writes", "0", "");
    let secrets = "tests/interop/sign_in/secrets.rs";
    case.shown(secrets, "a_password_is_nowhere_but_where_it_is_kept");
    case.shown(secrets, "no_argument_holds_a_password");
}
