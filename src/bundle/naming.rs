//! What the files of a set of volumes are called. A reader never goes by it: names are for people.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::model::{Error, Result};

/// Digits of a number where there are no more volumes than they can count.
pub(super) const DIGITS: usize = 3;

/// The name of a volume of a bundle that is to be `bundle`: itself where there is one volume, else
/// with the number before the extension, as in `app.001.sealift`.
pub fn volume_path(bundle: &Path, number: u64, count: u64) -> PathBuf {
    if count == 1 {
        return bundle.to_owned();
    }
    let (stem, extension) = parts(bundle.file_name().unwrap_or_default());
    let digits = count.to_string().len().max(DIGITS);
    let mut name = stem.to_owned();
    name.push(format!(".{number:0digits$}"));
    name.push(extension);
    bundle.with_file_name(name)
}

/// The files that have the name of a volume of a bundle, in the order of their numbers.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where the folder cannot be read.
pub(super) fn volumes_of(bundle: &Path) -> Result<Vec<PathBuf>> {
    Ok(numbered(bundle)?.into_iter().map(|(_, path)| path).collect())
}

fn numbered(bundle: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let folder = match bundle.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (stem, extension) = parts(bundle.file_name().unwrap_or_default());
    let (Some(stem), Some(extension)) = (stem.to_str(), extension.to_str()) else {
        return Ok(Vec::new());
    };
    let number = |name: &OsStr| -> Option<u64> {
        let digits = name.to_str()?.strip_prefix(stem)?.strip_prefix('.')?;
        let digits = digits.strip_suffix(extension)?;
        let is_number = digits.len() >= DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    };
    let entries = match std::fs::read_dir(folder) {
        // Whoever writes there is told.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => {
            entries.map_err(|e| Error::io(format!("cannot read {}", folder.display()), e))?
        }
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut found: Vec<(u64, PathBuf)> =
        names.filter_map(|name| Some((number(&name)?, bundle.with_file_name(name)))).collect();
    found.sort();
    Ok(found)
}

/// The volumes of the set to which a file belongs by its name, from the first on; the file alone
/// where its name has no number. For encrypted volumes, which say nothing else of themselves.
///
/// # Errors
/// [`Kind::Damaged`](crate::model::Kind::Damaged) where one of them is missing;
/// [`Kind::Io`](crate::model::Kind::Io) where the folder cannot be read.
pub fn set_by_name(file: &Path) -> Result<Vec<PathBuf>> {
    let (stem, extension) = parts(file.file_name().unwrap_or_default());
    let bundle = stem.to_str().and_then(|stem| stem.rsplit_once('.')).map(|(stem, _)| {
        let mut name = OsString::from(stem);
        name.push(extension);
        file.with_file_name(name)
    });
    let own = |(_, path): &(u64, PathBuf)| path.file_name() == file.file_name();
    let found = bundle.as_deref().map(numbered).transpose()?.unwrap_or_default();
    if !found.iter().any(own) {
        return Ok(vec![file.to_owned()]);
    }
    let missing = (1..).zip(&found).find(|(wanted, (number, _))| wanted != number);
    match missing {
        None => Ok(found.into_iter().map(|(_, path)| path).collect()),
        Some((wanted, _)) => Err(Error::damaged(format!(
            "volume {wanted} of the set of {} is not there",
            file.display()
        ))
        .hint("bring it to the others, or name the file itself if it is no volume of a set")),
    }
}

/// A file; where there is none, the volumes of the set that was exported under this name.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) where the folder cannot be read.
pub fn files_named(path: &Path) -> Result<Vec<PathBuf>> {
    let volumes = match path.symlink_metadata() {
        Ok(_) => Vec::new(),
        Err(_) => volumes_of(path)?,
    };
    Ok(if volumes.is_empty() { vec![path.to_owned()] } else { volumes })
}

/// Whether something lies under each of these names, so that it is worth asking anybody about it.
///
/// # Errors
/// [`Kind::Io`](crate::model::Kind::Io) for the first that is not there.
pub fn all_are_there(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        for file in files_named(path)? {
            file.metadata().map_err(|e| not_there(&file, e))?;
        }
    }
    Ok(())
}

/// That a bundle cannot be opened, and what to look at where it is not there.
pub(super) fn not_there(path: &Path, error: std::io::Error) -> Error {
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    let error = Error::io(format!("cannot open the bundle {}", path.display()), error);
    if is_missing { error.hint("check the path; is the stick mounted?") } else { error }
}

/// The name without its extension, and the extension with its dot. What says that a file is
/// encrypted is part of it.
fn parts(name: &OsStr) -> (&OsStr, OsString) {
    let whole = Path::new(name);
    let cut = |name: &Path| -> Option<(OsString, OsString)> {
        let mut dotted = OsString::from(".");
        dotted.push(name.extension()?);
        Some((name.file_stem()?.to_owned(), dotted))
    };
    let Some((stem, mut extension)) = cut(whole) else { return (name, OsString::new()) };
    if extension == ".age"
        && let Some((_, mut inner)) = cut(Path::new(&stem))
    {
        inner.push(extension);
        extension = inner;
    }
    let length = name.len() - extension.len();
    match name.to_str() {
        Some(text) => (OsStr::new(&text[..length]), extension),
        None => (whole.file_stem().unwrap_or(name), extension),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_before_the_extension() {
        let name = |bundle: &str, number, count| {
            volume_path(Path::new(bundle), number, count).to_str().unwrap().to_owned()
        };
        assert_eq!(name("a/app.sealift", 1, 1), "a/app.sealift");
        assert_eq!(name("a/app.sealift", 1, 2), "a/app.001.sealift");
        assert_eq!(name("app-1.2.sealift", 999, 999), "app-1.2.999.sealift");
        assert_eq!(name("app.sealift", 7, 1000), "app.0007.sealift");
        assert_eq!(name("app.sealift.age", 2, 3), "app.002.sealift.age");
        assert_eq!(name("app", 2, 3), "app.002");
        assert_eq!(name(".app", 2, 3), ".app.002");
        assert_eq!(name("app.age", 2, 3), "app.002.age");
    }

    #[test]
    fn volumes_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.001.s", "a.0002.s", "a.12.s", "a.s", "b.001.s", "a.x01.s", "a.001.s.x"];
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = volumes_of(&folder.path().join("a.s")).unwrap();
        assert_eq!(
            found,
            names[..2].iter().map(|name| folder.path().join(name)).collect::<Vec<_>>()
        );
        assert!(volumes_of(&folder.path().join("none/a.s")).unwrap().is_empty());
        let set = |name: &str| set_by_name(&folder.path().join(name));
        assert_eq!(set("a.0002.s").unwrap(), found);
        assert_eq!(set("b.001.s").unwrap(), [folder.path().join("b.001.s")]);
        for name in ["a.s", "a.x01.s", "a.12.s"] {
            assert_eq!(set(name).unwrap(), [folder.path().join(name)]);
        }
        std::fs::remove_file(folder.path().join("a.001.s")).unwrap();
        assert_eq!(set("a.0002.s").unwrap_err().kind(), crate::model::Kind::Damaged);
    }
}
