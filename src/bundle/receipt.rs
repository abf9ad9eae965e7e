//! A receipt: the signed tail of a bundle without its packs, small enough to keep for every bundle
//! that was sent. It says what the far side has got, which is all that the next delta needs to know.
//!
//! It is a tar like the bundle: a README, a member `receipt`, the index, the manifest and its
//! signatures. One that an import has made also holds a [`Statement`] of what really arrived, and the
//! receiver's signatures over it.

use std::fs::File;
use std::path::Path;

use super::base::Known;
use super::claim::{RECEIPT, RECEIPT_TEXT, begins_as_receipt, receipt_member};
use super::output::VolumeWriter;
use super::reader::{Authentic, Bundle, Contents, Unverified};
use super::statement::Statement;
use super::tail::member;
use super::volume::{self, Volume, member_bytes};
use crate::codec::atomic::{AtomicFile, name_together};
use crate::codec::checked::HashingReader;
use crate::codec::encryption::Identities;
use crate::model::{Algorithm, Digest, Error, Result, limits};
use crate::trust::{KeyId, SIGNATURE_BYTES, SecretKey, Signer, Trust};

/// What an import says.
const IMPORT: &str = "import";
/// Where signatures over that lie.
const IMPORT_SIGNATURES: &str = "import-signatures/";

const README: &[u8] = b"This is the receipt of a sealift bundle: its signed manifest and its index, without content.\n\
It says what the bundle held, so that a later one can leave that out: sealift export --base RECEIPT\n";

/// A receipt that was opened; nothing of it is believed yet.
pub struct Receipt {
    bundle: Bundle<Unverified>,
    import: Option<Import>,
}

/// What an import says, and who signed that.
struct Import {
    bytes: Vec<u8>,
    signatures: Vec<(KeyId, [u8; SIGNATURE_BYTES])>,
    /// Where the next member begins.
    end: u64,
}

impl Receipt {
    /// Whether the file is a receipt, by its first members.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io) where it cannot be read.
    pub fn is_one(path: &Path) -> Result<bool> {
        // Volumes may be in a folder, and a set may be named as it was exported; a receipt is a file.
        if path.is_dir() || path.symlink_metadata().is_err() {
            return Ok(false);
        }
        // Nor is it ever encrypted.
        Volume::open_plain(path)?.as_ref().map_or(Ok(false), begins_as_receipt)
    }

    /// Opens a receipt.
    ///
    /// # Errors
    /// As for a bundle.
    pub fn open(path: &Path) -> Result<Self> {
        let bundle = Bundle::open_set(&[], Some(path), &Identities::default())?;
        let file = bundle.tail_file();
        let import = match receipt_member(file)? {
            Some(at) => Import::read(file, at + member_bytes(RECEIPT_TEXT.len() as u64))?,
            None => None,
        };
        Ok(Self { bundle, import })
    }

    /// Digest of the manifest: names the bundle.
    pub fn digest(&self) -> Digest {
        self.bundle.digest()
    }

    /// Length of the file in bytes.
    pub fn length(&self) -> u64 {
        self.bundle.tail_file().length()
    }

    /// What the trusted keys say about each signature of the bundle.
    pub fn signers(&self, trust: &Trust) -> Vec<Signer> {
        self.bundle.signers(trust)
    }

    /// What the trusted keys say about each signature of the import; none where nobody signed it.
    pub fn import_signers(&self, trust: &Trust) -> Vec<Signer> {
        let judge = |import: &Import| trust.judge(&import.bytes, &import.signatures);
        self.import.as_ref().map_or_else(Vec::new, judge)
    }

    /// What it says of an import, **without proof**; `None` where it speaks of none.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::model::Kind::Malformed).
    pub fn statement(&self) -> Result<Option<Statement>> {
        let parse = |import: &Import| Statement::parse(&import.bytes, &self.digest());
        self.import.as_ref().map(parse).transpose()
    }

    /// What the bundle claims to hold, **without proof**, within tighter limits.
    ///
    /// # Errors
    /// As for a bundle.
    pub fn peek(&self) -> Result<Contents> {
        let contents = self.bundle.peek()?;
        if let Some(import) = &self.import {
            let path = self.bundle.path().display().to_string();
            import.expect_index(&contents, self.bundle.tail.manifest_at, &path)?;
        }
        Ok(contents)
    }

    /// Checks its signatures, then reads it. Signatures over what it says of an import must count where
    /// there are any; what is not signed can only make less of the bundle count as held.
    ///
    /// # Errors
    /// As for a bundle.
    pub fn authenticate(self, trust: &Trust) -> Result<Known> {
        let Self { bundle, import } = self;
        let (digest, path) = (bundle.digest(), bundle.path().display().to_string());
        let bundle = bundle.authenticate(trust)?;
        let manifest_at = bundle.tail.manifest_at;
        let contents = bundle.into_contents();
        let mut held = None;
        if let Some(import) = &import {
            import.expect_index(&contents, manifest_at, &path)?;
            if !import.signatures.is_empty() {
                let what = format!("what {path} says of an import");
                trust.require(&import.bytes, &import.signatures, &what)?;
            }
            held = Some(Statement::parse(&import.bytes, &digest)?.held(&contents.index)?);
        }
        Ok(Known::Receipt { digest, contents: Box::new(contents), held })
    }
}

