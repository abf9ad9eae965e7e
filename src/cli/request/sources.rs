//! The places that images come from, as they are named on the command line.

use std::collections::BTreeSet;
use std::path::Path;

use super::faults::Faults;
use crate::model::{ImageName, Location};

/// The places; those that cannot be meant are noted.
pub(super) fn sources(texts: &[String], faults: &mut Faults) -> Vec<Location> {
    texts.iter().filter_map(|text| faults.some(text.parse())).collect()
}

/// The registries among them.
pub(super) fn registries(sources: &[Location]) -> BTreeSet<String> {
    let of_registries = sources.iter().filter_map(|source| match source {
        Location::Registry(name) => Some(name.registry().to_owned()),
        _ => None,
    });
    of_registries.collect()
}

/// What a bundle of these could be called.
pub(super) fn bundle_name(sources: &[Location]) -> String {
    let last = |name: &ImageName| name.repository().rsplit('/').next().map(str::to_owned);
    let stem = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let of_source = |source: &Location| match source {
        Location::Registry(name) => last(name),
        Location::DockerDaemon(name) => last(&name.parse().ok()?),
        Location::OciLayout(path, _)
        | Location::OciArchive(path, _)
        | Location::DockerArchive(path, _) => stem(path),
    };
    let name = sources.first().and_then(of_source).unwrap_or_else(|| "images".to_owned());
    format!("{name}.sealift")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_called_after_its_first_image() {
        for (source, name) in [
            ("registry.example/team/app:1.2", "app.sealift"),
            ("nginx", "nginx.sealift"),
            ("docker-daemon:tool:3", "tool.sealift"),
            ("docker-daemon:UPPER", "images.sealift"),
            ("oci:a/images", "images.sealift"),
            ("oci-archive:b/app.tar:1", "app.sealift"),
        ] {
            assert_eq!(bundle_name(&[source.parse().unwrap()]), name, "{source}");
        }
        assert_eq!(bundle_name(&[]), "images.sealift");
    }

    #[test]
    fn places_that_cannot_be_meant_are_told_together() {
        let mut faults = Faults::default();
        let texts = ["UPPER", "h.example:5000/a", "https://x"].map(str::to_owned);
        let sources = sources(&texts, &mut faults);
        assert_eq!(registries(&sources), ["h.example:5000".to_owned()].into());
        assert_eq!(faults.none().unwrap_err().get_parts().len(), 2);
    }
}
