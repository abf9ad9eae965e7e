//! The signed tail of a bundle: found without believing anything, and read without parsing what is
//! signed.

use super::foreign;
use super::volume::{self, BLOCK, END_BYTES, Volume, member_bytes};
use crate::model::{Digest, Error, Result, limits};
use crate::trust::{KeyId, SIGNATURE_BYTES};

/// Manifest and signatures, as they stand at the end of the last volume or in a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The bytes of the manifest.
    pub(super) manifest: Vec<u8>,
    /// Where its header begins.
    pub(super) manifest_at: u64,
    /// In the order of their keys.
    pub(super) signatures: Vec<(KeyId, [u8; SIGNATURE_BYTES])>,
    /// Time that the header of the manifest has.
    pub(super) time: u64,
}

/// What the members of a file end with.
enum End {
    /// The manifest begins here.
    Manifest(u64),
    /// The end of a tar, and of the file: a volume that is not the last of its set.
    Tar,
}

impl Tail {
    /// Digest of the manifest: names the bundle.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Whether the last bytes of the file are those of a last volume, or a receipt. Only a hint.
    pub(super) fn is_hinted(volume: &Volume) -> bool {
        matches!(hint(volume), Ok(Some(_)))
    }

    /// Finds the tail of a file; `None` where it is whole, and not the last volume of its set.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io); [`Kind::Damaged`](crate::model::Kind::Damaged) where
    /// the file ends early or its end is no longer what it was;
    /// [`Kind::Malformed`](crate::model::Kind::Malformed) where it is no volume at all.
    pub(super) fn find(volume: &Volume) -> Result<Option<Self>> {
        let at = match hint(volume)? {
            Some(at) => at,
            None => match walk(volume)? {
                End::Manifest(at) => at,
                End::Tar => return Ok(None),
            },
        };
        Self::read(volume, at).map(Some)
    }

    /// Reads manifest and signatures, which must be followed by the tail and the end of the file.
    fn read(volume: &Volume, manifest_at: u64) -> Result<Self> {
        let path = volume.path().display().to_string();
        let damaged = |at: u64, what: &str| {
            Error::damaged(format!("{path} is damaged at byte {at}: {what}"))
                .hint("copy the bundle again")
        };
        let (_, size, time) = volume
            .block(manifest_at)
            .ok()
            .and_then(|block| volume::parse_header(&block))
            .filter(|(name, ..)| name == volume::MANIFEST)
            .ok_or_else(|| damaged(manifest_at, "the header of the manifest should be here"))?;
        if size > limits::BUNDLE_MANIFEST_BYTES {
            return Err(Error::malformed(format!(
                "{path}: a manifest of {size} bytes is more than any bundle has"
            )));
        }
        let manifest = member(volume, manifest_at, size)
            .map_err(|e| e.context(format!("{path} is incomplete")))?;
        let mut at = manifest_at + member_bytes(size);
        let mut signatures = Vec::new();
        loop {
            let header =
                volume.block(at).map_err(|_| damaged(at, "the file ends among its signatures"))?;
            let (name, size, member_time) = volume::parse_header(&header)
                .ok_or_else(|| damaged(at, "a signature or the tail should be here"))?;
            if member_time != time {
                return Err(damaged(at, "the header of a member has another time"));
            }
            if name == volume::TAIL {
                break;
            }
            let id = name
                .strip_prefix("signatures/")
                .and_then(|rest| rest.strip_suffix(".sig"))
                .and_then(KeyId::parse);
            let (Some(id), true) = (id, size == SIGNATURE_BYTES as u64) else {
                return Err(Error::malformed(format!(
                    "{path}: {name:?} does not belong between manifest and tail"
                )));
            };
            if signatures.last().is_some_and(|(last, _): &(KeyId, _)| *last >= id) {
                return Err(Error::malformed(format!("{path}: its signatures are out of order")));
            }
            if signatures.len() == limits::SIGNATURES {
                return Err(Error::malformed(format!(
                    "{path} has more than {} signatures",
                    limits::SIGNATURES
                )));
            }
            let bytes = member(volume, at, size)?;
            let signature =
                bytes.try_into().map_err(|_| damaged(at, "a signature has another length"))?;
            signatures.push((id, signature));
            at += member_bytes(size);
        }
        expect_end(volume, at, manifest_at, time)?;
        Ok(Self { manifest, manifest_at, signatures, time })
    }
}

