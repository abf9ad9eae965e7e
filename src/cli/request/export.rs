//! What `sealift export` is asked for.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use super::connection::Connection;
use super::encryption::Encryption;
use super::faults::Faults;
use super::sources::{bundle_name, registries, sources};
use super::state::State;
use super::stream::dating;
use super::trust::Trust;
use super::unlock::Unlock;
use super::{is_there, own_public_key, refuse_folder, signing_keys};
use crate::bundle::parity::{beside, first_of_several};
use crate::bundle::{Occupied, Preset, SMALLEST_VOLUME};
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::model::{Error, Kind, Location, Platform, Result};
use crate::operation::freshness::Dating;
use crate::operation::parity::Wanted;

/// Where a bundle is written and who signs it.
#[derive(Debug)]
pub(in crate::cli) struct Sealing {
    /// The bundle.
    pub(in crate::cli) output: PathBuf,
    /// Signing keys, at least one.
    pub(in crate::cli) keys: Vec<PathBuf>,
    /// For keys that need one.
    pub(in crate::cli) passphrase: Passphrase,
    /// For whom the bundle is encrypted, if it is.
    pub(in crate::cli) encryption: Option<Encryption>,
    /// Parity to be made beside it.
    pub(in crate::cli) parity: Option<Wanted>,
}

/// `sealift export`.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(in crate::cli) struct Export {
    /// Where the images are, in the order given; at least one.
    pub(in crate::cli) sources: Vec<Location>,
    /// The bundle; `None` for a dry run.
    pub(in crate::cli) sealing: Option<Sealing>,
    /// Platforms to take out of indexes; empty for everything.
    pub(in crate::cli) platforms: Vec<Platform>,
    /// Whether attached artifacts travel too.
    pub(in crate::cli) attachments: bool,
    /// How hard to pack.
    pub(in crate::cli) preset: Preset,
    /// Bundles or receipts whose content is left out, the newest first.
    pub(in crate::cli) bases: Vec<PathBuf>,
    /// Who may have signed those, beside oneself.
    pub(in crate::cli) trust: Option<Trust>,
    /// One's own public key, if it is there: a dry run needs no secret one.
    pub(in crate::cli) own_key: Option<PathBuf>,
    /// What is said about the age of the bundle.
    pub(in crate::cli) dating: Dating,
    /// Bytes that no volume is larger than.
    pub(in crate::cli) volume_size: Option<u64>,
    /// Whether to read what was written from its medium.
    pub(in crate::cli) read_back: bool,
    /// Whether to go on from what an interrupted export has left.
    pub(in crate::cli) resume: bool,
    /// Threads.
    pub(in crate::cli) jobs: NonZeroUsize,
    /// Date of the bundle, seconds since 1970.
    pub(in crate::cli) created: u64,
    /// Whether the user pinned it.
    pub(in crate::cli) created_is_pinned: bool,
    /// Folder for temporary files.
    pub(in crate::cli) temporary: PathBuf,
    /// Result as JSON.
    pub(in crate::cli) json: bool,
    /// How to get there.
    pub(in crate::cli) connection: Connection,
    /// What opens encrypted bundles.
    pub(in crate::cli) unlock: Unlock,
}

/// The name of an encrypted bundle: it ends as age files do, so that nobody takes it for a tar.
fn encrypted_name(output: PathBuf) -> PathBuf {
    if output.extension().is_some_and(|extension| extension == "age") {
        return output;
    }
    let mut name = output.into_os_string();
    name.push(".age");
    name.into()
}

/// Where the bundle goes: a file, that takes the place of another only where that was asked for.
fn destination(
    output: PathBuf,
    is_encrypted: bool,
    force: bool,
    sources: &[Location],
) -> Result<PathBuf> {
    refuse_folder(&output, &bundle_name(sources))?;
    let output = if is_encrypted { encrypted_name(output) } else { output };
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty())
        && !is_there(folder)?
    {
        let what = format!("cannot write {}: its folder is not there", output.display());
        return Err(Error::new(Kind::Io, what)
            .hint(format!("make {} first, or choose another place", folder.display())));
    }
    match Occupied::find(&output)?.files().first() {
        Some(first) if !force => Err(taken(first)),
        _ => Ok(output),
    }
}

/// The parity that is made beside a bundle.
fn parity(percent: u8, bundle: &Path, force: bool) -> Result<Wanted> {
    let wanted = Wanted { percent, output: beside(bundle), limit: None, force };
    for name in [wanted.output.clone(), first_of_several(&wanted.output)] {
        if !force && is_there(&name)? {
            return Err(taken(&name));
        }
    }
    Ok(wanted)
}

fn taken(file: &Path) -> Error {
    Error::usage(format!("{} is already there", file.display()))
        .hint("choose another name, or add --force to replace it")
}

