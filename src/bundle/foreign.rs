//! What a file is that was taken for a bundle and is none: on a stick many things lie side by side,
//! and most of them are tars.

use std::path::{Path, PathBuf};

use super::claim::begins_as_receipt;
use super::volume::{self, BLOCK, Volume, member_bytes};
use crate::model::shell::file;
use crate::model::{Error, limits};

/// Members of a tar that are looked at to tell what it is an archive of.
const MEMBERS: usize = 4096;

/// What a compressed file begins with: gzip, zstd, xz, bzip2.
const COMPRESSED: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh"];

/// The name of the member that tells parity from a volume.
const PARITY: &str = "parity";

/// That a file is one of those that go with a bundle, and is none itself.
pub(super) fn companion(file: &Volume) -> Option<Error> {
    let path = file.path().display();
    if begins_as_receipt(file).unwrap_or(false) {
        return Some(Error::usage(format!("{path} is the receipt of a bundle: it holds no images"))
            .hint("name the bundle itself; a receipt is for sealift inspect, diff, export --base and --tail"));
    }
    is_parity(file).then(|| {
        Error::usage(format!(
            "{path} is parity: it makes up for damage of a bundle, and holds no images"
        ))
        .hint("name the bundle that lies with it; sealift repair finds the parity there by itself")
    })
}

/// That a file is no bundle, and what it is where that can be told.
pub(super) fn none(volume: &Volume) -> Error {
    let (path, typed) = (volume.path().display(), file(volume.path()));
    let archive = |what: &str, scheme: &str| {
        Error::malformed(format!("{path} is not a sealift bundle: it is {what}"))
            .hint(format!("sealift export {scheme}:{typed} -o NAME.sealift makes a bundle of it"))
    };
    if let Some(scheme) = archived(volume) {
        return match scheme {
            "oci-archive" => archive("an OCI archive", scheme),
            _ => archive("an archive of docker", scheme),
        };
    }
    let begin = volume.read(0, volume.length().min(8)).unwrap_or_default();
    if COMPRESSED.iter().any(|magic| begin.starts_with(magic)) {
        return Error::malformed(format!("{path} is not a sealift bundle: it is a compressed file"))
            .hint(format!("if it is an archive of images, sealift export docker-archive:{typed} -o NAME.sealift makes a bundle of it; else decompress it"));
    }
    spoiled(volume).unwrap_or_else(|| {
        Error::malformed(format!("{path} is not a sealift bundle"))
            .hint("a bundle is made by `sealift export`; archives of docker and skopeo are read by export, as docker-archive: and oci-archive:")
    })
}

/// That a file has lost the header without which an encrypted file is noise: only its name says what
/// it was.
pub(super) fn spoiled(volume: &Volume) -> Option<Error> {
    let is_called_so = volume.path().extension().is_some_and(|it| it == "age");
    (is_called_so && !volume.is_encrypted()).then(|| {
        Error::damaged(format!(
            "{} does not begin as an age file, which its name says that it is",
            volume.path().display()
        ))
        .hint("copy it again: without its header nobody can open the file")
    })
}

/// That a folder is no folder of a bundle, where it can be told what it is.
pub(super) fn folder(folders: &[PathBuf]) -> Option<Error> {
    let is_layout = |folder: &&PathBuf| folder.join("oci-layout").is_file();
    let layout: &Path = folders.iter().find(is_layout)?;
    Some(
        Error::malformed(format!(
            "{} is not a sealift bundle: it is an OCI layout",
            layout.display()
        ))
        .hint(format!("sealift export oci:{} -o NAME.sealift makes a bundle of it", file(layout))),
    )
}

/// Whether a file begins as a parity volume.
pub(super) fn is_parity(file: &Volume) -> bool {
    let header = |at| volume::parse_header(&file.block(at).ok()?);
    let second = |readme: (String, u64, u64)| match readme {
        (name, size, _) if name == volume::README && size <= limits::README_BYTES => {
            header(member_bytes(size))
        }
        _ => None,
    };
    header(0).and_then(second).is_some_and(|(name, ..)| name == PARITY)
}

/// How a place would be written that is this archive of images; `None` where it is none.
fn archived(file: &Volume) -> Option<&'static str> {
    let (mut at, mut found) = (0u64, None);
    for _ in 0..MEMBERS {
        let Some((name, size)) = member(file, at) else { break };
        match name.strip_prefix(b"./").unwrap_or(&name) {
            // Newer daemons write both; then it is what they call it.
            b"manifest.json" => return Some("docker-archive"),
            b"oci-layout" => found = Some("oci-archive"),
            _ => {}
        }
        at = at.checked_add(member_bytes(size))?;
    }
    found
}

/// Name and size of the member of any tar whose header is at `at`.
fn member(file: &Volume, at: u64) -> Option<(Vec<u8>, u64)> {
    at.checked_add(BLOCK).filter(|&end| end <= file.length())?;
    let block = file.block(at).ok()?;
    let header = tar::Header::from_byte_slice(&block);
    let mut again = header.clone();
    again.set_cksum();
    (again.cksum().ok()? == header.cksum().ok()?)
        .then_some((header.path_bytes().into_owned(), header.entry_size().ok()?))
}
