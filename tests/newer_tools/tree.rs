//! A Debian trixie tree, entered for one program at a time, and a folder in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where the tree is unless `SEALIFT_TRIXIE` says otherwise.
const USUAL: &str = "/var/lib/sealift-trixie";

/// Mounts what programs expect where nobody else sees it, and goes in: the mounts end with the
/// program. The tree is mounted onto itself since containers want a root that is a mount.
const ENTER: &str = r#"
set -e
tree=$1 folder=$2
shift 2
mount --bind "$tree" "$tree"
for place in proc sys dev; do mount --rbind "/$place" "$tree/$place"; done
exec chroot "$tree" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"#;

/// The tree, and a folder of its own in it.
pub(crate) struct Tree {
    root: PathBuf,
    folder: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn enter() -> Self {
        let root = PathBuf::from(env::var_os("SEALIFT_TRIXIE").unwrap_or_else(|| USUAL.into()));
        let folder = tempfile::tempdir_in(root.join("tmp")).unwrap_or_else(|error| {
            panic!("no trixie tree at {}: {error}; make interop makes it", root.display())
        });
        Self { root, folder }
    }

    /// A file of the folder, from outside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Output {
        let inside = Path::new("/").join(self.folder.path().strip_prefix(&self.root).unwrap());
        Command::new("unshare")
            .args(["--mount", "sh", "-c", ENTER, "sh"])
            .args([&self.root, &inside])
            .arg(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &inside)
            .env("COSIGN_PASSWORD", "")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a program of the tree in the folder; it has to succeed. What it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.output(program, arguments);
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program} {arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// Whether it succeeds.
    pub(crate) fn succeeds(&self, program: &str, arguments: &[&str]) -> bool {
        self.output(program, arguments).status.success()
    }
}
