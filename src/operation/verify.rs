//! Verify: is every byte there, and does every image come back whole?
//!
//! Who sealed the bundle is answered before, by [`Bundle::authenticate`]; there is no verifying a
//! bundle that nobody trusted vouches for. Here nothing stops at the first fault: all findings are
//! collected, each with the place where it lies and the images that it hits.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::bundle::{Authentic, Bundle, Finding, Held, Unused};
use crate::endpoint::{Event, How, Progress, Root, Source, Transfers, read_small};
use crate::model::manifest::ImageConfig;
use crate::model::{Digest, Error, Graph, Kind, Manifest, Result, limits};

use super::gather::display_name;

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every byte of the file against the signed digests; nothing is opened.
    Quick,
    /// Also every blob rebuilt and hashed, and every image walked.
    Full,
}

/// Something that is wrong, and whom it hits.
#[derive(Debug)]
pub struct Problem {
    /// Volume, counted from 1.
    pub volume: u64,
    /// Its file; `None` where it is missing.
    pub file: Option<PathBuf>,
    /// Where in the volume, where that can be said.
    pub offset: Option<u64>,
    /// The blobs that are lost.
    pub blobs: Vec<Digest>,
    /// The images that are hit.
    pub images: Vec<String>,
    /// What is wrong.
    pub error: Error,
}

/// An image and whether it can be had from the bundle.
#[derive(Debug)]
pub struct Verdict {
    /// The image.
    pub root: Root,
    /// Whether nothing that belongs to it is hit.
    pub whole: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// How deep it was looked.
    pub depth: Depth,
    /// The images, in the order of the manifest.
    pub images: Vec<Verdict>,
    /// What is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// Blobs that were rebuilt; zero when looked at quickly.
    pub blobs: usize,
    /// Packs that were hashed.
    pub packs: usize,
    /// The only volume that was looked at, where it was one.
    pub volume: Option<u64>,
    /// Files that claim to be a volume too, and were not used.
    pub unused: Vec<Unused>,
    /// The file of the last volume, where the signatures that were judged are in a receipt and not in it.
    pub not_judged: Option<PathBuf>,
}

impl Report {
    /// The kind of failure that all problems together amount to; `None` where there is none.
    pub fn worst(&self) -> Option<Kind> {
        self.problems.iter().map(|problem| problem.error.kind()).min()
    }
}

/// Whether a delta finds in `bases` all that it needs of its base.
///
/// # Errors
/// [`Kind::Damaged`] where it does not: it cannot be looked at whole.
pub fn needs_no_more(bundle: &Bundle<Authentic>, bases: &[Arc<dyn Held>]) -> Result<()> {
    let mut needs = bundle.needs(bundle.contents().index.blobs().iter());
    for held in bases {
        needs = needs.without(&**held);
    }
    let (Some(base), false) = (bundle.contents().manifest.base, needs.is_empty()) else {
        return Ok(());
    };
    Err(Error::damaged(format!(
        "{} is a delta: its images cannot be rebuilt without its base, the bundle {}",
        bundle.title(),
        base.digest
    ))
    .hint("name that bundle with --base; --quick checks signature and stored bytes without it"))
}

