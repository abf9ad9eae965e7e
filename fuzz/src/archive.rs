//! Image archives, whatever wrote them.

use std::io::Read;

use sealift::endpoint::{Form, Intake, Origin, Source, read_small};
use sealift::model::{Digest, Error, Graph, Result, limits};
use sealift::transport::archive::{ArchiveKind, open};

use super::scratch;

/// Bytes of one blob that are read: claims are larger than what is there.
const MOST: u64 = 4 << 20;

struct Reads;

impl Intake for Reads {
    fn blob(
        &mut self,
        label: &str,
        expected: Option<Digest>,
        _: u64,
        _: bool,
        content: &mut dyn Read,
    ) -> Result<Digest> {
        let mut bytes = Vec::new();
        content
            .take(MOST)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::from_io(format!("cannot read {label}"), e))?;
        let digest = Digest::of(&bytes);
        Ok(expected.unwrap_or(digest))
    }
}

fn look(source: &dyn Source) {
    for root in source.roots().into_iter().flatten() {
        let graph = Graph::walk(&root.descriptor, &mut |descriptor| {
            read_small(source, descriptor, limits::MANIFEST_BYTES)
        });
        let Ok(graph) = graph else { continue };
        let _ = source.attachments(&root.descriptor);
        for leaf in &graph.leaves {
            for form in [Form::Exact, Form::Plain] {
                if let Ok(reader) = source.open(&leaf.descriptor, form) {
                    let _ = reader.take(MOST).read_to_end(&mut Vec::new());
                }
            }
        }
    }
}

/// Any bytes as an archive of either kind, plain or compressed as a whole.
pub fn archive(data: &[u8]) {
    let path = scratch::file("archive", data);
    for kind in [ArchiveKind::Docker, ArchiveKind::Oci] {
        for which in [None, Some("h.example/app:1")] {
            match open(&path, kind, which) {
                Ok(Origin::Source(source)) => look(&*source),
                Ok(Origin::Feed(mut feed)) => {
                    let _ = feed.announce();
                    let _ = feed.run(&mut Reads);
                }
                Err(_) => {}
            }
        }
    }
}
