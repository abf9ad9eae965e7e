//! The transfer loop in miniature: everything through memory, one blob at a time.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use sealift::codec::checked::{HashingReader, VerifiedReader, read_bounded};
use sealift::codec::compression;
use sealift::endpoint::{
    Action, Fed, Feed, Form, Intake, Origin, Parcel, Plain, Plan, Root, Satellite, Source, Target,
    read_small,
};
use sealift::model::{Algorithm, Descriptor, Digest, Error, Graph, Result, Role};

/// Images and all their blobs.
#[derive(Default)]
pub(crate) struct Cargo {
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
}

/// What a delivery did.
pub(crate) struct Delivered {
    pub(crate) plan: Plan,
    /// Bytes of blobs that were sent.
    pub(crate) sent: u64,
    /// How often everything had to be sent again.
    pub(crate) again: usize,
}

impl Cargo {
    /// Takes everything from either sort of place.
    pub(crate) fn load(origin: Origin) -> Result<Self> {
        match origin {
            Origin::Source(source) => Self::from_source(source.as_ref()),
            Origin::Feed(mut feed) => Self::from_feed(feed.as_mut()),
        }
    }

    pub(crate) fn from_source(source: &dyn Source) -> Result<Self> {
        let mut cargo = Self::default();
        for root in source.roots()? {
            let graph = walk(source, &root.descriptor)?;
            let mut satellites = Vec::new();
            for node in &graph.nodes {
                for attachment in source.attachments(&node.descriptor)? {
                    let graph = walk(source, &attachment.descriptor)?;
                    let (kind, subject) = (attachment.kind, attachment.subject);
                    satellites.push(Satellite { kind, subject, graph });
                }
            }
            let parcel = Parcel { root, graph, satellites, plain: Vec::new(), assigned: None };
            for leaf in parcel.graphs().flat_map(|graph| &graph.leaves) {
                let descriptor = &leaf.descriptor;
                let reader = source.open(descriptor, Form::Exact)?;
                let reader =
                    VerifiedReader::new(reader, descriptor.digest, descriptor.size, "test");
                let bytes = read_bounded(reader, descriptor.size, "blob")?;
                cargo.blobs.insert(descriptor.digest, bytes);
            }
            cargo.parcels.push(parcel);
        }
        cargo.learn_plain_forms();
        Ok(cargo)
    }

    pub(crate) fn from_feed(feed: &mut dyn Feed) -> Result<Self> {
        let mut cargo = Self::default();
        for fed in feed.run(&mut cargo)? {
            let Fed { root, manifests, documents } = fed;
            let graph = Graph::walk(&root.descriptor, &mut |wanted| {
                let found = manifests.iter().find(|(d, _)| d.digest == wanted.digest);
                found.map(|(_, raw)| raw.clone()).ok_or_else(|| Error::damaged("no manifest"))
            })?;
            for (descriptor, bytes) in documents {
                cargo.blobs.insert(descriptor.digest, bytes.to_vec());
            }
            cargo.add(root, graph)?;
        }
        cargo.learn_plain_forms();
        Ok(cargo)
    }

    fn add(&mut self, root: Root, graph: Graph) -> Result<()> {
        for leaf in &graph.leaves {
            let digest = leaf.descriptor.digest;
            let found = self.blobs.get(&digest).map(|bytes| bytes.len() as u64);
            if found != Some(leaf.descriptor.size) {
                return Err(Error::damaged(format!("{digest} did not come whole: {found:?}")));
            }
        }
        self.parcels.push(Parcel {
            root,
            graph,
            satellites: Vec::new(),
            plain: Vec::new(),
            assigned: None,
        });
        Ok(())
    }

    fn learn_plain_forms(&mut self) {
        for parcel in &mut self.parcels {
            let layers = parcel.graph.leaves.iter().filter(|leaf| leaf.role == Role::Layer);
            let plain = |digest: &Digest| {
                let (_, reader) = compression::open_detected(&self.blobs[digest][..]).unwrap();
                let mut reader = HashingReader::new(reader, Algorithm::Sha256);
                std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
                let (digest, size) = reader.finish();
                Plain { digest, size }
            };
            parcel.plain =
                layers.map(|l| (l.descriptor.digest, plain(&l.descriptor.digest))).collect();
        }
    }

    /// Brings everything to a target, as `operation::copy` does.
    pub(crate) fn deliver(&self, target: &dyn Target) -> Result<Delivered> {
        self.carry_out(target, target.plan(&self.parcels)?)
    }

    /// The same with a plan that was made before.
    pub(crate) fn carry_out(&self, target: &dyn Target, mut plan: Plan) -> Result<Delivered> {
        let mut sent = 0;
        let mut again = 0;
        loop {
            target.begin(&plan)?;
            for step in plan.blobs.iter().filter(|step| step.action == Action::Send) {
                target.put_blob(step, &mut || Ok(self.open(&step.descriptor, step.form)))?;
                sent += step.bytes;
            }
            for step in plan.manifests.iter().filter(|step| step.action == Action::Send) {
                target.put_manifest(step)?;
            }
            let Some(next) = target.settle(&plan)? else { break };
            plan = next;
            again += 1;
        }
        for step in plan.tags.iter().filter(|step| step.action == Action::Send) {
            target.put_tag(step)?;
        }
        target.finish(&plan)?;
        Ok(Delivered { plan, sent, again })
    }

    fn open(&self, blob: &Descriptor, form: Form) -> Box<dyn Read + Send> {
        let bytes = self.blobs[&blob.digest].clone();
        match form {
            Form::Exact => {
                let (digest, size) = (blob.digest, blob.size);
                Box::new(VerifiedReader::new(Cursor::new(bytes), digest, size, "test"))
            }
            Form::Plain => {
                let (_, reader) = compression::open_detected(Cursor::new(bytes)).unwrap();
                reader
            }
        }
    }

    /// The names of the images, `-` for one without.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |parcel: &Parcel| {
            parcel.root.name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        self.parcels.iter().map(name).collect()
    }
}

fn walk(source: &dyn Source, root: &Descriptor) -> Result<Graph> {
    Graph::walk(root, &mut |descriptor| -> Result<Arc<[u8]>> {
        read_small(source, descriptor, sealift::model::limits::MANIFEST_BYTES)
    })
}

impl Intake for Cargo {
    fn blob(
        &mut self,
        label: &str,
        expected: Option<Digest>,
        size: u64,
        _: bool,
        content: &mut dyn Read,
    ) -> Result<Digest> {
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|e| Error::from_io(format!("cannot read {label}"), e))?;
        assert_eq!(bytes.len() as u64, size, "{label} came with another length than announced");
        let digest = expected.map_or_else(|| Digest::of(&bytes), |e| e.of_same_kind(&bytes));
        self.blobs.insert(digest, bytes);
        Ok(digest)
    }
}