/// For whom the bundle is encrypted, if it is.
fn encryption(args: &args::ExportArgs, environment: &Environment) -> Result<Option<Encryption>> {
    let passphrase_file = args.unlock.bundle_passphrase_file.clone();
    if passphrase_file.is_some() && !args.encrypt_passphrase && args.base.is_empty() {
        return Err(Error::usage("--bundle-passphrase-file alone encrypts nothing")
            .hint("add --encrypt-passphrase to encrypt the bundle with it"));
    }
    let encryption = Encryption::resolve(
        &args.encrypt_to,
        args.encrypt_passphrase,
        passphrase_file,
        environment,
    )?;
    if encryption.is_some() && args.resume {
        return Err(Error::usage("an encrypted export cannot be resumed")
            .because("what --resume goes on from lies beside the bundle, readable for anybody; so an encrypted export leaves nothing there")
            .hint("leave out --resume; or export without encryption to a disk that you trust, and encrypt that with `age`"));
    }
    Ok(encryption)
}

impl Export {
    pub(in crate::cli) fn resolve(
        args: args::ExportArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let mut faults = Faults::default();
        let sources = sources(&args.sources, &mut faults);
        let platforms = args.platform.iter().filter_map(|text| faults.some(text.parse())).collect();
        let encryption = faults.or_default(encryption(&args, environment));
        let volume_size =
            faults.or_default(args.volume_size.as_deref().map(volume_size).transpose());
        let state = State::resolve(args.state, environment);
        let dating = faults.or_default(dating(&args.stream, &state, environment));
        let sealing = match args.output {
            Some(output) if !args.dry_run => {
                let is_encrypted = encryption.is_some();
                let output = destination(output, is_encrypted, args.force, &sources);
                let output = faults.or_default(output);
                let parity = args.parity.map(|percent| parity(percent, &output, args.force));
                Some(Sealing {
                    parity: faults.or_default(parity.transpose()),
                    keys: faults.or_default(signing_keys(args.key, environment)),
                    passphrase: Passphrase::resolve(args.passphrase_file, environment),
                    output,
                    encryption,
                })
            }
            _ => None,
        };
        faults.none()?;
        let registries = registries(&sources);
        Ok(Self {
            unlock: Unlock::resolve(args.unlock, environment)?,
            sources,
            sealing,
            platforms,
            attachments: !args.no_attachments,
            trust: if args.base.is_empty() {
                None
            } else {
                let none = args::TrustArgs { key: Vec::new(), trust: None, threshold: None };
                Some(Trust::find(none, environment)?)
            },
            own_key: own_public_key(environment)?,
            dating,
            bases: args.base,
            preset: match args.compression {
                args::Preset::Fast => Preset::Fast,
                args::Preset::Balanced => Preset::Balanced,
                args::Preset::Max => Preset::Max,
            },
            volume_size,
            read_back: args.read_back,
            resume: args.resume,
            jobs: args.jobs.unwrap_or(environment.jobs),
            created: environment.created,
            created_is_pinned: environment.created_is_pinned,
            temporary: environment.temporary.clone(),
            json: args.json,
            connection: Connection::resolve(args.registry, environment, &registries)?
                .reading(args.mirrors),
        })
    }
}

/// The largest file of a FAT32 file system: its length has 32 bits.
const FAT32: u64 = (1 << 32) - 1;

/// The largest file that every way of making a disc, and every reader, takes: one extent of whole
/// blocks (ECMA-119, 9.1.4; a data length of 32 bits and blocks of 2048 bytes). Only level 3 of ISO
/// 9660, and UDF, have larger ones. A disc of one layer has 4,700,372,992 bytes, so it holds one such
/// volume with its file system, and leaves room for parity.
const DVD: u64 = (1 << 32) - 2048;

/// How large volumes are to be, as people write it.
fn volume_size(text: &str) -> Result<u64> {
    let wrong = |what: String| {
        Error::usage(what)
            .hint("write it as in 700MB, 4GiB or 4700000000, or use one of the names fat32 and dvd")
    };
    let size = match text.to_ascii_lowercase().as_str() {
        "fat32" => FAT32,
        "dvd" => DVD,
        other => other
            .parse::<ByteSize>()
            .map_err(|_| wrong(format!("not a size of a volume: {text:?}")))?
            .as_u64(),
    };
    if size < SMALLEST_VOLUME {
        return Err(wrong(format!("a volume of {size} bytes is too small: 1 MiB is the least")));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_as_large_as_it_says() {
        let size = |text| volume_size(text).unwrap();
        assert_eq!(size("fat32"), 4_294_967_295);
        assert_eq!(size("DVD"), 4_294_965_248);
        assert_eq!(size("700MB"), 700_000_000);
        assert_eq!(size("4GiB"), 4 << 30);
        assert_eq!(size("1.5 GiB"), 3 << 29);
        assert_eq!(size("1048576"), 1 << 20);
        for text in ["", "1048575", "1MB", "0", "-1", "fat", "4 parsecs"] {
            assert!(volume_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_encrypted_bundle_is_called_so() {
        for (name, becomes) in [
            ("a/app.sealift", "a/app.sealift.age"),
            ("app.sealift.age", "app.sealift.age"),
            ("app.age", "app.age"),
            ("app", "app.age"),
        ] {
            assert_eq!(encrypted_name(name.into()), PathBuf::from(becomes));
        }
    }
}
