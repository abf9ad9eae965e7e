//! `hosts.toml` for containerd: a mirror for each registry that images came from.
//!
//! containerd asks a mirror for the same path and the same tag below one prefix, so that is all
//! that can be said here (containerd, docs/hosts.md: `override_path`).

use std::collections::BTreeMap;

use super::piece::{About, Known, Piece, Sorted, instead, most_common, prefix, quoted, sort};
use crate::model::ImageName;
use crate::operation::map::Mapped;

/// What can be said of one registry.
struct Mirror {
    registry: String,
    /// Below which its images are; empty, or ends in `/`.
    prefix: String,
    /// How many they are.
    fitting: usize,
    left_out: Vec<String>,
}

/// A piece for each registry that has a mirror. What is said of the others stands in the first.
pub(super) fn hosts(images: &[Mapped], about: &About) -> Vec<Piece> {
    let Sorted { known, ambiguous, mut left_out } = sort(images);
    let mut registries: BTreeMap<&str, Vec<&Known<'_>>> = BTreeMap::new();
    for image in &known {
        registries.entry(image.source.registry()).or_default().push(image);
    }
    let mut mirrors = Vec::new();
    for (registry, own) in &registries {
        match mirror(registry, own, &ambiguous, images) {
            Ok(mirror) => mirrors.push(mirror),
            Err(why) => left_out.push(why),
        }
    }
    for mirror in &mut mirrors {
        let own = format!("{}/", mirror.registry);
        mirror.left_out.extend(left_out.extract_if(.., |what| what.starts_with(&own)));
    }
    match mirrors.first_mut() {
        Some(first) => first.left_out.extend(left_out),
        None => return vec![Piece::opened("", &["There is no mirror to name."], about, left_out)],
    }
    mirrors.into_iter().map(|mirror| write(mirror, about)).collect()
}

