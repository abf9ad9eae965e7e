//! Names that two registries would share at the target.
//!
//! Who may sign what is said by names at the source, and a target that is a registry drops the
//! registry from them. Where keys are limited to repositories of several registries, somebody who may
//! sign `carl.example/team/app` would then put another image under the name of
//! `registry.example/team/app`, which he may not sign.

use crate::endpoint::Parcel;
use crate::model::mapping::Subject;
use crate::model::{Error, ImageName, Naming, Result};
use crate::trust::{Signer, Trust};

/// Makes sure that no image gets a name that one of the same path at another registry would get,
/// unless its signers may sign that one too, or a rule speaks of its registry.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage), with a rule that tells them apart.
pub(super) fn refuse_twins(
    parcels: &[Parcel],
    naming: &Naming,
    trust: &Trust,
    signers: &[Signer],
) -> Result<()> {
    let registries = trust.limiting_registries();
    if registries.len() < 2 {
        return Ok(());
    }
    for parcel in parcels {
        // What has no tag is filed under its digest.
        let Some(name) = parcel.root.name.as_ref().filter(|name| name.tag().is_some()) else {
            continue;
        };
        let digests = [parcel.root.descriptor.digest];
        let Some(new) = naming.name(&Subject::new(Some(name), &digests))? else { continue };
        if new.rule.is_some_and(|rule| !rule.is_for_everything()) {
            continue;
        }
        for other in registries.iter().filter(|other| **other != name.registry()) {
            let twin = ImageName::from_parts(other, name.repository(), name.tag(), None);
            let Ok(twin) = twin else { continue };
            // Where it cannot have a name, it has not this one.
            let Ok(Some(shared)) = naming.name(&Subject::new(Some(&twin), &[])) else { continue };
            if shared.name == new.name && !trust.may_sign(signers, &twin) {
                return Err(shares(name, &twin, &new.name));
            }
        }
    }
    Ok(())
}

fn shares(name: &ImageName, twin: &ImageName, new: &ImageName) -> Error {
    let rule = Naming::keeping_registry(name);
    Error::usage(format!(
        "{name} would become {new}, and so would {twin}, which its signers may not sign"
    ))
    .hint(format!(
        "keep the registry in the name, as with --map {rule}; or say in another rule for {}/ what its images are to be called",
        name.registry()
    ))
}
