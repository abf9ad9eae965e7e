//! Changes one sign-in in the text of a file, and leaves every other byte as it is.
//!
//! Docker's file holds more than sign-ins: proxies, plugins, things that later versions will add.
//! So nothing is written anew; the entry is cut in or out where it stands, in the file's own style.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::model::{Error, Result};

/// What docker writes where there is no file yet.
const NEW: &str = "{\n\t\"auths\": {}\n}";

/// Where sign-ins stand.
const AUTHS: &str = "auths";

/// The text with the entry `key` of `auths` made of `fields`, in place of one that may be there.
///
/// # Errors
/// A text that is no JSON object, or whose `auths` is none.
pub(super) fn set(text: &str, key: &str, fields: &[(&str, &str)]) -> Result<Zeroizing<String>> {
    let text = if text.trim().is_empty() { NEW } else { text };
    let root = Object::root(text)?;
    let Some(auths) = root.last(AUTHS) else {
        let with = root.with(text, AUTHS, &|_| "{}".to_owned());
        return set(&with, key, fields);
    };
    if &text[auths.clone()] == "null" {
        let with = Zeroizing::new(replaced(text, auths, "{}"));
        return set(&with, key, fields);
    }
    let entries = Object::at(text, auths)?;
    Ok(match entries.last(key) {
        Some(entry) => {
            let indent = indent_of_line(text, entry.start);
            Zeroizing::new(replaced(text, entry, &object(fields, indent, unit(text))))
        }
        None => entries.with(text, key, &|indent| object(fields, indent, unit(text)).to_string()),
    })
}

/// The text without the entries of `auths` whose key is `unwanted`; `None` where there is none.
///
/// # Errors
/// As [`set`].
pub(super) fn remove(
    text: &str,
    unwanted: &dyn Fn(&str) -> bool,
) -> Result<Option<Zeroizing<String>>> {
    let mut changed = None;
    loop {
        let now: &str = changed.as_ref().map_or(text, |text: &Zeroizing<String>| text);
        let Some(auths) = Object::root(now)?.last(AUTHS).filter(|at| &now[at.clone()] != "null")
        else {
            break;
        };
        let entries = Object::at(now, auths)?;
        let Some(index) = entries.members.iter().position(|(key, _)| unwanted(key)) else { break };
        changed = Some(Zeroizing::new(replaced(now, entries.cut(now, index), "")));
    }
    Ok(changed)
}

fn replaced(text: &str, at: Range<usize>, with: &str) -> String {
    [&text[..at.start], with, &text[at.end..]].concat()
}

/// An object in a text: where it is, and where the values of its members are.
struct Object {
    at: Range<usize>,
    members: Vec<(String, Range<usize>)>,
}

impl Object {
    fn root(text: &str) -> Result<Self> {
        let start = text.len() - text.trim_start().len();
        Self::at(text, start..text.trim_end().len())
    }

    fn at(text: &str, at: Range<usize>) -> Result<Self> {
        let part = &text[at.clone()];
        // The parser's own words could quote a secret.
        let members: Members<'_> = serde_json::from_str(part)
            .map_err(|_| Error::usage("it is not a JSON object of JSON objects"))?;
        let position = |value: &str| {
            // A raw value is a part of the text that it was read from.
            let start = at.start + (value.as_ptr().addr() - part.as_ptr().addr());
            start..start + value.len()
        };
        let members =
            members.0.into_iter().map(|(key, value)| (key, position(value.get()))).collect();
        Ok(Self { at, members })
    }

    /// The value of a member; of several with one name the last, as parsers have it.
    fn last(&self, key: &str) -> Option<Range<usize>> {
        self.members.iter().rev().find(|(name, _)| name == key).map(|(_, at)| at.clone())
    }

    /// The text with one more member at the end; `value` is given the indentation of its line.
    fn with(
        &self,
        text: &str,
        key: &str,
        value: &dyn Fn(Option<&str>) -> String,
    ) -> Zeroizing<String> {
        let key = serde_json::Value::from(key);
        let Some((_, last)) = self.members.last() else {
            return Zeroizing::new(replaced(text, self.at.clone(), &self.alone(text, &key, value)));
        };
        // Before the new key stands what stands before the last one.
        let previous = self.members.len().checked_sub(2).map(|i| self.members[i].1.end);
        let from = previous.unwrap_or(self.at.start + 1);
        let gap = text[from..].split('"').next().unwrap_or_default();
        let gap = gap.rsplit(',').next().unwrap_or_default();
        let indent = gap.rsplit_once('\n').map(|(_, indent)| indent);
        let member = Zeroizing::new(format!(",{gap}{key}: {}", value(indent)));
        Zeroizing::new(replaced(text, last.end..last.end, &member))
    }

    /// An object with one member, in place of one that has none.
    fn alone(
        &self,
        text: &str,
        key: &serde_json::Value,
        value: &dyn Fn(Option<&str>) -> String,
    ) -> Zeroizing<String> {
        let Some(outer) = indent_of_line(text, self.at.start) else {
            return Zeroizing::new(format!("{{{key}: {}}}", value(None)));
        };
        let inner = format!("{outer}{}", unit(text));
        Zeroizing::new(format!("{{\n{inner}{key}: {}\n{outer}}}", value(Some(&inner))))
    }

    /// What to cut out of the text, so that member number `index` is gone.
    fn cut(&self, text: &str, index: usize) -> Range<usize> {
        let end = self.members[index].1.end;
        match index.checked_sub(1) {
            Some(before) => self.members[before].1.end..end,
            None if self.members.len() > 1 => {
                let comma = text[end..].find(',').map_or(end, |i| end + i + 1);
                self.at.start + 1..comma
            }
            None => self.at.start + 1..self.at.end - 1,
        }
    }
}

