//! A file for readers that want one, in memory where the machine has that.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// A file with these bytes. It is written anew each time, and is alone in its folder.
pub(crate) fn file(name: &str, data: &[u8]) -> PathBuf {
    let path = FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let memory = Path::new("/dev/shm");
            let builder = tempfile::Builder::new();
            if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }
                .expect("a folder can be made")
        });
        folder.path().join(name)
    });
    std::fs::write(&path, data).expect("a file can be written");
    path
}
