//! Finds out how a gzip stream was made, and proves it: every bit of the stream is made again by
//! the engine that is chosen and compared. What comes out is what the far side will run.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::bits::{BitWriter, Mark};
use super::codes::WINDOW;
use super::general::{Analysis, Rebuild};
use super::header::{self, TRAILER_BYTES};
use super::recipe::{Coder, GzipRecipe, Member};
use super::{Encoder, Engine, catalogue};
use crate::codec::checked::Hasher;
use crate::model::{Algorithm, Digest, limits};

/// Plain bytes between two marks that are kept: what one worker takes at once on the far side.
/// Shorter ones cost room in the bundle and time to start, longer ones memory.
const SEGMENT: u64 = 2 << 20;

/// Pieces in which a stream is read and opened.
const PIECE: usize = 64 << 10;

/// Plain bytes that are kept because a mark may lie in them: no engine holds back more.
const RECENT: usize = 2 << 20;

/// Bytes of the stream that may wait to be made again; an engine that lags further behind is not
/// the one that made it.
const LAG: usize = 16 << 20;

/// Bytes after the last member that a recipe may hold.
const REST: usize = 64 << 10;

/// Bytes of a stream that are analysed at once: each may open to a thousand.
const ANALYSED: usize = 8 << 10;

/// Corrections are worth it up to this part of the stream, beyond [`FREE`].
const WORTH: u64 = 8;

/// Corrections that are always worth it: before it has learned, the model needs some room.
const FREE: u64 = 64 << 10;

/// What came out.
#[derive(Debug)]
pub enum Proof {
    /// The stream can be made again.
    Exact {
        /// How.
        recipe: GzipRecipe,
        /// What the general coder needs for all members, one after another.
        corrections: Vec<u8>,
        /// SHA-256 of what it opens to.
        digest: Digest,
    },
    /// It cannot; half a sentence for people.
    No(&'static str),
}

/// Reads the whole stream. Fails only where reading fails.
pub fn prove(stream: &mut (impl Read + Seek)) -> io::Result<Proof> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let (mut recipe, mut corrections) = (GzipRecipe::default(), Vec::new());
    loop {
        let start = stream.stream_position()?;
        let Some(header) = header::read(stream)? else {
            stream.seek(SeekFrom::Start(start))?;
            break;
        };
        let last = recipe.members.last().map(|member| member.coder);
        match member(stream, header, last, &mut hasher, &mut corrections)? {
            Ok(member) => recipe.members.push(member),
            Err(why) => return Ok(Proof::No(why)),
        }
    }
    stream.take(REST as u64 + 1).read_to_end(&mut recipe.rest)?;
    if recipe.members.is_empty() {
        return Ok(Proof::No("it is no gzip stream"));
    }
    if recipe.rest.len() > REST {
        return Ok(Proof::No("something follows the gzip stream"));
    }
    Ok(Proof::Exact { recipe, corrections, digest: hasher.finish() })
}

/// Proves the member whose header was just read. Adds its plain bytes to `hasher`.
fn member<R: Read + Seek>(
    stream: &mut R,
    header: Vec<u8>,
    last: Option<Coder>,
    hasher: &mut Hasher,
    corrections: &mut Vec<u8>,
) -> io::Result<Result<Member, &'static str>> {
    let body = stream.stream_position()?;
    let candidates = catalogue::candidates(&header);
    let candidates =
        last.into_iter().chain(candidates.into_iter().filter(|&own| Some(own) != last));
    for coder in candidates {
        let Some(engine) = coder.engine() else { continue };
        stream.seek(SeekFrom::Start(body))?;
        let attempt = Attempt::new(engine.begin(), Some(&*engine), hasher.clone());
        match attempt.run(stream)? {
            Verdict::Other => {}
            Verdict::Broken(why) => return Ok(Err(why)),
            Verdict::Made(made) => return made.member(stream, header, coder, 0, hasher),
        }
    }
    stream.seek(SeekFrom::Start(body))?;
    let own = match analyse(stream)? {
        Ok(own) => own,
        Err(why) => return Ok(Err(why)),
    };
    // The same proof as for any engine, although corrections are made to be right.
    stream.seek(SeekFrom::Start(body))?;
    let length = own.len() as u64;
    let rebuild = Rebuild::new(Box::new(Cursor::new(own.clone())));
    match Attempt::new(Box::new(rebuild), None, hasher.clone()).run(stream)? {
        Verdict::Made(made) => {
            corrections.extend(own);
            made.member(stream, header, Coder::GENERAL, length, hasher)
        }
        Verdict::Other => Ok(Err("no encoder that sealift knows made it")),
        Verdict::Broken(why) => Ok(Err(why)),
    }
}