/// The member `tail` at `at`, the end of the tar, and the end of the file.
fn expect_end(volume: &Volume, at: u64, manifest_at: u64, time: u64) -> Result<()> {
    let path = volume.path().display();
    let tail = volume::tail_text(manifest_at);
    let mut end = volume::header(volume::TAIL, tail.len() as u64, time).to_vec();
    end.extend(tail.bytes());
    end.resize((2 * BLOCK + END_BYTES) as usize, 0);
    let there = volume.length() - at;
    let found = volume.read(at, there.min(end.len() as u64))?;
    if !end.starts_with(&found) {
        return Err(Error::damaged(format!(
            "{path} is damaged at byte {at}: the tail is not what sealift writes"
        ))
        .hint("copy the bundle again"));
    }
    match there.checked_sub(end.len() as u64) {
        Some(0) => Ok(()),
        Some(more) => {
            Err(Error::malformed(format!("{path}: {more} bytes follow the end of the bundle"))
                .hint("something was appended to the file: copy the bundle again"))
        }
        None => {
            Err(Error::damaged(format!("{path} ends in its tail, at byte {}", volume.length()))
                .hint("copy the bundle again"))
        }
    }
}

/// Where the last bytes of the file say that the manifest is. Only a hint.
fn hint(volume: &Volume) -> Result<Option<u64>> {
    let length = 2 * BLOCK + END_BYTES;
    if volume.length() < length {
        return Ok(None);
    }
    Ok(volume::parse_tail(&volume.read(volume.length() - length, length)?))
}

/// Walks over the members from the front, where the tail is of no use, and says what is wrong where
/// they do not end as those of a volume do.
fn walk(volume: &Volume) -> Result<End> {
    let path = volume.path().display();
    let first = volume.read(0, volume.length().min(BLOCK))?;
    let known = b"README.txt\0";
    let begin = &first[..first.len().min(known.len())];
    if first.is_empty() || !known.starts_with(begin) {
        return Err(foreign::none(volume));
    }
    let truncated = |at: u64| {
        Error::damaged(format!(
            "{path} is incomplete: it ends at byte {} without manifest and signatures (intact up to byte {at})", volume.length()
        ))
        .hint("the copy was interrupted, or the medium was full or pulled too early: copy the bundle again")
    };
    let mut at = 0;
    while at + BLOCK <= volume.length() {
        let Some((name, size, _)) = volume::parse_header(&volume.block(at)?) else {
            if at == 0 {
                return Err(Error::malformed(format!(
                    "{path} is not a sealift bundle: its first tar header is not one that sealift writes"
                )));
            }
            if at + END_BYTES == volume.length()
                && volume.read(at, END_BYTES)?.iter().all(|&byte| byte == 0)
            {
                return Ok(End::Tar);
            }
            return Err(Error::damaged(format!(
                "{path} is damaged: what lies at byte {at} is not the header of a member"
            ))
            .hint("copy the bundle again"));
        };
        if name == volume::MANIFEST {
            return Ok(End::Manifest(at));
        }
        // No size in a header of ours is past 2^33.
        let next = at + member_bytes(size);
        if next > volume.length() {
            return Err(truncated(at));
        }
        at = next;
    }
    Err(truncated(at))
}

