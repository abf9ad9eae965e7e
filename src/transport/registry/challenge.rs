//! What a registry wants to see before it answers: `WWW-Authenticate` (RFC 9110, section 11.6.1).

use std::iter::Peekable;
use std::str::Chars;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// The challenge that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from a token service (Docker registry token authentication).
    Bearer {
        /// Address of the token service, as written.
        realm: String,
        /// The name under which the registry is known to it.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge of an answer that is best met: a token where one is offered, since it says
    /// less and lives shorter, else Basic. `None` where there is none that we know.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let all: Vec<Offer> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(offers)
            .collect();
        let bearer = all.iter().filter(|offer| offer.is("bearer")).find_map(|offer| {
            let realm = offer.parameter("realm").filter(|realm| !realm.is_empty())?;
            let service = offer.parameter("service").filter(|service| !service.is_empty());
            Some(Self::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        });
        bearer.or_else(|| all.iter().any(|offer| offer.is("basic")).then_some(Self::Basic))
    }
}

/// One scheme with its parameters.
#[derive(Debug, Default)]
struct Offer {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Offer {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The offers of one header line. What does not follow the grammar is skipped, not guessed at.
fn offers(text: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut rest = text.chars().peekable();
    // A bare word right after a scheme is its token68, after a comma it is the next scheme.
    let mut after_comma = true;
    while let Some(&next) = rest.peek() {
        if next == ',' || next.is_ascii_whitespace() {
            after_comma |= next == ',';
            rest.next();
            continue;
        }
        let word = take_while(&mut rest, |c| !matches!(c, ',' | '=' | '"') && !c.is_whitespace());
        let spaces = take_while(&mut rest, |c| c.is_ascii_whitespace());
        if rest.next_if_eq(&'=').is_some() {
            take_while(&mut rest, |c| c.is_ascii_whitespace());
            let value = if rest.next_if_eq(&'"').is_some() {
                quoted(&mut rest)
            } else {
                Some(take_while(&mut rest, |c| c != ',' && !c.is_whitespace()))
            };
            if let (Some(offer), Some(value), false) = (offers.last_mut(), value, word.is_empty()) {
                offer.parameters.push((word, value));
            }
        } else if word.is_empty() {
            // A quote where none may stand.
            rest.next();
        } else if after_comma || !spaces.is_empty() {
            offers.push(Offer { scheme: word, parameters: Vec::new() });
        }
        after_comma = false;
    }
    offers
}

fn take_while(rest: &mut Peekable<Chars<'_>>, wanted: impl Fn(char) -> bool) -> String {
    std::iter::from_fn(|| rest.next_if(|c| wanted(*c))).collect()
}

/// The rest of a quoted string whose opening quote was read; `None` where it is not closed.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut value = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(rest.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(lines: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.map(Into::into) }
    }

    #[test]
    fn the_usual_ones() {
        let text = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            challenge(&[text]),
            Some(bearer("https://auth.docker.io/token", Some("registry.docker.io")))
        );
        assert_eq!(challenge(&[r#"Basic realm="x""#]), Some(Challenge::Basic));
        assert_eq!(challenge(&["basic"]), Some(Challenge::Basic));
        assert_eq!(challenge(&[""]), None);
        assert_eq!(challenge(&[]), None);
    }

    #[test]
    fn several_quoted_spaced_and_unquoted() {
        let wanted = Some(bearer("https://h/t", Some("a,b")));
        for lines in [
            &[r#"Basic realm="x", Bearer realm="https://h/t", service="a,b""#][..],
            &[
                r#"Basic realm="Bearer realm=\"https://evil/\"""#,
                r#"bearer service="a,b",realm="https://h/t""#,
            ],
            &[r#"Negotiate, Bearer realm = "https://h/t" , service="a\,b""#],
            &[r#"Negotiate YII==, BEARER Realm=https://h/t,SERVICE="a,b""#],
        ] {
            assert_eq!(challenge(lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn broken_ones_are_not_guessed_at() {
        for line in [
            r#"Bearer realm="https://h"#,
            "Bearer",
            r#"Bearer realm="""#,
            "realm=\"x\"",
            "Digest a=b",
        ] {
            assert_eq!(challenge(&[line]), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_ends(line in "[ -~]{0,80}") {
            let _ = challenge(&[&line]);
        }
    }
}