impl Import {
    /// The index lies right behind what is said of the import, and right before the manifest.
    fn expect_index(&self, contents: &Contents, manifest_at: u64, path: &str) -> Result<()> {
        if manifest_at.checked_sub(member_bytes(contents.manifest.index.size)) == Some(self.end) {
            return Ok(());
        }
        Err(Error::malformed(format!(
            "{path}: something lies between what it says of an import and its index"
        )))
    }

    /// Reads the members that begin at `at`; `None` where something else begins there.
    fn read(volume: &Volume, mut at: u64) -> Result<Option<Self>> {
        let path = volume.path().display();
        let header = |at| Ok::<_, Error>(volume::parse_header(&volume.block(at)?));
        let size = match header(at)? {
            Some((name, size, _)) if name == IMPORT => size,
            _ => return Ok(None),
        };
        if size > limits::STATEMENT_BYTES {
            return Err(Error::malformed(format!(
                "{path} has {size} bytes to say of an import, more than any receipt"
            )));
        }
        let bytes = member(volume, at, size)?;
        at += member_bytes(size);
        let mut signatures: Vec<(KeyId, [u8; SIGNATURE_BYTES])> = Vec::new();
        while let Some((name, size, _)) = header(at)? {
            let Some(id) = name.strip_prefix(IMPORT_SIGNATURES) else { break };
            let wrong =
                || Error::malformed(format!("{path}: {name:?} does not belong in a receipt"));
            let id = id.strip_suffix(".sig").and_then(KeyId::parse).ok_or_else(wrong)?;
            let is_next = signatures.last().is_none_or(|(last, _)| *last < id);
            let has_room = signatures.len() < limits::SIGNATURES;
            if size != SIGNATURE_BYTES as u64 || !is_next || !has_room {
                return Err(wrong());
            }
            let signature = member(volume, at, size)?.try_into().map_err(|_| wrong())?;
            signatures.push((id, signature));
            at += member_bytes(size);
        }
        Ok(Some(Self { bytes, signatures, end: at }))
    }
}

impl Bundle<Authentic> {
    /// Writes the receipt of the bundle to a file that must not be there yet.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::model::Kind::Io), and whatever is wrong with the index.
    pub fn write_receipt(&self, path: &Path) -> Result<()> {
        self.write_receipt_of(AtomicFile::create(path, 0o644)?, None).map(drop)
    }

    /// Writes the receipt of an import to a file that was begun, signed with these keys. Gives the
    /// SHA-256 of the file.
    ///
    /// # Errors
    /// As for [`write_receipt`](Self::write_receipt).
    pub fn write_import_receipt(
        &self,
        file: AtomicFile,
        statement: &Statement,
        keys: &[SecretKey],
    ) -> Result<Digest> {
        self.write_receipt_of(file, Some((statement.to_bytes()?, keys)))
    }

    fn write_receipt_of(
        &self,
        file: AtomicFile,
        import: Option<(Vec<u8>, &[SecretKey])>,
    ) -> Result<Digest> {
        let name = file.target().to_owned();
        let mut output = VolumeWriter::new(file, self.tail.time);
        let manifest = &self.contents().manifest;
        let stored = self.volumes.read(&manifest.index, "the index", manifest)?;
        output.member(volume::README, README)?;
        output.member(RECEIPT, RECEIPT_TEXT)?;
        if let Some((statement, keys)) = import {
            output.member(IMPORT, &statement)?;
            let mut signatures: Vec<_> =
                keys.iter().map(|key| (key.public().id(), key.sign(&statement))).collect();
            signatures.sort_by_key(|(id, _)| *id);
            signatures.dedup_by_key(|(id, _)| *id);
            for (id, signature) in signatures {
                output.member(&format!("{IMPORT_SIGNATURES}{id}.sig"), &signature)?;
            }
        }
        output.member(&format!("index/{}.zst", Digest::of(&stored).hex()), &stored)?;
        let manifest_at = output.at();
        output.member(volume::MANIFEST, &self.tail.manifest)?;
        for (id, signature) in &self.tail.signatures {
            output.member(&format!("signatures/{id}.sig"), signature)?;
        }
        output.member(volume::TAIL, volume::tail_text(manifest_at).as_bytes())?;
        let done = output.end()?;
        let digest = hash(done.file.path())
            .map_err(|e| Error::io(format!("cannot read back {}", name.display()), e))?;
        name_together(vec![(done.file, name)])?;
        Ok(digest)
    }
}

/// The digest of all that was written.
fn hash(path: &Path) -> std::io::Result<Digest> {
    let mut reader = HashingReader::new(File::open(path)?, Algorithm::Sha256);
    std::io::copy(&mut reader, &mut std::io::sink())?;
    Ok(reader.finish().0)
}
