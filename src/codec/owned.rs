//! Files and folders that say who is trusted: they belong to who reads them, or to root, and nobody
//! else may write to them.
//!
//! The idea is that of `StrictModes` in sshd(8). A file that another user of the machine can change
//! is not the word of the one who wrote it.

use std::path::Path;

use crate::model::{Error, Result};

/// Who must not be able to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Anybody but the owner.
    All,
    /// Anybody who is neither the owner nor of the group.
    Strangers,
}

impl Others {
    const fn bits(self) -> u32 {
        match self {
            Self::All => 0o022,
            Self::Strangers => 0o002,
        }
    }
}

/// Where whoever makes a file in a folder may do what they like with it and nobody else may: `/tmp`.
const STICKY: u32 = 0o1000;

/// Makes sure that others can write neither the file nor the folder that it lies in, and own neither.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where they can or do;
/// [`Kind::Io`](crate::model::Kind::Io) where one of them cannot be looked at.
pub fn file_is_its_owners(file: &Path, others: Others) -> Result<()> {
    refuse(file, others, false)?;
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => refuse(folder, others, true),
        _ => refuse(Path::new("."), others, true),
    }
}

/// Makes sure that others cannot put anything into the folder.
///
/// # Errors
/// As for [`file_is_its_owners`].
pub fn folder_is_its_owners(folder: &Path, others: Others) -> Result<()> {
    refuse(folder, others, false)
}

#[cfg(unix)]
fn refuse(path: &Path, others: Others, sticky_is_fine: bool) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let shown = path.display();
    let meta = path.metadata().map_err(|e| Error::io(format!("cannot look at {shown}"), e))?;
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user && meta.uid() != ROOT {
        return Err(strange(&shown.to_string(), meta.uid(), user));
    }
    let mode = meta.permissions().mode() & 0o7777;
    if mode & others.bits() == 0 || sticky_is_fine && mode & STICKY != 0 {
        return Ok(());
    }
    let (who, change) = match others {
        Others::All => ("others than its owner", "go-w"),
        Others::Strangers => ("anybody", "o-w"),
    };
    Err(Error::usage(format!("{shown} can be written to by {who} (mode {mode:04o})"))
        .hint(format!("look who has changed it, then chmod {change} {shown}")))
}

/// The user who may change everything anyway.
const ROOT: u32 = 0;

/// Whoever owns a file can change it, whatever its mode says today.
fn strange(shown: &str, owner: u32, user: u32) -> Error {
    let error = Error::usage(format!(
        "{shown} belongs to another user of this machine (user ID {owner}), who can change it"
    ));
    error.hint(if user == ROOT {
        format!(
            "look at what it says, then chown root {shown}; or, where sudo kept the HOME of that user, run it without sudo, or with sudo -H"
        )
    } else {
        format!("look at what it says, then have root do: chown {user} {shown}")
    })
}

#[cfg(not(unix))]
fn refuse(_: &Path, _: Others, _: bool) -> Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    #[test]
    fn what_others_can_write_is_refused_and_so_is_the_folder_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "").unwrap();
        let check = |of_file: u32, of_folder: u32, others| {
            set_permissions(&file, Permissions::from_mode(of_file)).unwrap();
            set_permissions(folder.path(), Permissions::from_mode(of_folder)).unwrap();
            file_is_its_owners(&file, others).is_ok()
        };
        assert!(check(0o644, 0o755, Others::All));
        assert!(check(0o644, 0o1777, Others::All));
        assert!(check(0o664, 0o775, Others::Strangers));
        for (of_file, of_folder) in [(0o664, 0o755), (0o646, 0o755), (0o644, 0o775), (0o644, 0o777)]
        {
            assert!(!check(of_file, of_folder, Others::All), "{of_file:o} {of_folder:o}");
        }
        assert!(!check(0o666, 0o755, Others::Strangers) && !check(0o644, 0o757, Others::Strangers));
        assert!(folder_is_its_owners(folder.path(), Others::Strangers).is_err());
    }

    #[test]
    fn what_somebody_else_owns_is_refused_and_so_is_what_lies_in_his_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "").unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let nobody = 65_534;
        for (of_file, of_folder) in [(nobody, ROOT), (ROOT, nobody)] {
            chown(&file, Some(of_file), None).unwrap();
            chown(folder.path(), Some(of_folder), None).unwrap();
            let error = file_is_its_owners(&file, Others::Strangers).unwrap_err();
            assert!(error.message().contains("(user ID 65534)"), "{error}");
            assert!(error.get_hint().unwrap().contains("chown root "), "{error:?}");
        }
        assert!(folder_is_its_owners(folder.path(), Others::Strangers).is_err());
        assert!(strange("x", 7, 1000).get_hint().unwrap().ends_with("chown 1000 x"));
    }
}
