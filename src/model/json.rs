//! JSON from outside, read strictly.
//!
//! `serde_json` alone lets a duplicated key pass in places: two readers may then see two different
//! documents behind one signature. Here a duplicate at any depth is an error.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::error::{Error, Result};

/// Parses `bytes` as one JSON document of type `T`; duplicate keys, trailing bytes, a byte order
/// mark and nesting past 127 levels are refused. `what` names the document in the error.
pub fn parse_strict<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    let fail = |error: serde_json::Error| {
        Error::malformed(format!("{what} is not the JSON document it should be")).because(error)
    };
    let mut walker = serde_json::Deserializer::from_slice(bytes);
    NoDuplicates.deserialize(&mut walker).and_then(|()| walker.end()).map_err(fail)?;
    serde_json::from_slice(bytes).map_err(fail)
}

/// As [`parse_strict`], for a document that is an object: the parser alone would take an array of all
/// its values in the right order.
pub fn parse_object<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::malformed(format!("{what} is no JSON object")));
    }
    parse_strict(bytes, what)
}

/// Walks a document without keeping it, and refuses a key that stands twice in one object.
struct NoDuplicates;

impl<'de> DeserializeSeed<'de> for NoDuplicates {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NoDuplicates {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(NoDuplicates)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(NoDuplicates)?;
            if let Some(key) = seen.replace(key) {
                return Err(serde::de::Error::custom(format!("key {key:?} stands twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Map = BTreeMap<String, serde_json::Value>;

    #[test]
    fn duplicates_trailing_bytes_and_marks_are_refused() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"x":[{"a":1,"a":1}]}"#,
            r#"{"a":1}x"#,
            "\u{feff}{}",
            r#"{"a":NaN}"#,
            "",
        ] {
            assert!(parse_strict::<Map>(text.as_bytes(), "it").is_err(), "{text:?} was taken");
        }
        assert!(
            parse_strict::<Map>(br#"{"a":{"b":-1},"c":{"b":2.5,"d":null,"e":true}}"#, "it").is_ok()
        );
    }

    #[test]
    fn an_array_of_all_values_is_no_object() {
        #[derive(Debug, serde::Deserialize)]
        struct Pair {
            a: u64,
            b: u64,
        }
        let said = |text: &str| parse_object::<Pair>(text.as_bytes(), "it").unwrap_err().chain();
        for text in ["[1,2]", " [1,2]", "", "1", "\u{feff}{\"a\":1,\"b\":2}"] {
            assert_eq!(said(text), "it is no JSON object", "{text:?}");
        }
        assert!(said("{\"a\":1,\"a\":2}").contains("key \"a\" stands twice"));
        let pair: Pair = parse_object(b" {\"a\":1,\"b\":2}", "it").unwrap();
        assert_eq!((pair.a, pair.b), (1, 2));
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_strict::<Map>(deep.as_bytes(), "it").is_err());
    }
}
