//! A shell script for machines with docker: pulls the new names, gives back the old ones.

use super::piece::{About, Piece, Sorted, sort, untagged};
use crate::model::shell::quoted;
use crate::operation::map::Mapped;

/// The script. Images are pulled by their digests, so they are those of the bundle, whatever the
/// tag at the registry has become. It goes on after a failure, and fails at its end.
pub(super) fn script(images: &[Mapped], about: &About) -> Piece {
    let Sorted { known, mut left_out, .. } = sort(images);
    let mut lines = Vec::new();
    for known in known {
        if !known.image.runnable {
            left_out.push(format!("{}: it is no container image", known.source));
        } else if known.source.tag().is_none() {
            left_out.push(format!("{}: docker gives no image a name with a digest", known.source));
        } else {
            let new = format!("{}@{}", untagged(known.image), known.image.target_digest);
            let (new, old) = (quoted(&new).into_owned(), known.source.to_string());
            let old = quoted(&old);
            lines.push(format!("docker pull {new} && docker tag {new} {old} || failed=yes"));
        }
    }
    let what =
        format!("Pulls images from {} and gives them the names that they had.", about.target);
    let mut piece = Piece::opened("#!/bin/sh", &[&what], about, left_out);
    piece.line("failed=");
    for line in lines {
        piece.line(line);
    }
    piece.line("test -z \"$failed\"");
    piece
}

#[cfg(test)]
mod tests {
    use super::super::piece::tests::{about, mapped};
    use super::*;

    #[test]
    fn each_image_has_its_line() {
        let mut artifact = mapped("r.example/chart:1", "h.example/m/chart:1");
        artifact.runnable = false;
        let images = [mapped("nginx:1", "h.example/m/library/nginx:1"), artifact];
        let piece = script(&images, &about());
        let new = format!("h.example/m/library/nginx@{}", images[0].digest);
        let lines: Vec<&str> = piece.text.lines().collect();
        assert_eq!(lines[0], "#!/bin/sh");
        assert!(lines.contains(&&*format!(
            "docker pull {new} && docker tag {new} docker.io/library/nginx:1 || failed=yes"
        )));
        assert_eq!(lines.last(), Some(&"test -z \"$failed\""));
        assert_eq!(piece.left_out, ["r.example/chart:1: it is no container image"]);
        assert!(lines.contains(&"#   r.example/chart:1: it is no container image"));
    }
}
