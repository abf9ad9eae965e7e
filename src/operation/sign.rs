//! Sign: a second pair of eyes puts its signature to a bundle.
//!
//! What is signed is looked at first: that somebody who is trusted signed it before, and that every
//! stored byte is the one that was signed for.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::verify::{self, Depth};
use crate::bundle::{Authentic, Bundle, Unverified};
use crate::codec::atomic::write_file;
use crate::codec::encryption::is_encrypted;
use crate::endpoint::{Event, Progress};
use crate::model::{Error, Result};
use crate::trust::{PublicKey, SIGNATURE_BYTES, SecretKey, Trust};

/// Where a signature comes from.
pub enum Hand {
    /// This key makes it.
    Key(SecretKey),
    /// It was made elsewhere.
    Made {
        /// By the key that this is the public half of.
        by: PublicKey,
        /// The signature.
        signature: [u8; SIGNATURE_BYTES],
    },
}

impl Hand {
    fn public(&self) -> PublicKey {
        match self {
            Self::Key(key) => key.public(),
            Self::Made { by, .. } => by.clone(),
        }
    }

    fn sign<State>(&self, bundle: &mut Bundle<State>) -> Result<()> {
        match self {
            Self::Key(key) => bundle.add_signature(&key.public(), bundle.signature_by(key)),
            Self::Made { by, signature } => bundle.add_signature(by, *signature),
        }
    }
}

/// Where what is signed goes.
#[derive(Clone, Debug)]
pub enum Paper {
    /// A bundle; perhaps the one that is signed.
    Bundle(PathBuf),
    /// Only the signature, of which there must be one.
    Signature(PathBuf),
}

/// What is to be signed.
pub struct Request<'a> {
    /// The bundle.
    pub bundle: &'a Path,
    /// Who signs; at least one.
    pub hands: &'a [Hand],
    /// Of whom one must have signed before; `None` where that does not matter.
    pub trust: Option<&'a Trust>,
    /// Where it goes.
    pub paper: &'a Paper,
    /// Threads.
    pub threads: usize,
}

/// What was signed.
pub struct Report {
    /// The bundle, with all signatures.
    pub bundle: Bundle<Authentic>,
    /// Who had not signed before.
    pub added: Vec<PublicKey>,
}

/// A signature cannot be put into an encrypted file without writing it anew for recipients that
/// nobody knows here.
fn refuse_encrypted(path: &Path) -> Result<()> {
    let what = path.display().to_string();
    if !path.is_file() {
        return Ok(());
    }
    let file = File::open(path).map_err(|e| Error::io(format!("cannot open {what}"), e))?;
    if is_encrypted(&file, &what)? {
        return Err(Error::usage(format!("{what} is encrypted: no signature can be added to it"))
            .hint("decrypt it with `age -d`, sign that, and encrypt it again with `age`"));
    }
    Ok(())
}

/// Signs. Where all had signed before, nothing is written but a signature that was asked for.
///
/// # Errors
/// [`Kind::Untrusted`](crate::model::Kind::Untrusted) where nobody who is trusted signed before;
/// whatever is wrong with the bundle; [`Kind::Io`](crate::model::Kind::Io).
pub fn sign(request: &Request<'_>, progress: &dyn Progress) -> Result<Report> {
    refuse_encrypted(request.bundle)?;
    let mut opened = Bundle::<Unverified>::open(request.bundle)?;
    let Some(first) = request.hands.first() else {
        return Err(Error::usage("there is no key to sign with"));
    };
    let added: Vec<PublicKey> =
        request.hands.iter().map(Hand::public).filter(|key| !opened.is_signed_by(key)).collect();
    let mut bundle = if let Some(trust) = request.trust {
        opened.authenticate(trust)?
    } else {
        // Nobody vouches for it but who signs now: by this signature it is read.
        first.sign(&mut opened)?;
        opened.authenticate(&Trust::in_key(first.public(), "the signing key"))?
    };
    whole(&bundle, request.threads, progress)?;
    for hand in request.hands {
        hand.sign(&mut bundle)?;
    }
    match request.paper {
        Paper::Signature(path) => {
            let Hand::Key(key) = first else {
                return Err(Error::usage("the signature is in a file already"));
            };
            write_file(path, 0o644, &bundle.signature_by(key))?;
        }
        Paper::Bundle(path) if added.is_empty() && path == request.bundle => {}
        Paper::Bundle(path) => {
            // Of a set, the signatures are in the last volume, whichever was named.
            let path = if path == request.bundle { bundle.path() } else { path };
            let total = bundle.length();
            progress.event(Event::Phase { title: "copying", total: Some(total) });
            let transfers = crate::endpoint::Transfers::new(progress);
            let id = transfers.start("copying", Some(total));
            bundle.write_signed(path, &|bytes| progress.event(Event::Advanced { id, bytes }))?;
            transfers.finish(id, crate::endpoint::How::Moved);
        }
    }
    Ok(Report { bundle, added })
}

/// Every stored byte is the one that was signed for.
fn whole(bundle: &Bundle<Authentic>, threads: usize, progress: &dyn Progress) -> Result<()> {
    let report = verify::verify(bundle, Depth::Quick, threads, progress)?;
    let Some(kind) = report.worst() else { return Ok(()) };
    let parts = report.problems.into_iter().map(|problem| problem.error).collect();
    Err(Error::new(kind, format!("{} is not whole: it is not signed", bundle.path().display()))
        .parts(parts)
        .hint("copy the bundle again, then sign it"))
}