/// The corrections of a stream that no engine makes, if they are worth it.
fn analyse<R: Read + Seek>(stream: &mut R) -> io::Result<Result<Vec<u8>, &'static str>> {
    let mut analysis = Analysis::new();
    let (mut packed, mut plain) = (vec![0; ANALYSED], Vec::new());
    let (mut corrections, mut read) = (Vec::new(), 0u64);
    while !analysis.has_ended() {
        let filled = read_some(stream, &mut packed)?;
        if filled == 0 {
            return Ok(Err("it ends early"));
        }
        if analysis.write(&packed[..filled], &mut plain).is_err() {
            return Ok(Err("it does not open"));
        }
        plain.clear();
        corrections.extend(analysis.take());
        read += filled as u64;
        let length = corrections.len() as u64;
        if length > read / WORTH + FREE || length > limits::CORRECTIONS_BYTES {
            return Ok(Err("no encoder that sealift knows made anything like it"));
        }
    }
    match analysis.finish() {
        Ok(rest) => corrections.extend(rest),
        Err(_) => return Ok(Err("it does not open")),
    }
    Ok(Ok(corrections))
}

impl Made {
    /// The member, which ends with what stands next in `stream`.
    fn member(
        self,
        stream: &mut impl Read,
        header: Vec<u8>,
        coder: Coder,
        corrections: u64,
        hasher: &mut Hasher,
    ) -> io::Result<Result<Member, &'static str>> {
        let mut found = [0; TRAILER_BYTES];
        if let Err(error) = stream.read_exact(&mut found) {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Ok(Err("it ends early")),
                _ => Err(error),
            };
        }
        let trailer = (header::trailer(&self.crc) != found).then_some(found);
        *hasher = self.hasher;
        let (plain, packed, marks) = (self.plain, self.packed, self.kept);
        Ok(Ok(Member { header, coder, plain, packed, trailer, corrections, marks }))
    }
}

/// How an attempt ended.
enum Verdict {
    /// The engine made every bit.
    Made(Box<Made>),
    /// It makes other bits.
    Other,
    /// There is no way to open the stream.
    Broken(&'static str),
}

/// A member that was made again.
struct Made {
    hasher: Hasher,
    crc: Crc,
    plain: u64,
    packed: u64,
    kept: Vec<Mark>,
}

/// One engine tried on one member.
struct Attempt<'a> {
    /// Starts fresh encoders at marks.
    engine: Option<&'a dyn Engine>,
    encoder: Box<dyn Encoder>,
    out: BitWriter,
    /// What was read of the deflate stream and not made again yet, from `compared` on.
    waiting: Vec<u8>,
    compared: usize,
    /// The last plain bytes that were opened.
    recent: Vec<u8>,
    made: Made,
}

impl<'a> Attempt<'a> {
    fn new(encoder: Box<dyn Encoder>, engine: Option<&'a dyn Engine>, hasher: Hasher) -> Self {
        Self {
            engine,
            encoder,
            out: BitWriter::default(),
            waiting: Vec::new(),
            compared: 0,
            recent: Vec::new(),
            made: Made { hasher, crc: Crc::new(), plain: 0, packed: 0, kept: Vec::new() },
        }
    }

