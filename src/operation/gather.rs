//! Finds out what the images of a place consist of, before anything is moved.

use std::collections::HashSet;

use crate::codec::lanes::in_order;
use crate::endpoint::{Attachment, AttachmentKind, Parcel, Root, Satellite, Source, read_small};
use crate::model::manifest::ImageConfig;
use crate::model::{Descriptor, Digest, Error, Graph, Manifest, Platform, Result, Role, limits};

/// How many requests are under way at once.
const ASKING: usize = 6;

/// What is wanted of each image.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only these platforms; empty for everything that a reference names.
    pub platforms: Vec<Platform>,
    /// Whether signatures, attestations and the like travel with their image.
    pub attachments: bool,
}

/// The images of each source, whole. Where sources are far, several are asked at once.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) where an image has none of the platforms, and
/// whatever the sources report; of several failures, that of the first source.
pub fn gather<'a>(
    sources: impl Iterator<Item = &'a dyn Source>,
    wanted: &Wanted,
) -> Result<Vec<Vec<Parcel>>> {
    let sources: Vec<&dyn Source> = sources.collect();
    let far = sources.iter().any(|source| source.is_remote());
    let lanes = if far { ASKING.min(sources.len()) } else { 1 };
    let asking = ASKING / lanes.max(1);
    in_order(&sources, lanes, |source| {
        let mut parcels = Vec::new();
        for root in source.roots()? {
            parcels.extend(parcels_of(*source, root, wanted, asking)?);
        }
        Ok(parcels)
    })
}

/// One image of `source`, or one for each wanted platform.
pub fn gather_root(source: &dyn Source, root: Root, wanted: &Wanted) -> Result<Vec<Parcel>> {
    parcels_of(source, root, wanted, ASKING)
}

/// The same with so many requests at once.
fn parcels_of(
    source: &dyn Source,
    root: Root,
    wanted: &Wanted,
    asking: usize,
) -> Result<Vec<Parcel>> {
    let name = display_name(&root);
    let picked = if wanted.platforms.is_empty() {
        vec![root]
    } else {
        pick_platforms(source, root, &wanted.platforms)
            .map_err(|e| e.context(format!("cannot take {name} by platform")))?
    };
    let asking = if wanted.attachments { asking } else { 0 };
    picked
        .into_iter()
        .map(|root| {
            parcel(source, root, asking).map_err(|e| e.context(format!("cannot read {name}")))
        })
        .collect()
}

/// What to call an image.
pub fn display_name(root: &Root) -> String {
    root.name.as_ref().map_or_else(|| root.descriptor.digest.to_string(), ToString::to_string)
}

/// The graph of an image.
pub(super) fn walk(source: &dyn Source, root: &Descriptor) -> Result<Graph> {
    Graph::walk(root, &mut |descriptor| read_small(source, descriptor, limits::MANIFEST_BYTES))
}

/// One image, with what is attached to it where anything is to be asked.
fn parcel(source: &dyn Source, root: Root, asking: usize) -> Result<Parcel> {
    let graph = walk(source, &root.descriptor)?;
    let satellites = if asking > 0 { satellites(source, &graph, asking)? } else { Vec::new() };
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
fn satellites(source: &dyn Source, graph: &Graph, asking: usize) -> Result<Vec<Satellite>> {
    let mut found: Vec<Satellite> = Vec::new();
    let mut seen: HashSet<(Digest, Option<String>)> = HashSet::new();
    let mut subjects: Vec<Descriptor> =
        graph.nodes.iter().map(|node| node.descriptor.clone()).collect();
    let mut asked: HashSet<Digest> = subjects.iter().map(|subject| subject.digest).collect();
    for _ in 0..limits::ATTACHMENT_DEPTH {
        let mut next = Vec::new();
        for attachment in ask(source, &subjects, asking)? {
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
fn ask(source: &dyn Source, subjects: &[Descriptor], asking: usize) -> Result<Vec<Attachment>> {
    let lanes = if source.is_remote() { asking } else { 1 };
    let answers = in_order(subjects, lanes, |subject| source.attachments(subject))?;
    Ok(answers.into_iter().flatten().collect())
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
