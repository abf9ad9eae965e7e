//! A gzip layer before it goes into packs: kept aside while an engine that makes its bytes again is
//! looked for and proved.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use crate::codec::checked::HashingReader;
use crate::codec::compression::Compression;
use crate::codec::deflate::{Proof, prove};
use crate::model::{Algorithm, Digest, Error, Result};

/// Bytes of a layer that are kept in memory; longer ones go to a temporary file.
pub(super) const IN_MEMORY: u64 = 1 << 20;

/// A shorter layer is not worth opening: its recipe would be about as long as itself.
pub const SMALLEST_OPENED: u64 = 512;

/// A layer, whole, and what was found out about it.
pub(super) struct Prepared {
    /// Its digest, from its bytes.
    pub(super) digest: Digest,
    /// Its length.
    pub(super) size: u64,
    /// Its bytes.
    pub(super) content: Aside,
    /// How to make it again, and what it opens to; `None` where it is carried as it came.
    pub(super) proof: Option<Proof>,
}

/// A layer that is to be looked at, and who waits for the answer.
type Job = (Aside, Sender<(Aside, io::Result<Proof>)>);

/// Threads that find out what made a layer. They are few: each keeps memory for the encoders that it
/// tries, while those who fetch layers may be many.
pub(super) struct Provers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Provers {
    pub(super) fn start(count: usize) -> Self {
        let (jobs, jobs_in) = bounded::<Job>(0);
        let threads = (0..count).map(|_| {
            let jobs_in = jobs_in.clone();
            std::thread::spawn(move || {
                for (mut aside, answer) in jobs_in {
                    let proof = prove(&mut aside);
                    // Whoever asked may have given up.
                    let _ = answer.send((aside, proof));
                }
            })
        });
        Self { jobs: Some(jobs), threads: threads.collect() }
    }

    fn prove(&self, aside: Aside) -> io::Result<(Aside, Proof)> {
        let died = || io::Error::other("a thread that looks at layers died");
        let (answer, answer_in) = bounded(1);
        let jobs = self.jobs.as_ref().ok_or_else(died)?;
        jobs.send((aside, answer)).map_err(|_| died())?;
        let (aside, proof) = answer_in.recv().map_err(|_| died())?;
        Ok((aside, proof?))
    }
}

impl Drop for Provers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Takes a layer aside and looks for what made it, in this thread or in one of `provers`. `folder`
/// takes a temporary file without a name.
pub(super) fn prepare(
    content: &mut dyn Read,
    algorithm: Algorithm,
    folder: &Path,
    provers: Option<&Provers>,
) -> Result<Prepared> {
    let mut content = HashingReader::new(content, algorithm);
    let mut aside = Aside::take(&mut content, folder)?;
    let (digest, size) = content.finish();
    let mut head = [0; 4];
    let odd = |e| Error::io(format!("cannot read {digest} back from a temporary file"), e);
    let filled = aside.read(&mut head).map_err(odd)?;
    let is_gzip = Compression::detect(&head[..filled]) == Compression::Gzip;
    aside.rewind().map_err(odd)?;
    let proof = if is_gzip && size >= SMALLEST_OPENED {
        let proof = match provers {
            Some(provers) => {
                let proof;
                (aside, proof) = provers.prove(aside).map_err(odd)?;
                proof
            }
            None => prove(&mut aside).map_err(odd)?,
        };
        aside.rewind().map_err(odd)?;
        Some(proof)
    } else {
        None
    };
    Ok(Prepared { digest, size, content: aside, proof })
}

/// Bytes that are kept aside: in memory while they are few, then in a file without a name.
pub(super) enum Aside {
    /// Few.
    Memory(Cursor<Vec<u8>>),
    /// Many.
    File(File),
}

impl Aside {
    fn take(content: &mut dyn Read, folder: &Path) -> Result<Self> {
        let unreadable = |e| Error::from_io("cannot read a blob", e);
        let mut head = Vec::new();
        content.take(IN_MEMORY + 1).read_to_end(&mut head).map_err(unreadable)?;
        if head.len() as u64 <= IN_MEMORY {
            return Ok(Self::Memory(Cursor::new(head)));
        }
        let full = |e| {
            Error::io(format!("cannot keep a layer in {}", folder.display()), e)
                .hint("the largest layers need as much room there; TMPDIR chooses another place")
        };
        let mut file = tempfile::tempfile_in(folder).map_err(full)?;
        file.write_all(&head).map_err(full)?;
        let mut piece = vec![0; 256 << 10];
        loop {
            match content.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => file.write_all(&piece[..n]).map_err(full)?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
        file.rewind().map_err(full)?;
        Ok(Self::File(file))
    }
}

impl Read for Aside {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.read(buffer),
            Self::File(file) => file.read(buffer),
        }
    }
}

impl Seek for Aside {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => bytes.seek(to),
            Self::File(file) => file.seek(to),
        }
    }
}
