//! Rules for names that are refused before the bundle is opened.

use crate::refusals::{home, refused};

/// What is said to a rule for a registry.
fn said_to(rules: &[&str]) -> String {
    said_at("harbor.example/mirror", rules)
}

fn said_at(target: &str, rules: &[&str]) -> String {
    let rules = rules.iter().flat_map(|rule| ["--map", rule]);
    let line: Vec<&str> =
        ["import", "b", "-k", "k", "--to", target].into_iter().chain(rules).collect();
    let (code, text) = refused(&home(), &line);
    assert_eq!(code, 2, "{text}");
    // The same rule means the same to map.
    if target.starts_with("harbor") {
        let line: Vec<&str> = std::iter::once("map").chain(line.into_iter().skip(1)).collect();
        assert_eq!(refused(&home(), &line), (2, text.clone()));
    }
    text
}

#[test]
fn no_equals_sign() {
    insta::assert_snapshot!(said_to(&["registry.example/app"]), @r#"
    error: the rule "registry.example/app" cannot be meant
      caused by: there is no = in it
      hint: write it as FROM=TO, for example registry.example/team/=apps/
    "#);
}

#[test]
fn a_star_inside() {
    insta::assert_snapshot!(said_to(&["registry.example/*=apps/"]), @r#"
    error: the rule "registry.example/*=apps/" cannot be meant
      caused by: * stands for everything, and for nothing less
      hint: for all that is below a path, end it with /, as in registry.example/team/
    "#);
}

#[test]
fn many_repositories_for_one_name() {
    insta::assert_snapshot!(said_to(&["registry.example/team/=apps"]), @r#"
    error: the rule "registry.example/team/=apps" cannot be meant
      caused by: it would give many repositories one name
      hint: end TO with / to keep paths below it, or use {repository} or {name}
    "#);
}

#[test]
fn a_placeholder_that_nobody_knows() {
    insta::assert_snapshot!(said_to(&["*={host}/{repository}"]), @r#"
    error: the rule "*={host}/{repository}" cannot be meant
      caused by: {host} stands for nothing
      hint: placeholders are {registry}, {repository}, {name} and {tag}
    "#);
}

#[test]
fn no_name_at_all() {
    insta::assert_snapshot!(said_to(&["registry.example/app=Apps/App"]), @r#"
    error: the rule "registry.example/app=Apps/App" cannot be meant
      caused by: "Apps/App" makes no valid name
      hint: names are small letters, digits and . _ - between them, parts are set off by /, and a tag follows a colon
    "#);
}

#[test]
fn another_host() {
    insta::assert_snapshot!(said_to(&["registry.example/app=other.example:5000/app"]), @r"
    error: the rule registry.example/app=other.example:5000/app names the host other.example:5000, and TO is a name below harbor.example/mirror
      hint: leave the host out; a TO that begins with / leaves the prefix of --to, and another host needs an import of its own
    ");
    insta::assert_snapshot!(said_to(&["registry.example/=harbor.example/apps/"]), @r"
    error: the rule registry.example/=harbor.example/apps/ names the host harbor.example, and TO is a name below harbor.example/mirror
      hint: leave the host out; a TO that begins with / leaves the prefix of --to, and another host needs an import of its own
    ");
}

#[test]
fn a_place_instead_of_a_name() {
    insta::assert_snapshot!(said_to(&["registry.example/app=oci://x/y"]), @r#"
    error: the rule "registry.example/app=oci://x/y" cannot be meant
      caused by: "oci://x/y" is a place, and TO is a name
      hint: the place is what --to names; TO is a path below it
    "#);
}

#[test]
fn a_digest_instead_of_a_name() {
    insta::assert_snapshot!(said_to(&["registry.example/app=app@sha256:00"]), @r#"
    error: the rule "registry.example/app=app@sha256:00" cannot be meant
      caused by: a digest cannot be chosen
      hint: leave out what begins with @: images keep their digests wherever they go
    "#);
}

#[test]
fn two_rules_for_the_same() {
    insta::assert_snapshot!(said_to(&["nginx=web/a", "docker.io/library/nginx=web/b"]), @r"
    error: two rules are for the same images: nginx=web/a and docker.io/library/nginx=web/b
      hint: keep one of them
    ");
}

#[test]
fn leaving_a_prefix_that_is_none() {
    insta::assert_snapshot!(said_at("oci:layout", &["registry.example/=/apps/"]), @r"
    error: the rule registry.example/=/apps/ leaves the prefix of a registry, and this target is none
      hint: write the whole name, as in registry.example/app
    ");
}

#[test]
fn a_line_of_a_file() {
    let home = home();
    std::fs::write(home.path().join("names.txt"), "# names\n\nregistry.example/app -> apps/app\n")
        .unwrap();
    let line = ["import", "b", "-k", "k", "--to", "harbor.example", "--map-file", "names.txt"];
    let (code, text) = refused(&home, &line);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @r#"
    error: the rule "registry.example/app -> apps/app" in names.txt, line 3 cannot be meant
      caused by: there is no = in it
      hint: write it as FROM=TO, for example registry.example/team/=apps/
    "#);
    let line = ["map", "b", "-k", "k", "--to", "harbor.example", "--map-file", "gone.txt"];
    let (code, text) = refused(&home, &line);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text, @r"
    error: cannot read gone.txt
      caused by: No such file or directory (os error 2)
    ");
}