    /// Runs over the member; where that was it, the stream stands behind its last byte.
    fn run<R: Read + Seek>(mut self, stream: &mut R) -> io::Result<Verdict> {
        let mut inflate = Decompress::new(false);
        let mut packed = vec![0; PIECE];
        let (mut filled, mut used) = (0, 0);
        let mut plain = vec![0; PIECE];
        loop {
            if used == filled {
                (filled, used) = (read_some(stream, &mut packed)?, 0);
                if filled == 0 {
                    return Ok(Verdict::Broken("it ends early"));
                }
            }
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status =
                inflate.decompress(&packed[used..filled], &mut plain, FlushDecompress::None);
            let Ok(status) = status else {
                return Ok(Verdict::Broken("it does not open"));
            };
            let eaten = (inflate.total_in() - before_in) as usize;
            let opened = (inflate.total_out() - before_out) as usize;
            self.waiting.extend_from_slice(&packed[used..used + eaten]);
            used += eaten;
            self.take(&plain[..opened]);
            let ends = status == Status::StreamEnd;
            if ends {
                self.encoder.finish(&mut self.out);
                self.out.align();
            }
            if !self.compare() {
                return Ok(Verdict::Other);
            }
            if ends {
                if self.compared != self.waiting.len() {
                    return Ok(Verdict::Other);
                }
                // A piece is far shorter than any i64.
                stream.seek_relative(-((filled - used) as u64).cast_signed())?;
                self.made.packed = inflate.total_in();
                return Ok(Verdict::Made(Box::new(self.made)));
            }
            if status == Status::BufError && eaten == 0 && opened == 0 && used < filled {
                return Ok(Verdict::Broken("it does not open"));
            }
        }
    }

    /// Gives the encoder more plain bytes. At a mark far enough from the last one a fresh encoder
    /// takes over: so the proof covers the very encoders that the far side will start.
    fn take(&mut self, plain: &[u8]) {
        if plain.is_empty() {
            return;
        }
        self.made.hasher.update(plain);
        self.made.crc.update(plain);
        self.made.plain += plain.len() as u64;
        if self.recent.len() + plain.len() > 2 * RECENT {
            self.recent.drain(..self.recent.len() - RECENT);
        }
        self.recent.extend_from_slice(plain);
        self.encoder.write(plain, &mut self.out);
        let begun = self.made.kept.last().map_or(0, |mark| mark.plain);
        let far = |mark: &Mark| mark.plain >= begun + SEGMENT && mark.plain <= self.made.plain;
        let Some(mark) = self.out.take_marks().into_iter().find(far) else { return };
        let behind = (self.made.plain - mark.plain) as usize;
        let Some(at) = self.recent.len().checked_sub(behind) else { return };
        // The mark is past the first window of the stream, so a whole window must be there.
        let Some(from) = at.checked_sub(WINDOW) else { return };
        let history = &self.recent[from..at];
        if let Some(fresh) =
            self.engine.and_then(|engine| engine.resume(mark.plain, history, &mark.state))
            && self.out.rewind(mark.bit)
        {
            self.encoder = fresh;
            self.encoder.write(&self.recent[at..], &mut self.out);
            self.made.kept.push(mark);
        }
    }

    /// Compares what was made with what there is; false where it differs or lags too far behind.
    fn compare(&mut self) -> bool {
        let made = self.out.take();
        let Some(there) = self.waiting[self.compared..].get(..made.len()) else { return false };
        if there != made {
            return false;
        }
        self.compared += made.len();
        if self.compared >= PIECE {
            self.waiting.drain(..self.compared);
            self.compared = 0;
        }
        self.waiting.len() <= LAG
    }
}

/// Reads what is there, at least a byte unless it is the end.
fn read_some(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
