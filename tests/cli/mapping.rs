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
    insta::assert_snapshot!(said_to(&["registry.example/app"]), @"");
}

#[test]
fn a_star_inside() {
    insta::assert_snapshot!(said_to(&["registry.example/*=apps/"]), @"");
}

#[test]
fn many_repositories_for_one_name() {
    insta::assert_snapshot!(said_to(&["registry.example/team/=apps"]), @"");
}

#[test]
fn a_placeholder_that_nobody_knows() {
    insta::assert_snapshot!(said_to(&["*={host}/{repository}"]), @"");
}

#[test]
fn no_name_at_all() {
    insta::assert_snapshot!(said_to(&["registry.example/app=Apps/App"]), @"");
}

#[test]
fn another_host() {
    insta::assert_snapshot!(said_to(&["registry.example/app=other.example:5000/app"]), @"");
    insta::assert_snapshot!(said_to(&["registry.example/=harbor.example/apps/"]), @"");
}

#[test]
fn a_place_instead_of_a_name() {
    insta::assert_snapshot!(said_to(&["registry.example/app=oci://x/y"]), @"");
}

#[test]
fn a_digest_instead_of_a_name() {
    insta::assert_snapshot!(said_to(&["registry.example/app=app@sha256:00"]), @"");
}

#[test]
fn two_rules_for_the_same() {
    insta::assert_snapshot!(said_to(&["nginx=web/a", "docker.io/library/nginx=web/b"]), @"");
}

#[test]
fn leaving_a_prefix_that_is_none() {
    insta::assert_snapshot!(said_at("oci:layout", &["registry.example/=/apps/"]), @"");
}

#[test]
fn a_line_of_a_file() {
    let home = home();
    std::fs::write(home.path().join("names.txt"), "# names\n\nregistry.example/app -> apps/app\n")
        .unwrap();
    let line = ["import", "b", "-k", "k", "--to", "harbor.example", "--map-file", "names.txt"];
    let (code, text) = refused(&home, &line);
    assert_eq!(code, 2);
    insta::assert_snapshot!(text, @"");
    let line = ["map", "b", "-k", "k", "--to", "harbor.example", "--map-file", "gone.txt"];
    let (code, text) = refused(&home, &line);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text, @"");
}
