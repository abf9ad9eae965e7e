//! A real containerd, with a socket, folders and a mount namespace of its own, and its `ctr`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to answer, and to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running containerd; dropping it stops it.
pub(crate) struct Containerd {
    child: Child,
    socket: PathBuf,
    folder: tempfile::TempDir,
}

impl Containerd {
    /// The machine's own (Debian 12: 1.6), without the Kubernetes part.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-containerd").tempdir().unwrap();
        let at = folder.path().display();
        let config = format!(
            "version = 2\n\
             root = \"{at}/root\"\n\
             state = \"{at}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = \"{at}/s\"\n"
        );
        let path = folder.path().join("config.toml");
        fs::write(&path, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "containerd", "--config"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare and containerd are needed: install util-linux and containerd");
        let socket = folder.path().join("s");
        let mut containerd = Self { child, socket, folder };
        let until = Instant::now() + PATIENCE;
        while !containerd.ctr(&["version"]).status.success() {
            let ended = containerd.child.try_wait().unwrap();
            let log = fs::read_to_string(containerd.folder.path().join("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < until, "containerd does not start:\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        containerd
    }

    /// Runs `ctr` against it.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.socket).args(arguments);
        command.output().expect("ctr is needed: install containerd")
    }

    /// Fetches an image, all of its platforms, by way of the mirrors that `hosts` names, a
    /// directory of folders with a `hosts.toml`; the digest that it got.
    pub(crate) fn fetch(&self, name: &str, hosts: &Path) -> Result<String, String> {
        let hosts = hosts.display().to_string();
        let fetch = ["content", "fetch", "--all-platforms", "--hosts-dir", &hosts, name];
        let output = self.ctr(&fetch);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let list = self.ctr(&["images", "list", &format!("name=={name}")]);
        let list = String::from_utf8(list.stdout).unwrap();
        let digest = list.split_whitespace().find(|word| word.starts_with("sha256:"));
        Ok(digest.unwrap_or_else(|| panic!("{name} is not listed: {list}")).to_owned())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).stderr(Stdio::null()).status();
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
