//! Real docker daemons, each with a socket, a data directory and a mount namespace of its own:
//! when it ends, nothing of it stays mounted.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sealift::transport::daemon::Endpoint;
use tempfile::TempDir;

/// How long a daemon may take to answer, and to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running daemon; dropping it stops it.
pub(crate) struct Dockerd {
    child: Child,
    socket: PathBuf,
    folder: TempDir,
    root: PathBuf,
    script: String,
}

impl Dockerd {
    /// The machine's own dockerd (Debian 12: 20.10, classic store).
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-dockerd").tempdir().unwrap();
        // overlay2 wants a real disk below it; vfs runs anywhere.
        let driver = if on_overlay(folder.path()) { "vfs" } else { "overlay2" };
        let script = format!(r#"exec dockerd "$@" --storage-driver={driver}"#);
        Self::launch(folder, Path::new("/"), &script)
    }

    /// The same on a file system of 8 MiB.
    pub(crate) fn start_with_tiny_disk() -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-dockerd").tempdir().unwrap();
        let script = format!(
            r#"mkdir {data} && mount -t tmpfs -o size=8m none {data} || exit 1
               exec dockerd "$@" --storage-driver=vfs"#,
            data = folder.path().join("data").display()
        );
        Self::launch(folder, Path::new("/"), &script)
    }

    /// A newer dockerd out of a chroot: Debian trixie in `/var/lib/sealift-trixie`, or whatever
    /// `SEALIFT_TRIXIE` names.
    pub(crate) fn start_newer(containerd_store: bool) -> Self {
        let root = std::env::var_os("SEALIFT_TRIXIE")
            .map_or_else(|| PathBuf::from("/var/lib/sealift-trixie"), PathBuf::from);
        assert!(
            root.join("usr/sbin/dockerd").exists(),
            "no dockerd below {}: make it with debootstrap --variant=minbase \
             --include=ca-certificates,iptables,docker.io,docker-cli,containerd,runc trixie DIR",
            root.display()
        );
        let folder = tempfile::Builder::new()
            .prefix("sealift-dockerd")
            .tempdir_in(root.join("var/tmp"))
            .unwrap();
        let features = format!(r#"{{"features":{{"containerd-snapshotter":{containerd_store}}}}}"#);
        std::fs::write(folder.path().join("daemon.json"), features).unwrap();
        let inside = Path::new("/").join(folder.path().strip_prefix(&root).unwrap());
        // A chroot that is no mount point cannot be remounted, and loading an image does that.
        let script = format!(
            r#"set -e; R={root}; mount --bind "$R" "$R"; mount --make-private "$R"
               for d in proc sys dev; do mount --rbind /$d "$R/$d"; done
               exec chroot "$R" dockerd "$@" --config-file {inside}/daemon.json"#,
            root = root.display(),
            inside = inside.display(),
        );
        Self::launch(folder, &root, &script)
    }

    fn launch(folder: TempDir, root: &Path, script: &str) -> Self {
        let socket = folder.path().join("s");
        let child = Self::spawn(folder.path(), root, script);
        let (root, script) = (root.to_owned(), script.to_owned());
        let mut daemon = Self { child, socket, folder, root, script };
        daemon.wait();
        daemon
    }

    fn spawn(folder: &Path, root: &Path, script: &str) -> Child {
        let inside = Path::new("/").join(folder.strip_prefix(root).unwrap());
        let log =
            std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script, "dockerd"])
            .arg("--data-root")
            .arg(inside.join("data"))
            .arg("--exec-root")
            .arg(inside.join("exec"))
            .arg("--pidfile")
            .arg(inside.join("pid"))
            .arg("-H")
            .arg(format!("unix://{}", inside.join("s").display()))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("unshare and dockerd are needed: install util-linux and docker.io")
    }

    fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.docker(&["version"]).status.success() {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "dockerd does not start:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The process, to be killed.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Starts it once more, after it was killed, with all that it had.
    pub(crate) fn start_again(&mut self) {
        self.child.wait().unwrap();
        self.end_containerd();
        let _ = std::fs::remove_file(self.folder.path().join("pid"));
        self.child = Self::spawn(self.folder.path(), &self.root, &self.script);
        self.wait();
    }

    /// Ends the containerd of a daemon that could not do it.
    fn end_containerd(&self) {
        let file = self.folder.path().join("exec/containerd/containerd.pid");
        let pid = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let Some(pid) = pid else { return };
        Self::terminate(pid);
        // A new daemon would take one that is ending for its own.
        let until = Instant::now() + PATIENCE;
        while Path::new(&format!("/proc/{pid}/exe")).exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = std::fs::remove_file(file);
    }

    /// What it wrote to its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its address.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.socket.clone())
    }

    /// Its address as `DOCKER_HOST` wants it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Runs the docker command line against it.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Output {
        Command::new("docker")
            .arg("-H")
            .arg(format!("unix://{}", self.socket.display()))
            .args(arguments)
            .env("DOCKER_CONFIG", self.folder.path())
            .output()
            .expect("the docker command is needed: install docker.io")
    }

    /// The same, and it must succeed; what it printed, without the space around it.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What an image prints when it is run, without a network.
    #[track_caller]
    pub(crate) fn run(&self, image: &str) -> String {
        self.ok(&["run", "--rm", "--network", "none", image])
    }

    /// The ID of an image.
    #[track_caller]
    pub(crate) fn id(&self, image: &str) -> String {
        self.ok(&["image", "inspect", "--format", "{{.Id}}", image])
    }

    /// Name and ID of every image, sorted.
    pub(crate) fn images(&self) -> Vec<String> {
        let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
        let text = self.ok(&["images", "--no-trunc", "--format", format]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn terminate(pid: u32) {
        let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status();
    }
}

fn on_overlay(path: &Path) -> bool {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output().unwrap();
    matches!(String::from_utf8_lossy(&output.stdout).trim(), "overlayfs" | "tmpfs")
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        Self::terminate(self.child.id());
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                self.end_containerd();
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
