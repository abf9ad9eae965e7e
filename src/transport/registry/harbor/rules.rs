//! Rules that keep tags where they point (`GET /projects/NAME/immutabletagrules`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::glob;

/// One rule of a project. It counts where the first selector of each sort fits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(in crate::transport::registry) struct Rule {
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    tag_selectors: Vec<Selector>,
    #[serde(default)]
    scope_selectors: BTreeMap<String, Vec<Selector>>,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Selector {
    decoration: String,
    pattern: String,
}

impl Rule {
    /// Whether the rule keeps a tag of a repository, which is named without its project.
    pub(in crate::transport::registry) fn keeps(&self, repository: &str, tag: &str) -> bool {
        let scope = self.scope_selectors.get("repository").and_then(|list| list.first());
        !self.disabled
            && scope.is_some_and(|scope| scope.selects(repository))
            && self.tag_selectors.first().is_some_and(|selector| selector.selects(tag))
    }
}

impl Selector {
    /// A pattern that we cannot read counts: better a tag that is looked at by a person than one
    /// that is refused after hours of sending.
    fn selects(&self, text: &str) -> bool {
        match self.decoration.as_str() {
            "matches" | "repoMatches" => glob::fits(&self.pattern, text).unwrap_or(true),
            "excludes" | "repoExcludes" => !glob::fits(&self.pattern, text).unwrap_or(false),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_keeps_what_both_selectors_select() {
        let rule = |tags: (&str, &str), repository: (&str, &str), disabled: bool| -> Rule {
            serde_json::from_value(serde_json::json!({
                "id": 1, "project_id": 2, "action": "immutable", "template": "immutable_template",
                "disabled": disabled,
                "tag_selectors": [{"kind": "doublestar", "decoration": tags.0, "pattern": tags.1}],
                "scope_selectors": {"repository": [
                    {"kind": "doublestar", "decoration": repository.0, "pattern": repository.1}
                ]},
            }))
            .unwrap()
        };
        let all = ("repoMatches", "**");
        assert!(rule(("matches", "v*"), all, false).keeps("team/app", "v1"));
        assert!(!rule(("matches", "v*"), all, false).keeps("app", "1"));
        assert!(!rule(("matches", "v*"), all, true).keeps("app", "v1"));
        assert!(rule(("excludes", "dev-*"), all, false).keeps("app", "1"));
        assert!(!rule(("excludes", "dev-*"), all, false).keeps("app", "dev-1"));
        let app = ("repoExcludes", "app");
        assert!(!rule(("matches", "**"), app, false).keeps("app", "1"));
        assert!(rule(("matches", "**"), app, false).keeps("other", "1"));
        assert!(!rule(("matches", "**"), ("unknown", "**"), false).keeps("app", "1"));
        let empty: Rule = serde_json::from_str("{}").unwrap();
        assert!(!empty.keeps("app", "1"));
    }
}
