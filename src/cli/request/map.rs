//! What `sealift map` is asked for, and rules for names.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::trust::Trust;
use super::unlock::Unlock;
use crate::cli::args::{self, MapFormat};
use crate::cli::environment::Environment;
use crate::codec::checked::read_bounded;
use crate::model::{Destination, Error, Mapping, Naming, Platform, Result, limits};

/// `sealift map`.
#[derive(Debug)]
pub(in crate::cli) struct Map {
    /// The bundle.
    pub(in crate::cli) bundle: PathBuf,
    /// Where the images go.
    pub(in crate::cli) target: Destination,
    /// Which names they get there.
    pub(in crate::cli) naming: Naming,
    /// Whose signature counts.
    pub(in crate::cli) trust: Trust,
    /// Names or digests of images, as typed; empty for all.
    pub(in crate::cli) images: Vec<String>,
    /// Platforms to take out of indexes; empty for everything.
    pub(in crate::cli) platforms: Vec<Platform>,
    /// How to write it.
    pub(in crate::cli) format: MapFormat,
    /// Where to; standard output without it.
    pub(in crate::cli) output: Option<PathBuf>,
    /// Replace files.
    pub(in crate::cli) force: bool,
    /// The registry speaks HTTP.
    pub(in crate::cli) plain_http: bool,
    /// What opens encrypted bundles.
    pub(in crate::cli) unlock: Unlock,
}

impl Map {
    pub(in crate::cli) fn resolve(args: args::MapArgs, environment: &Environment) -> Result<Self> {
        let target: Destination = args.to.parse()?;
        let naming = naming(&args.rules, &target)?;
        let is_target = |host: &String| match &target {
            Destination::Registry { host: own, .. } => host == args::EVERY_HOST || host == own,
            _ => false,
        };
        let plain_http = args.plain_http.iter().any(is_target);
        Ok(Self {
            unlock: Unlock::resolve(args.unlock, environment)?,
            bundle: args.bundle,
            naming,
            target,
            trust: Trust::resolve(args.trust, environment)?,
            images: args.image,
            platforms: args.platform.iter().map(|text| text.parse()).collect::<Result<_>>()?,
            format: if args.json { MapFormat::Json } else { args.format },
            output: args.output,
            force: args.force,
            plain_http,
        })
    }
}

/// The names that images get at a target: by rules, those of files after those that were typed.
pub(super) fn naming(rules: &args::RuleArgs, target: &Destination) -> Result<Naming> {
    let mut mapping = Mapping::default();
    for rule in &rules.map {
        mapping.add(rule)?;
    }
    for file in &rules.map_file {
        mapping.add_file(&file.display().to_string(), &read(file)?)?;
    }
    Naming::new(target, mapping)
}

fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| Error::io(format!("cannot read {shown}"), e))?;
    let bytes = read_bounded(file, limits::MAPPING_FILE_BYTES, &shown.to_string())?;
    String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("{shown} is no text: it should hold FROM=TO lines")))
}
