//! What opens encrypted bundles.

use std::path::PathBuf;
use std::sync::Arc;

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
}

impl Unlock {
    pub(in crate::cli) fn resolve(
        args: args::UnlockArgs,
        environment: &Environment,
    ) -> Result<Self> {
        let named = !args.identity.is_empty();
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
        Ok(Self { files, named, passphrase: Arc::new(passphrase) })
    }

    /// The identities. A passphrase is asked for where one is needed.
    ///
    /// # Errors
    /// What is wrong with a file that was named.
    pub(in crate::cli) fn identities(&self) -> Result<Identities> {
        let identities = if self.named {
            Identities::load(&self.files)?
        } else {
            Identities::when_needed(self.files.clone())
        };
        let passphrase = Arc::clone(&self.passphrase);
        Ok(identities.asking(Arc::new(move |what| passphrase.of(what))))
    }
}