/// An object whose values are strings, in lines of their own unless the file is one line.
fn object(fields: &[(&str, &str)], indent: Option<&str>, unit: &str) -> Zeroizing<String> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let members: Zeroizing<Vec<String>> = Zeroizing::new(
        fields.iter().map(|(key, value)| format!("{}: {}", text(key), text(value))).collect(),
    );
    Zeroizing::new(match indent {
        Some(indent) if !members.is_empty() => {
            let inner = format!("\n{indent}{unit}");
            format!("{{{inner}{}\n{indent}}}", members.join(&format!(",{inner}")))
        }
        _ => format!("{{{}}}", members.join(", ")),
    })
}

/// The white space with which the line around a position begins; `None` where the whole text is
/// one line.
fn indent_of_line(text: &str, position: usize) -> Option<&str> {
    if !text.trim().contains('\n') {
        return None;
    }
    let start = text[..position].rfind('\n').map_or(0, |i| i + 1);
    let line = &text[start..];
    Some(&line[..line.len() - line.trim_start_matches([' ', '\t']).len()])
}

/// One step of indentation: that of the first line that has any, else docker's own.
fn unit(text: &str) -> &str {
    text.lines()
        .map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()])
        .find(|indent| !indent.is_empty())
        .unwrap_or("\t")
}

/// Names and values of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const PAIR: &[(&str, &str)] = &[("auth", "YTpi")];

    fn added(text: &str) -> String {
        set(text, "h.example", PAIR).unwrap().to_string()
    }

    fn removed(text: &str) -> Option<String> {
        remove(text, &|key| key == "h.example").unwrap().map(|text| text.to_string())
    }

    #[test]
    fn a_new_file_is_as_docker_writes_it() {
        let docker =
            "{\n\t\"auths\": {\n\t\t\"h.example\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t}\n\t}\n}";
        assert_eq!(added(""), docker);
        assert_eq!(added(" \n"), docker);
        assert_eq!(removed(docker).unwrap(), NEW);
        assert_eq!(removed(NEW), None);
        assert_eq!(*set("", "h", &[]).unwrap(), "{\n\t\"auths\": {\n\t\t\"h\": {}\n\t}\n}");
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let text = "{\n  \"detachKeys\": \"ctrl-e,e\",\n  \"auths\": {\n    \"a\": {\"auth\":\"x\"}\n  },\n  \"later\":   [1,\t2 ]\n}\n";
        let more = added(text);
        assert_eq!(
            more,
            text.replace(
                "\"x\"}\n",
                "\"x\"},\n    \"h.example\": {\n      \"auth\": \"YTpi\"\n    }\n"
            )
        );
        assert_eq!(removed(&more).unwrap(), text);
        // Another one in its place.
        let other = set(&more, "h.example", &[("auth", "x"), ("identitytoken", "y")]).unwrap();
        assert!(other.contains("{\n      \"auth\": \"x\",\n      \"identitytoken\": \"y\"\n    }"));
        assert_eq!(removed(&other).unwrap(), text);
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(added("{}"), r#"{"auths": {"h.example": {"auth": "YTpi"}}}"#);
        assert_eq!(added(r#"{"auths":null}"#), r#"{"auths":{"h.example": {"auth": "YTpi"}}}"#);
        assert_eq!(
            added(r#"{"auths":{"a":{},"b":{}},"x":1}"#),
            r#"{"auths":{"a":{},"b":{},"h.example": {"auth": "YTpi"}},"x":1}"#
        );
        let text = r#"{"auths":{"h.example":{"auth":"}"}, "a":{}}}"#;
        assert_eq!(removed(text).unwrap(), r#"{"auths":{ "a":{}}}"#);
        let twice = r#"{"auths":{"h.example":{},"a":{},"h.example":{}}}"#;
        assert_eq!(removed(twice).unwrap(), r#"{"auths":{"a":{}}}"#);
    }

    #[test]
    fn what_is_no_object_is_refused_and_not_quoted() {
        for text in ["canary", "[]", r#"{"auths":"canary"}"#, r#"{"auths":[]}"#, r#"{"a":"canary"#]
        {
            let error = set(text, "h", PAIR).unwrap_err();
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ -~\n\t\"\\\\{},é]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"\\\\{},: ]{0,3}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_file_gains_an_entry_and_loses_it_again(
            entries in prop::collection::btree_map("[a-c\"\\\\{},: ]{0,3}", any_json(), 0..4),
            others in prop::collection::btree_map("[d-f\"\\\\{},: ]{0,3}", any_json(), 0..4),
            with_auths in any::<bool>(),
            pretty in any::<bool>(),
        ) {
            let mut file: Value = others.into_iter().collect();
            if with_auths {
                file["auths"] = entries.into_iter().collect();
            }
            let text = if pretty {
                serde_json::to_string_pretty(&file).unwrap()
            } else {
                file.to_string()
            };
            let more = added(&text);
            let mut wanted = file.clone();
            wanted["auths"]["h.example"] = json!({"auth": "YTpi"});
            prop_assert_eq!(serde_json::from_str::<Value>(&more).unwrap(), wanted);
            let back: Value = serde_json::from_str(&removed(&more).unwrap()).unwrap();
            if !with_auths {
                file["auths"] = json!({});
            }
            prop_assert_eq!(back, file);
        }
    }
}