/// The mirror for a registry, or why there is none.
fn mirror(
    registry: &str,
    images: &[&Known<'_>],
    ambiguous: &[ImageName],
    all: &[Mapped],
) -> Result<Mirror, String> {
    let none = || format!("{registry}: none of its images keeps its path below a prefix");
    let most = most_common(images.iter().filter_map(|known| prefix(known))).ok_or_else(none)?;
    let (fits, others): (Vec<&Known<'_>>, Vec<&Known<'_>>) =
        images.iter().partition(|known| prefix(known) == Some(most));
    // What does not fit is asked for below the prefix all the same. It must not find another image.
    let host = fits.first().map_or("", |known| known.image.target.registry());
    let named = others.iter().map(|known| (&known.source, Some(known.image.target_digest)));
    let unclear = ambiguous.iter().filter(|name| name.registry() == registry);
    for (asked, own) in named.chain(unclear.map(|name| (name, None))) {
        let place = format!("{host}/{most}{}", asked.repository());
        if let Some(wrong) = instead(all, asked, &place, own) {
            return Err(format!("{registry}: {wrong}"));
        }
    }
    let left_out = others.iter().map(|known| {
        format!("{}: it is {}, and a mirror keeps path and tag", known.source, known.image.target)
    });
    Ok(Mirror {
        registry: registry.to_owned(),
        prefix: most.to_owned(),
        fitting: fits.len(),
        left_out: left_out.collect(),
    })
}

fn write(mirror: Mirror, about: &About) -> Piece {
    let registry = mirror.registry;
    let path = mirror.prefix.trim_end_matches('/');
    let below = if path.is_empty() { String::new() } else { format!(", below {path}") };
    let what = [
        format!(
            "For containerd: {} of {registry} can be had at {}{below}.",
            count(mirror.fitting),
            about.host
        ),
        format!(
            "This file is {registry}/hosts.toml in the folder that config_path of containerd's"
        ),
        "registry plugin names: /etc/containerd/certs.d, usually.".to_owned(),
    ];
    let what: Vec<&str> = what.iter().map(String::as_str).collect();
    let mut piece = Piece::opened("", &what, about, mirror.left_out);
    let server = match registry.as_str() {
        "docker.io" => "registry-1.docker.io",
        other => other,
    };
    piece.line(format!("server = {}", quoted(&format!("https://{server}"))));
    piece.line("");
    let scheme = if about.plain_http { "http" } else { "https" };
    let root = format!("{scheme}://{}", about.host);
    let url = if path.is_empty() { root } else { format!("{root}/v2/{path}") };
    piece.line(format!("[host.{}]", quoted(&url)));
    piece.line("  capabilities = [\"pull\", \"resolve\"]");
    if !path.is_empty() {
        piece.line("  override_path = true");
    }
    piece.folder = registry;
    piece
}

fn count(images: usize) -> String {
    if images == 1 { "1 image".to_owned() } else { format!("{images} images") }
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::{about, mapped};
    use super::*;

    fn body(piece: &Piece) -> String {
        let lines = piece.text.lines().filter(|line| !line.starts_with('#'));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    #[test]
    fn each_registry_has_its_mirror() {
        let images = [
            mapped("nginx:1", "h.example/m/library/nginx:1"),
            mapped("r.example:5000/a:1", "h.example/a:1"),
        ];
        let pieces = hosts(&images, &about());
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0].folder, "docker.io");
        assert_eq!(
            body(&pieces[0]),
            "server = \"https://registry-1.docker.io\"\n\n\
             [host.\"https://h.example/v2/m\"]\n  capabilities = [\"pull\", \"resolve\"]\n  \
             override_path = true\n"
        );
        assert_eq!(pieces[1].folder, "r.example:5000");
        assert_eq!(
            body(&pieces[1]),
            "server = \"https://r.example:5000\"\n\n\
             [host.\"https://h.example\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
        );
        assert!(pieces.iter().all(|piece| piece.left_out.is_empty()));
    }

    #[test]
    fn what_does_not_keep_its_path_is_left_out() {
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/apps/b:1"),
            mapped("r.example/c:1", "h.example/m/c:2"),
            mapped("r.example/d:1", "h.example/m/d:1"),
            mapped("s.example/e:1", "h.example/m/f:1"),
        ];
        let pieces = hosts(&images, &about());
        assert_eq!(pieces.len(), 1);
        assert!(body(&pieces[0]).contains("https://h.example/v2/m"));
        let left_out = pieces[0].left_out.join("\n");
        for name in ["r.example/b:1", "r.example/c:1", "s.example"] {
            assert!(left_out.contains(name), "{left_out}");
        }
        assert_eq!(pieces[0].left_out.len(), 3);
        for what in &pieces[0].left_out {
            assert!(pieces[0].text.contains(&format!("#   {what}\n")));
        }
    }

    #[test]
    fn what_is_left_out_stands_with_its_registry() {
        let images = [
            mapped("a.example/a:1", "h.example/m/a:1"),
            mapped("b.example/b:1", "h.example/m/b:1-linux-amd64"),
            mapped("b.example/b:1", "h.example/m/b:1-linux-arm64"),
            mapped("b.example/c:1", "h.example/m/c:1"),
            mapped("c.example/d:1", "h.example/m/e:1"),
        ];
        let pieces = hosts(&images, &about());
        let left_out: Vec<&[String]> = pieces.iter().map(|piece| &*piece.left_out).collect();
        assert_eq!(left_out[0], ["c.example: none of its images keeps its path below a prefix"]);
        assert_eq!(left_out[1], ["b.example/b:1: it has become 2 images"]);
        let none = hosts(&images[4..], &about());
        assert!(none[0].folder.is_empty() && body(&none[0]).is_empty());
    }

    #[test]
    fn a_mirror_that_would_lie_is_none() {
        // What was s.example/b stands where r.example/b would be looked for.
        let images = [
            mapped("r.example/a:1", "h.example/m/a:1"),
            mapped("r.example/b:1", "h.example/apps/b:1"),
            mapped("s.example/b:1", "h.example/m/b:1"),
        ];
        let pieces = hosts(&images, &about());
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].folder, "s.example");
        assert!(pieces[0].left_out[0].starts_with("r.example: asked for r.example/b:1"));
        // The same where r.example/b has become an image for each of two platforms.
        let split = ["linux-amd64", "linux-arm64"]
            .map(|platform| mapped("r.example/b:1", &format!("h.example/m/b:1-{platform}")));
        let images = [&images[..1], &images[2..], &split[..]].concat();
        let pieces = hosts(&images, &about());
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].folder, "s.example");
    }
}
