//! Where images end up: where they are meant to, else below the prefix as they were.

use crate::endpoint::Parcel;
use crate::model::mapping::{Naming, Subject};
use crate::model::{Error, ImageName, Result};
use crate::transport::naming::tell_apart;

/// The place of one parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its name there, with a tag, or with a digest alone.
    pub(super) name: ImageName,
}

impl Place {
    pub(super) fn repository(&self) -> &str {
        self.name.repository()
    }

    /// The name that is to point to it, if any.
    pub(super) fn tag(&self) -> Option<&ImageName> {
        self.name.tag().map(|_| &self.name)
    }
}

/// The places of all parcels, in their order, and what the user should know about them.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for an image without a name, and where two different
/// images would get one name.
pub(super) fn places(
    host: &str,
    prefix: &str,
    parcels: &[Parcel],
) -> Result<(Vec<Place>, Vec<String>)> {
    let below = Naming::below(host, prefix);
    let mut places = parcels
        .iter()
        .map(|parcel| Ok(Place { name: wanted(&below, parcel)? }))
        .collect::<Result<Vec<_>>>()?;
    let mut names: Vec<Option<ImageName>> =
        places.iter().map(|place| place.tag().cloned()).collect();
    let notes = tell_apart(&mut names, parcels)?;
    for (place, name) in places.iter_mut().zip(names) {
        if let Some(name) = name {
            place.name = name;
        }
    }
    Ok((places, notes))
}

/// Which names images get at the registry `host` below `prefix`, in their order, and what the user
/// should know about it. Asks nobody: it is what a [`RegistryTarget`](super::RegistryTarget) plans.
///
/// # Errors
/// [`Kind::Usage`](crate::model::Kind::Usage) for an image without a name, and where two different
/// images would get one name.
pub fn names(
    host: &str,
    prefix: &str,
    parcels: &[Parcel],
) -> Result<(Vec<ImageName>, Vec<String>)> {
    let (places, notes) = places(host, prefix, parcels)?;
    Ok((places.into_iter().map(|place| place.name).collect(), notes))
}

