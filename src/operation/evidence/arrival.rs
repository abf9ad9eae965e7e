//! What a place holds after an import, as its receipt says it.

use std::collections::BTreeSet;

use super::case::Surroundings;
use crate::bundle::{Amount, Authentic, Bundle, Landed, Statement};
use crate::endpoint::{Action, Plan};
use crate::model::{Digest, ImageName};

/// What an import of `bundle` to `destination` has brought, by its plan and by what the place had
/// under the name of each image afterwards.
///
/// A blob counts as held if the place has it with the digest that it has in the bundle: not a layer
/// that was compressed on the way, and nothing that the place takes no part in.
pub fn statement(
    bundle: &Bundle<Authentic>,
    plan: &Plan,
    read_back: &[Option<Digest>],
    destination: &str,
    around: &Surroundings<'_>,
) -> Statement {
    let amount = |wanted: fn(&Action) -> bool| {
        let steps = plan.blobs.iter().filter(|step| wanted(&step.action));
        steps.fold(Amount::default(), |sum, step| Amount {
            blobs: sum.blobs + 1,
            bytes: sum.bytes + step.bytes,
        })
    };
    let index = &bundle.contents().index;
    let blobs = plan.blobs.iter().map(|step| step.descriptor.digest);
    let manifests = plan.manifests.iter().map(|step| step.descriptor.digest);
    let held: BTreeSet<Digest> =
        blobs.chain(manifests).filter(|digest| index.blob(digest).is_some()).collect();
    let already = |target: &str, digest: &Digest| {
        // A daemon shows names in their short form.
        let is_its = |name: &ImageName| name.to_string() == target || name.familiar() == target;
        let tag = plan.tags.iter().find(|tag| is_its(&tag.name)).map(|tag| &tag.action);
        let mut manifests = plan.manifests.iter().filter(|step| step.descriptor.digest == *digest);
        let named = tag.or_else(|| manifests.next().map(|step| &step.action));
        named == Some(&Action::Present)
    };
    let images = plan.arrivals.iter().enumerate().map(|(number, arrival)| Landed {
        image: arrival.image.clone(),
        digest: arrival.digest,
        target: arrival.target.clone(),
        target_digest: arrival.target_digest,
        read_back: read_back.get(number).copied().flatten(),
        already: already(&arrival.target, &arrival.target_digest),
    });
    Statement {
        bundle: bundle.digest(),
        imported: around.when,
        generator: around.program.to_owned(),
        machine: around.machine.map(str::to_owned),
        destination: destination.to_owned(),
        images: images.collect(),
        sent: amount(|action| *action == Action::Send),
        present: amount(|action| *action == Action::Present),
        linked: amount(|action| matches!(action, Action::Mount { .. })),
        blobs: held.into_iter().collect(),
    }
}
