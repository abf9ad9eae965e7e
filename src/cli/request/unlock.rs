//! What opens encrypted bundles.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::is_there;
use crate::cli::args;
use crate::cli::environment::Environment;
use crate::cli::passphrase::Passphrase;
use crate::codec::encryption::Identities;
use crate::model::Result;

/// What opens encrypted bundles: identities, and where a passphrase comes from.
#[derive(Debug)]
pub(in crate::cli) struct Unlock {
    /// Files that hold identities.
    files: Vec<PathBuf>,
    /// Whether they were named. One that lies in its place is not looked at unless it is needed.
    named: bool,
    passphrase: Arc<Passphrase>,
    /// The options that were given.
    typed: Vec<String>,
    /// What they gave: nobody is asked twice.
    loaded: OnceLock<Identities>,
}

impl Unlock {
    pub(in crate::cli) fn resolve(
        args: args::UnlockArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let named = !args.identity.is_empty();
        let mut typed = Vec::new();
        let options = args.identity.iter().map(|file| ("--identity", file));
        let passphrase =
            args.bundle_passphrase_file.iter().map(|file| ("--bundle-passphrase-file", file));
        for (option, file) in options.chain(passphrase) {
            typed.extend([option.to_owned(), file.to_string_lossy().into_owned()]);
        }
        let files = if named {
            args.identity
        } else {
            let mut found = Vec::new();
            if let Some(path) = environment.default_identity()
                && is_there(&path)?
            {
                found.push(path);
            }
            found
        };
        let passphrase = Passphrase::of_bundle(args.bundle_passphrase_file, environment);
        Ok(Self { files, named, passphrase: Arc::new(passphrase), typed, loaded: OnceLock::new() })
    }

    /// The options that say what opens a bundle, word by word, for a command that is advised.
    pub(in crate::cli) fn typed(&self) -> &[String] {
        &self.typed
    }

    /// Whether it was said on the command line what opens the bundle.
    pub(in crate::cli) fn is_named(&self) -> bool {
        !self.typed.is_empty()
    }

    /// The identities, where nothing need be opened: nobody is asked for a passphrase who has not
    /// spoken of opening.
    ///
    /// # Errors
    /// As for [`identities`](Self::identities).
    pub(in crate::cli) fn where_possible(&self) -> Result<Identities> {
        let identities = self.identities()?;
        let asks = self.passphrase.asks() && !self.is_named();
        Ok(if asks { identities.without_asking() } else { identities })
    }

    /// The identities. A passphrase is asked for where one is needed.
    ///
    /// # Errors
    /// What is wrong with a file that was named.
    pub(in crate::cli) fn identities(&self) -> Result<Identities> {
        if let Some(loaded) = self.loaded.get() {
            return Ok(loaded.clone());
        }
        let identities = if self.named {
            Identities::load(&self.files)?
        } else {
            Identities::when_needed(self.files.clone())
        };
        let passphrase = Arc::clone(&self.passphrase);
        let identities = identities.asking(Arc::new(move |what| passphrase.of(what)));
        Ok(self.loaded.get_or_init(|| identities).clone())
    }
}
