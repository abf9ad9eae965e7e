//! Finds out what the images of a place consist of, before anything is moved.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::endpoint::{Attachment, AttachmentKind, Parcel, Root, Satellite, Source, read_small};
use crate::model::manifest::ImageConfig;
use crate::model::{Descriptor, Digest, Error, Graph, Manifest, Platform, Result, Role, limits};

/// How many requests for attachments are under way at once.
const ASKING: usize = 6;

/// What is wanted of each image.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only these platforms; empty for everything that a reference names.
    pub platforms: Vec<Platform>,
    /// Whether signatures, attestations and the like travel with their image.
    pub attachments: bool,
}

/// The images of `source`, whole.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where an image has none of the platforms, and
/// whatever the source reports.
pub fn gather(source: &dyn Source, wanted: &Wanted) -> Result<Vec<Parcel>> {
    let mut parcels = Vec::new();
    for root in source.roots()? {
        parcels.extend(gather_root(source, root, wanted)?);
    }
    Ok(parcels)
}

/// One image of `source`, or one for each wanted platform.
pub fn gather_root(source: &dyn Source, root: Root, wanted: &Wanted) -> Result<Vec<Parcel>> {
    let name = display_name(&root);
    let picked = if wanted.platforms.is_empty() {
        vec![root]
    } else {
        pick_platforms(source, root, &wanted.platforms)
            .map_err(|e| e.context(format!("cannot take {name} by platform")))?
    };
    picked
        .into_iter()
        .map(|root| {
            parcel(source, root, wanted.attachments)
                .map_err(|e| e.context(format!("cannot read {name}")))
        })
        .collect()
}

/// What to call an image.
pub fn display_name(root: &Root) -> String {
    root.name.as_ref().map_or_else(|| root.descriptor.digest.to_string(), ToString::to_string)
}

fn walk(source: &dyn Source, root: &Descriptor) -> Result<Graph> {
    Graph::walk(root, &mut |descriptor| read_small(source, descriptor, limits::MANIFEST_BYTES))
}

fn parcel(source: &dyn Source, root: Root, attachments: bool) -> Result<Parcel> {
    let graph = walk(source, &root.descriptor)?;
    let satellites = if attachments { satellites(source, &graph)? } else { Vec::new() };
    let leaves = std::iter::once(&graph)
        .chain(satellites.iter().map(|satellite| &satellite.graph))
        .flat_map(|graph| &graph.leaves);
    let plain = leaves
        .filter(|leaf| leaf.role == Role::Layer)
        .filter_map(|leaf| Some((leaf.descriptor.digest, source.plain(&leaf.descriptor.digest)?)))
        .collect();
    Ok(Parcel { root, graph, satellites, plain, assigned: None })
}

/// Everything attached to the manifests of a graph, and to what is attached, to a depth.
fn satellites(source: &dyn Source, graph: &Graph) -> Result<Vec<Satellite>> {
    let mut found: Vec<Satellite> = Vec::new();
    let mut seen: HashSet<(Digest, Option<String>)> = HashSet::new();
    let mut subjects: Vec<Descriptor> =
        graph.nodes.iter().map(|node| node.descriptor.clone()).collect();
    let mut asked: HashSet<Digest> = subjects.iter().map(|subject| subject.digest).collect();
    for _ in 0..limits::ATTACHMENT_DEPTH {
        let mut next = Vec::new();
        for attachment in ask(source, &subjects)? {
            let tag = match &attachment.kind {
                AttachmentKind::Tag(tag) | AttachmentKind::FallbackIndex(tag) => Some(tag.clone()),
                AttachmentKind::Referrer => None,
            };
            if !seen.insert((attachment.descriptor.digest, tag)) {
                continue;
            }
            if found.len() == limits::ATTACHMENTS {
                return Err(Error::malformed(format!(
                    "more than {} artifacts are attached to one image",
                    limits::ATTACHMENTS
                ))
                .hint(
                    "no real image has so many; export can leave them out with --no-attachments",
                ));
            }
            let graph = walk(source, &attachment.descriptor).map_err(|e| {
                e.context(format!(
                    "cannot read {}, which is attached to {}",
                    attachment.descriptor.digest, attachment.subject
                ))
            })?;
            next.extend(
                graph
                    .nodes
                    .iter()
                    .map(|node| node.descriptor.clone())
                    .filter(|node| asked.insert(node.digest)),
            );
            found.push(Satellite { kind: attachment.kind, subject: attachment.subject, graph });
        }
        if next.is_empty() {
            break;
        }
        subjects = next;
    }
    Ok(found)
}

/// Asks for the attachments of several manifests at once; the answers come in their order.
fn ask(source: &dyn Source, subjects: &[Descriptor]) -> Result<Vec<Attachment>> {
    let threads = if source.is_remote() { ASKING.min(subjects.len()) } else { 1 };
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, subject)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    subjects.get(at).map(|s| (at, s))
                } {
                    let answer = source.attachments(subject);
                    answers
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((at, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    answers.sort_by_key(|(at, _)| *at);
    let mut all = Vec::new();
    for (_, answer) in answers {
        all.extend(answer?);
    }
    Ok(all)
}

/// The children of an index that run on the wanted platforms, as images of their own.
fn pick_platforms(source: &dyn Source, root: Root, platforms: &[Platform]) -> Result<Vec<Root>> {
    let raw = read_small(source, &root.descriptor, limits::MANIFEST_BYTES)?;
    let index = match Manifest::parse(&root.descriptor.media_type, &raw)? {
        Manifest::Index(index) => index,
        Manifest::Image(image) => {
            let config = image.config.filter(|config| {
                crate::model::manifest::media::is_image_config(&config.media_type)
            });
            let own = match config {
                Some(config) => {
                    ImageConfig::parse(&read_small(source, &config, limits::CONFIG_BYTES)?)?
                        .platform()
                }
                None => None,
            };
            return match own {
                Some(own) if !platforms.iter().any(|wish| wish.accepts(&own)) => {
                    Err(Error::usage(format!("the image is for {own} alone"))
                        .hint("leave out --platform for it"))
                }
                _ => Ok(vec![root]),
            };
        }
    };
    let mut picked: Vec<Root> = Vec::new();
    for wish in platforms {
        let before = picked.len();
        for child in &index.manifests {
            let fits = child.is_manifest()
                && child.platform.as_ref().is_some_and(|offered| wish.accepts(offered));
            if fits && picked.iter().all(|known| known.descriptor.digest != child.digest) {
                picked.push(Root {
                    name: root.name.clone(),
                    descriptor: child.clone(),
                    synthesized: false,
                    from_index: Some(root.descriptor.digest),
                    origin: root.origin.clone(),
                });
            }
        }
        if picked.len() == before
            && !picked
                .iter()
                .any(|known| known.descriptor.platform.as_ref().is_some_and(|p| wish.accepts(p)))
        {
            let offered: Vec<String> = index
                .manifests
                .iter()
                .filter_map(|child| child.platform.as_ref())
                .filter(|p| !p.is_unknown())
                .map(ToString::to_string)
                .collect();
            return Err(Error::usage(format!("there is no image for {wish}"))
                .hint(format!("it is there for {}", offered.join(", "))));
        }
    }
    Ok(picked)
}