/// Looks at a whole bundle with `threads` threads. No temporary files, no writing.
pub fn verify(
    bundle: &Bundle<Authentic>,
    depth: Depth,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Report> {
    let contents = bundle.contents();
    let (copied, bytes) = bundle.copied();
    choose(bundle, &copied, bytes, progress);
    let mut findings = bundle.examine_frame();
    let total = match depth {
        Depth::Quick => contents.manifest.packs.iter().map(|pack| pack.size).sum(),
        Depth::Full => contents.index.blobs().iter().map(|blob| blob.size).sum(),
    };
    let title = match depth {
        Depth::Quick => HASHING,
        Depth::Full => "rebuilding and hashing",
    };
    findings.extend(watched(title, total, progress, |advance| match depth {
        Depth::Quick => bundle.examine_packs(0..bundle.pack_count(), advance),
        Depth::Full => bundle.examine_blobs(threads, advance),
    }));
    let roots = bundle.roots()?;
    let graphs: Vec<Result<Members>> =
        roots.iter().map(|root| members(bundle, root, depth)).collect();
    let mut problems = problems(findings, &roots, &graphs);
    for (root, members) in roots.iter().zip(graphs) {
        let errors = match members {
            Ok(members) => members.problems,
            Err(error) => vec![error],
        };
        for error in errors {
            let name = display_name(root);
            problems.push(Problem {
                volume: contents.manifest.index.volume,
                file: Some(bundle.file_in_use()),
                offset: None,
                blobs: Vec::new(),
                error: error.context(format!("{name} cannot be had whole")),
                images: vec![name],
            });
        }
    }
    let hit: HashSet<&str> =
        problems.iter().flat_map(|problem| &problem.images).map(String::as_str).collect();
    let images = roots
        .into_iter()
        .map(|root| Verdict { whole: !hit.contains(&*display_name(&root)), root })
        .collect();
    let blobs = if depth == Depth::Full { contents.index.blobs().len() } else { 0 };
    let packs = contents.manifest.packs.len();
    let (unused, not_judged) = (bundle.unused_copies(), bundle.not_judged());
    Ok(Report { depth, images, problems, blobs, packs, volume: None, unused, not_judged })
}

/// Looks at the bytes of one volume alone, counted from 1: one that was brought in place of a bad
/// one, say. The others may be missing.
///
/// # Errors
/// [`Kind::Usage`] where the bundle has no such volume.
pub fn verify_volume(
    bundle: &Bundle<Authentic>,
    number: u64,
    progress: &dyn Progress,
) -> Result<Report> {
    let manifest = &bundle.contents().manifest;
    let count = manifest.volumes.len() as u64;
    if !(1..=count).contains(&number) {
        return Err(Error::usage(format!(
            "{} has no volume {number}: it has {count}",
            bundle.title()
        )));
    }
    let packs = bundle.packs_in(number);
    let total = packs.clone().map(|pack| manifest.packs[pack as usize].size).sum();
    let (copied, _) = bundle.copied();
    if copied.contains(&number) {
        choose(bundle, &[number], total, progress);
    }
    let mut findings = bundle.examine_frame_of(number);
    findings.extend(watched(HASHING, total, progress, |advance| {
        bundle.examine_packs_of(number, advance)
    }));
    let roots = bundle.roots()?;
    let graphs: Vec<Result<Members>> =
        roots.iter().map(|root| members(bundle, root, Depth::Quick)).collect();
    Ok(Report {
        depth: Depth::Quick,
        images: Vec::new(),
        problems: problems(findings, &roots, &graphs),
        blobs: 0,
        packs: packs.len(),
        volume: Some(number),
        unused: bundle.unused_copies(),
        not_judged: bundle.not_judged().filter(|_| number == count),
    })
}

/// Of several files that claim to be one volume, chooses one that is whole.
fn choose(bundle: &Bundle<Authentic>, copied: &[u64], bytes: u64, progress: &dyn Progress) {
    if copied.is_empty() {
        return;
    }
    watched("choosing among copies", bytes, progress, |advance| {
        for &number in copied {
            bundle.choose_copy(number, advance);
        }
        Vec::new()
    });
}

/// What is announced of hashing packs.
const HASHING: &str = "hashing";

/// Announces how far an examination is that goes over `total` bytes.
fn watched(
    title: &'static str,
    total: u64,
    progress: &dyn Progress,
    examine: impl FnOnce(&(dyn Fn(u64) + Sync)) -> Vec<Finding>,
) -> Vec<Finding> {
    progress.event(Event::Phase { title, total: Some(total) });
    let transfers = Transfers::new(progress);
    let id = transfers.start(title, Some(total));
    let findings = examine(&|bytes| progress.event(Event::Advanced { id, bytes }));
    transfers.finish(id, if findings.is_empty() { How::Moved } else { How::Failed });
    findings
}

/// Whom the findings hit.
fn problems(findings: Vec<Finding>, roots: &[Root], graphs: &[Result<Members>]) -> Vec<Problem> {
    let mut needed_by: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (at, members) in graphs.iter().enumerate() {
        for &digest in members.iter().flat_map(|members| &members.all) {
            needed_by.entry(digest).or_default().push(at);
        }
    }
    let problem = |Finding { subject: _, volume, file, offset, blobs, error }| {
        let hit: BTreeSet<usize> =
            blobs.iter().filter_map(|digest| needed_by.get(digest)).flatten().copied().collect();
        let images = hit.into_iter().map(|at| display_name(&roots[at])).collect();
        Problem { volume, file, offset, blobs, images, error }
    };
    findings.into_iter().map(problem).collect()
}

/// What an image consists of, and what is wrong with that.
struct Members {
    all: Vec<Digest>,
    problems: Vec<Error>,
}

/// Walks an image and what is attached to it: every descriptor is there with its size, and what the
/// index says that layers open to is what the configuration says. Layers are not opened for it; an
/// import that needs them open checks them as they stream.
fn members(bundle: &Bundle<Authentic>, root: &Root, depth: Depth) -> Result<Members> {
    let index = &bundle.contents().index;
    let mut found = Members { all: Vec::new(), problems: Vec::new() };
    let mut queue = vec![root.descriptor.clone()];
    let mut queued: BTreeSet<Digest> = queue.iter().map(|root| root.digest).collect();
    while let Some(root) = queue.pop() {
        let graph =
            Graph::walk(&root, &mut |wanted| read_small(bundle, wanted, limits::MANIFEST_BYTES))?;
        for leaf in &graph.leaves {
            found.all.push(leaf.descriptor.digest);
            match index.blob(&leaf.descriptor.digest) {
                None => found.problems.push(Error::damaged(format!(
                    "{} is not in the bundle",
                    leaf.descriptor.digest
                ))),
                Some(blob) if blob.size != leaf.descriptor.size => {
                    found.problems.push(Error::malformed(format!(
                        "{} has {} bytes, its manifest says {}",
                        leaf.descriptor.digest, blob.size, leaf.descriptor.size
                    )));
                }
                Some(_) => {}
            }
        }
        for node in &graph.nodes {
            found.all.push(node.descriptor.digest);
            if depth == Depth::Full
                && let Manifest::Image(image) = &node.manifest
            {
                found.problems.extend(diff_ids(bundle, image));
            }
            for attachment in bundle.attachments(&node.descriptor)? {
                if queued.insert(attachment.descriptor.digest) {
                    queue.push(attachment.descriptor);
                }
                if queue.len() > limits::ATTACHMENTS {
                    return Err(Error::malformed(format!(
                        "more than {} artifacts are attached to one image",
                        limits::ATTACHMENTS
                    )));
                }
            }
        }
    }
    Ok(found)
}

/// Layers that open to something else than the configuration says.
fn diff_ids(
    bundle: &Bundle<Authentic>,
    image: &crate::model::manifest::ImageManifest,
) -> Vec<Error> {
    let Some(config) = image.config.as_ref().filter(|_| image.is_image()) else {
        return Vec::new();
    };
    let Ok(bytes) = read_small(bundle, config, limits::CONFIG_BYTES) else { return Vec::new() };
    // Some artifacts borrow the media type of image configurations without being images.
    let Ok(parsed) = ImageConfig::parse(&bytes) else { return Vec::new() };
    if parsed.rootfs.diff_ids.len() != image.layers.len() {
        return Vec::new();
    }
    let plain: HashMap<Digest, Digest> = image
        .layers
        .iter()
        .filter_map(|layer| Some((layer.digest, bundle.plain(&layer.digest)?.digest)))
        .collect();
    let pairs = image.layers.iter().zip(&parsed.rootfs.diff_ids);
    pairs
        .filter_map(|(layer, diff_id)| {
            let packed = ["gzip", "zstd"].iter().any(|form| layer.media_type.ends_with(form));
            let opened = plain.get(&layer.digest).or((!packed).then_some(&layer.digest))?;
            (opened.algorithm() == diff_id.algorithm() && opened != diff_id).then(|| {
                Error::malformed(format!("layer {} opens to {opened}, its configuration says {diff_id}", layer.digest))
                    .hint("the image was like this at its source: no runtime will accept it; rebuild it there")
            })
        })
        .collect()
}
