//! File systems that are mounted for a test, and unmounted at its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A mounted file system.
pub(crate) struct Medium {
    folder: tempfile::TempDir,
    driver: Option<Child>,
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

impl Medium {
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["mount", "behind"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder, driver: None }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// A place on it.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// The folder that a [`stick`](Self::stick) keeps its files in.
    pub(crate) fn behind(&self) -> PathBuf {
        self.folder.path().join("behind")
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// The names in it that begin with any of what sealift would leave.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.path())
    }

    /// Memory with so many bytes of room.
    pub(crate) fn tmpfs(bytes: u64) -> Self {
        let medium = Self::folder();
        let option = format!("size={bytes}");
        run(program("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(medium.path()))
            .unwrap();
        medium
    }

    /// Gives a tmpfs another size, or makes it read-only (`remount,OPTION`).
    pub(crate) fn remount(&self, option: &str) {
        run(program("mount").args(["-o", &format!("remount,{option}")]).arg(self.path())).unwrap();
    }

    /// A FAT32 file system of so many bytes: the kernel's where it has one, else Debian's FUSE driver.
    pub(crate) fn fat(bytes: u64) -> Self {
        let medium = Self::folder();
        let image = fs::File::create(medium.image()).unwrap();
        image.set_len(bytes).unwrap();
        run(program("mkfs.vfat").args(["-F", "32", "-s", "1"]).arg(medium.image())).unwrap();
        medium.mount_fat();
        medium
    }

    /// Mounts the image of a [`fat`](Self::fat).
    pub(crate) fn mount_fat(&self) {
        let (image, place) = (self.image(), self.path());
        let kernel =
            run(program("mount").args(["-t", "vfat", "-o", "loop"]).args([&image, &place]));
        if kernel.is_err() {
            run(program("fusefat").args(["-o", "rw+"]).args([&image, &place])).unwrap();
        }
    }

    /// Unmounts, and lets `fsck.vfat` look at what was written.
    pub(crate) fn check_fat(&self) {
        run(program("umount").arg(self.path())).unwrap();
        // The driver writes its last sectors when it ends.
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match run(program("fsck.vfat").arg("-n").arg(self.image())) {
                Ok(()) => return,
                Err(why) => assert!(Instant::now() < end, "{why}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// ext4 on a loop device.
    pub(crate) fn ext4(bytes: u64) -> Self {
        let medium = Self::folder();
        fs::File::create(medium.image()).unwrap().set_len(bytes).unwrap();
        run(program("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=0"]).arg(medium.image()))
            .unwrap();
        run(program("mount").args(["-o", "loop"]).args([medium.image(), medium.path()])).unwrap();
        medium
    }

    /// Takes the end of the image away under the mounted file system: the device fails there.
    pub(crate) fn cut(&self, bytes: u64) {
        run(program("sync").arg("-f").arg(self.path())).unwrap();
        let image = fs::OpenOptions::new().write(true).open(self.image()).unwrap();
        image.set_len(bytes).unwrap();
        fs::write("/proc/sys/vm/drop_caches", "1").unwrap();
    }

    /// A stick that fails after so many bytes; see `stick.py` for the ways.
    pub(crate) fn stick(fault: &str, amount: u64) -> Self {
        let mut medium = Self::folder();
        medium.plug(fault, amount);
        medium
    }

    /// Takes the stick out, if it is in, and puts it in again with another fault.
    pub(crate) fn plug(&mut self, fault: &str, amount: u64) {
        self.pull();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/media/stick.py");
        let mut driver = program("python3")
            .arg(script)
            .args([self.behind(), self.path()])
            .args([fault, &amount.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let outside = device(self.folder.path());
        let end = Instant::now() + Duration::from_mins(1);
        while device(&self.path()).is_none_or(|inside| Some(inside) == outside) {
            assert!(
                driver.try_wait().unwrap().is_none(),
                "stick.py ended: is python3-fusepy there?"
            );
            assert!(Instant::now() < end, "the stick does not come up");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.driver = Some(driver);
    }

    fn pull(&mut self) {
        if let Some(mut driver) = self.driver.take() {
            run(program("umount").arg("-l").arg(self.path())).unwrap();
            let _ = driver.kill();
            let _ = driver.wait();
        }
    }
}

fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|meta| meta.dev())
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "lost+found");
    names.sort();
    names
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = run(program("umount").arg("-l").arg(self.path()));
        if let Some(mut driver) = self.driver.take() {
            let _ = driver.kill();
            let _ = driver.wait();
        }
    }
}
