//! What no registry of today takes, whatever we may do there.

use std::collections::HashSet;

use super::ledger::{Ledger, Remark};
use crate::endpoint::Parcel;
use crate::model::limits::MANIFEST_BYTES;
use crate::model::{Digest, Graph, Manifest};

/// Looks for manifests that registries refuse: those that are too large, and indexes that name
/// what is not brought. `host` is who would refuse them.
pub(super) fn examine(parcels: &[Parcel], host: &str, ledger: &Ledger) {
    for parcel in parcels {
        let name = || {
            let digest = parcel.graph.root().descriptor.digest;
            parcel.root.name.as_ref().map_or_else(|| digest.to_string(), ToString::to_string)
        };
        for graph in parcel.graphs() {
            let lacking = lacking(graph);
            if lacking > 0 {
                ledger.add(
                    Remark::hindrance(
                        format!("{host} takes no index of which parts are left out: "),
                        name(),
                    )
                    .after(format!(", of which {lacking} are"))
                    .advice("export the image whole, or only one platform of it"),
                );
            }
            if graph.nodes.iter().any(|node| node.descriptor.size > MANIFEST_BYTES) {
                ledger.add(
                    Remark::hindrance(
                        format!("{host} takes no manifest of more than 4 MiB, as there is one in "),
                        name(),
                    )
                    .advice("leave the image out with --image"),
                );
            }
        }
    }
}

/// How many manifests and blobs the indexes of a graph name that are not in it.
fn lacking(graph: &Graph) -> usize {
    let nodes = graph.nodes.iter().map(|node| node.descriptor.digest);
    let leaves = graph.leaves.iter().map(|leaf| leaf.descriptor.digest);
    let omitted = graph.omitted.iter().map(|descriptor| descriptor.digest);
    let there: HashSet<Digest> = nodes.chain(leaves).chain(omitted).collect();
    let named = graph.nodes.iter().filter_map(|node| match &node.manifest {
        Manifest::Index(index) => Some(&index.manifests),
        Manifest::Image(_) => None,
    });
    named.flatten().filter(|child| !there.contains(&child.digest)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Root;
    use crate::model::Descriptor;
    use crate::model::manifest::media;

    #[test]
    fn an_index_without_its_children_is_found() {
        let config = Descriptor::of(media::OCI_CONFIG, b"{}");
        let image = serde_json::json!({"schemaVersion": 2, "config": config, "layers": []});
        let image = image.to_string().into_bytes();
        let child = Descriptor::of(media::OCI_MANIFEST, &image);
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [child]}).to_string();
        let root = Descriptor::of(media::OCI_INDEX, index.as_bytes());
        let graph = Graph::walk(&root, &mut |wanted| {
            Ok(if *wanted == root { index.as_bytes().into() } else { image.clone().into() })
        })
        .unwrap();
        let root = Root {
            name: Some("r.example/app:1".parse().unwrap()),
            descriptor: root,
            synthesized: false,
            from_index: None,
            origin: None,
        };
        let mut parcel =
            Parcel { root, assigned: None, graph, satellites: Vec::new(), plain: Vec::new() };
        let findings = |parcel: &Parcel| {
            let ledger = Ledger::default();
            examine(std::slice::from_ref(parcel), "h.example", &ledger);
            ledger.findings()
        };
        assert_eq!(findings(&parcel), []);
        parcel.graph.nodes.remove(0);
        let found = findings(&parcel);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.ends_with("left out: r.example/app:1, of which 1 are"), "{found:?}");
        if let Some(node) = parcel.graph.nodes.last_mut() {
            node.descriptor.size = MANIFEST_BYTES + 1;
        }
        assert_eq!(findings(&parcel).len(), 2);
    }
}