/// The name that a parcel has at the destination if nothing speaks against it.
fn wanted(below: &Naming, parcel: &Parcel) -> Result<ImageName> {
    let digest = parcel.graph.root().descriptor.digest;
    let name = match &parcel.assigned {
        Some(assigned) => assigned.name.clone(),
        None => below
            .name(&Subject::new(parcel.root.name.as_ref(), &[digest]))?
            .map(|new| new.name)
            .ok_or_else(|| Error::usage(format!("image {digest} has no name")))?,
    };
    if name.tag().is_some() {
        return Ok(name);
    }
    // An image whose layers were compressed for the registry has another digest there.
    ImageName::from_parts(name.registry(), name.repository(), None, Some(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Assigned, Root};
    use crate::model::manifest::media;
    use crate::model::{Descriptor, Digest, Graph, Kind};

    fn parcel(name: Option<&str>, content: &str, from: Option<(&[u8], &str)>) -> Parcel {
        let config = Descriptor::of(media::OCI_CONFIG, content.as_bytes());
        let raw =
            serde_json::json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
        let mut descriptor = Descriptor::of(media::OCI_MANIFEST, raw.as_bytes());
        descriptor.platform = from.map(|(_, platform)| platform.parse().unwrap());
        let graph = Graph::walk(&descriptor, &mut |_| Ok(raw.as_bytes().into())).unwrap();
        let root = Root {
            name: name.map(|name| name.parse().unwrap()),
            descriptor,
            synthesized: false,
            from_index: from.map(|(index, _)| Digest::of(index)),
            origin: None,
        };
        Parcel { root, graph, satellites: Vec::new(), plain: Vec::new(), assigned: None }
    }

    fn names(prefix: &str, parcels: &[Parcel]) -> Result<Vec<String>, Kind> {
        places("h.example:5000", prefix, parcels)
            .map(|(places, _)| places.iter().map(|place| place.name.to_string()).collect())
            .map_err(|error| error.kind())
    }

    #[test]
    fn paths_are_kept_below_the_prefix() {
        let digest = Digest::of(b"x");
        let by_digest = format!("r.example/b@{digest}");
        let parcels = [
            parcel(Some("nginx:1"), "a", None),
            parcel(Some("r.example/team/app:2"), "b", None),
            parcel(Some(&by_digest), "c", None),
        ];
        let found = names("mirror/x", &parcels).unwrap();
        assert_eq!(found[0], "h.example:5000/mirror/x/library/nginx:1");
        assert_eq!(found[1], "h.example:5000/mirror/x/team/app:2");
        let root = parcels[2].graph.root().descriptor.digest;
        assert_eq!(found[2], format!("h.example:5000/mirror/x/b@{root}"));
        assert_eq!(names("", &parcels).unwrap()[0], "h.example:5000/library/nginx:1");
    }

    #[test]
    fn one_name_for_two_images_is_refused() {
        let two =
            [parcel(Some("r.example/a:1"), "a", None), parcel(Some("s.example/a:1"), "b", None)];
        assert_eq!(names("", &two), Err(Kind::Usage));
        let same =
            [parcel(Some("r.example/a:1"), "a", None), parcel(Some("s.example/a:1"), "a", None)];
        assert!(names("", &same).is_ok());
        assert_eq!(names("", &[parcel(None, "a", None)]), Err(Kind::Usage));
        assert_eq!(names("UPPER", &[parcel(Some("a:1"), "a", None)]), Err(Kind::Usage));
    }

    #[test]
    fn what_was_chosen_counts_and_is_told() {
        let digest = Digest::of(b"bundle");
        let chosen = |name: &str, content, to: &str| {
            let rule = Some(format!("{name}={to}"));
            let name = format!("h.example:5000/{to}").parse().unwrap();
            let assigned = Some(Assigned { name, rule });
            Parcel { assigned, ..parcel(Some("r.example/a:1"), content, None) }
        };
        let one = chosen("r.example/a", "a", "apps/a:2");
        assert_eq!(names("m", std::slice::from_ref(&one)).unwrap(), ["h.example:5000/apps/a:2"]);
        // The digest is the one that the image has when it is sent.
        let by_digest = chosen("r.example/a", "a", &format!("apps/a@{digest}"));
        let root = by_digest.graph.root().descriptor.digest;
        assert_eq!(names("m", &[by_digest]).unwrap(), [format!("h.example:5000/apps/a@{root}")]);
        let mut two = [one, parcel(Some("s.example/a:2"), "b", None)];
        let error = places("h.example:5000", "apps", &two).unwrap_err();
        assert!(error.message().contains("by the rule r.example/a=apps/a:2"), "{error}");
        assert!(error.message().contains("s.example/a:2"), "{error}");
        let hint = error.get_hint().unwrap();
        assert!(hint.contains("--map s.example/a:2=s.example/a:2,"), "{hint}");
        assert_eq!(crate::transport::naming::refuse_shared(&two).map_err(|e| e.kind()), Ok(()));
        two[1] = chosen("s.example/a", "b", "apps/a:2");
        let error = crate::transport::naming::refuse_shared(&two).unwrap_err();
        assert!(error.message().contains("by the rule s.example/a=apps/a:2"), "{error}");
    }

    #[test]
    fn platforms_of_one_index_get_tags_of_their_own() {
        let from = |content: &str, platform| {
            parcel(Some("r.example/a:1"), content, Some((b"i", platform)))
        };
        let three =
            [from("a", "linux/amd64"), from("b", "linux/arm/v7"), from("b", "linux/arm/v7")];
        assert_eq!(
            names("", &three).unwrap(),
            [
                "h.example:5000/a:1-linux-amd64",
                "h.example:5000/a:1-linux-arm-v7",
                "h.example:5000/a:1-linux-arm-v7",
            ]
        );
        let (_, notes) = places("h.example:5000", "", &three).unwrap();
        assert_eq!(notes.len(), 1);
        assert_eq!(names("", &three[..1]).unwrap(), ["h.example:5000/a:1"]);
        let taken = parcel(Some("r.example/a:1-linux-amd64"), "z", None);
        let mut four = three.to_vec();
        four.push(taken);
        assert_eq!(names("", &four), Err(Kind::Usage));
        let other = parcel(Some("r.example/a:1"), "c", Some((b"other", "linux/s390x")));
        assert_eq!(names("", &[from("a", "linux/amd64"), other]), Err(Kind::Usage));
    }

    #[test]
    fn windows_versions_are_told_apart() {
        let mut one = parcel(Some("r.example/a:1"), "a", Some((b"i", "windows/amd64")));
        let mut two = parcel(Some("r.example/a:1"), "b", Some((b"i", "windows/amd64")));
        for (parcel, version) in [(&mut one, "10.0.1"), (&mut two, "10.0.2")] {
            if let Some(platform) = &mut parcel.root.descriptor.platform {
                platform.os_version = Some(version.into());
            }
        }
        assert_eq!(
            names("", &[one, two]).unwrap(),
            ["h.example:5000/a:1-windows-amd64-10.0.1", "h.example:5000/a:1-windows-amd64-10.0.2"]
        );
    }
}