/// The content of a member, whose padding must be zeros.
pub(super) fn member(volume: &Volume, at: u64, size: u64) -> Result<Vec<u8>> {
    let mut bytes = volume.read(at + BLOCK, size + volume::padding(size))?;
    if bytes[size as usize..].iter().any(|&byte| byte != 0) {
        return Err(Error::damaged(format!(
            "{} is damaged: the padding after byte {} is not empty",
            volume.path().display(),
            at + BLOCK + size
        )));
    }
    bytes.truncate(size as usize);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    const TIME: u64 = 7;

    /// A member with its padding.
    fn put(bytes: &mut Vec<u8>, name: &str, content: &[u8]) {
        bytes.extend(volume::header(name, content.len() as u64, TIME));
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    }

    fn key(number: u8) -> String {
        format!("signatures/{}.sig", hex::encode([number; 32]))
    }

    /// A README, a manifest, these signatures, and what ends a volume. The manifest begins at 1024.
    fn signed_by(signatures: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, volume::README, b"read me");
        put(&mut bytes, volume::MANIFEST, b"manifest");
        for (name, signature) in signatures {
            put(&mut bytes, name, signature);
        }
        put(&mut bytes, volume::TAIL, volume::tail_text(1024).as_bytes());
        bytes.resize(bytes.len() + END_BYTES as usize, 0);
        bytes
    }

    fn sample() -> Vec<u8> {
        signed_by(&[(key(1), vec![1; 64]), (key(2), vec![2; 64])])
    }

    fn find(bytes: &[u8]) -> Result<Option<Tail>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        std::fs::write(&path, bytes).unwrap();
        Tail::find(&Volume::open(&path)?)
    }

    #[track_caller]
    fn refused(bytes: &[u8], kind: Kind, says: &str) {
        let error = find(bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.chain().contains(says), "{says}: {error:?}");
    }

    #[test]
    fn a_tail_is_found_by_its_end_and_by_its_members() {
        let good = sample();
        let tail = find(&good).unwrap().unwrap();
        assert_eq!(
            (&tail.manifest[..], tail.manifest_at, tail.time),
            (&b"manifest"[..], 1024, TIME)
        );
        let signers: Vec<u8> = tail.signatures.iter().map(|(_, bytes)| bytes[0]).collect();
        assert_eq!(signers, [1, 2]);
        assert_eq!(tail.digest(), Digest::of(b"manifest"));
        // The hint is gone: the manifest is found from the front, and what is wrong is told.
        let mut bad = good.clone();
        bad[4096 + 512] ^= 1;
        refused(&bad, Kind::Damaged, "the tail is not what sealift writes");
        // A volume that is not the last ends as any tar.
        let mut whole = Vec::new();
        put(&mut whole, volume::README, b"read me");
        let bare = whole.len();
        whole.resize(bare + END_BYTES as usize, 0);
        assert_eq!(find(&whole).unwrap(), None);
        refused(&whole[..bare], Kind::Damaged, "it ends at byte 1024 without manifest");
        refused(&whole[..700], Kind::Damaged, "(intact up to byte 0)");
        whole[bare] = 1;
        refused(&whole, Kind::Damaged, "at byte 1024 is not the header of a member");
        whole.push(0);
        refused(&whole, Kind::Damaged, "is not the header of a member");
    }

    #[test]
    fn what_begins_as_no_bundle_is_none() {
        let (good, mut odd) = (sample(), sample());
        for other in [&b""[..], b"PK", &[0; 4096], &good[512..1024]] {
            refused(other, Kind::Malformed, "is not a sealift bundle");
        }
        odd[100] ^= 1;
        odd.truncate(2048);
        refused(&odd, Kind::Malformed, "its first tar header is not one that sealift writes");
    }

    #[test]
    fn what_does_not_belong_behind_a_manifest_is_refused() {
        let signature = |number: u8| (key(number), vec![number; 64]);
        let many: Vec<_> = (0..=limits::SIGNATURES as u8).map(signature).collect();
        assert!(find(&signed_by(&many[1..])).unwrap().is_some());
        let name = "does not belong between manifest and tail";
        for (signatures, says) in [
            (vec![("note".to_owned(), vec![0; 64])], name),
            (vec![("signatures/0f.sig".to_owned(), vec![0; 64])], name),
            (vec![(key(1).replace(".sig", ""), vec![0; 64])], name),
            (vec![(key(1), vec![0; 63])], name),
            (vec![signature(2), signature(1)], "its signatures are out of order"),
            (vec![signature(1), signature(1)], "its signatures are out of order"),
            (many, "has more than 16 signatures"),
        ] {
            refused(&signed_by(&signatures), Kind::Malformed, says);
        }
    }

    #[test]
    fn every_part_of_a_tail_is_where_and_as_it_should_be() {
        let good = sample();
        let with = |at: usize, header: [u8; BLOCK as usize]| {
            let mut bytes = good.clone();
            bytes[at..at + BLOCK as usize].copy_from_slice(&header);
            bytes
        };
        let most = limits::BUNDLE_MANIFEST_BYTES;
        let (manifest, first, tail) = (1024, 2048, 4096);
        for (bytes, kind, says) in [
            (with(manifest, [0; 512]), Kind::Damaged, "the header of the manifest should be here"),
            (
                with(manifest, volume::header(volume::MANIFEST, most + 1, TIME)),
                Kind::Malformed,
                "a manifest of 16777217 bytes is more than any bundle has",
            ),
            (
                with(manifest, volume::header(volume::MANIFEST, most, TIME)),
                Kind::Damaged,
                "is incomplete",
            ),
            (with(first, [1; 512]), Kind::Damaged, "a signature or the tail should be here"),
            (
                with(first, volume::header(&key(1), 64, TIME + 1)),
                Kind::Damaged,
                "the header of a member has another time",
            ),
            (
                with(tail, volume::header("signatures", 64, TIME)),
                Kind::Malformed,
                "does not belong between manifest and tail",
            ),
        ] {
            refused(&bytes, kind, says);
        }
        for at in [manifest + 600, first + 600] {
            let mut bytes = good.clone();
            bytes[at] = 1;
            refused(&bytes, Kind::Damaged, "the padding after byte");
        }
        refused(&good[..good.len() - 1], Kind::Damaged, "ends in its tail");
        refused(&good[..tail], Kind::Damaged, "the file ends among its signatures");
        let more = [&good[..], b"x"].concat();
        refused(&more, Kind::Malformed, "1 bytes follow the end of the bundle");
    }
}
