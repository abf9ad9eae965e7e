//! HTML, written so that nothing from outside can be more than text: what is markup is in the program,
//! and everything else goes through [`Markup::text`].

use crate::cli::output::escape;

/// A page while it is written.
#[derive(Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup, which only the program has.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere. What would turn the reading direction, hide or move something is spelled
    /// out, so that it is seen on paper too.
    pub(super) fn text(&mut self, text: impl AsRef<str>) -> &mut Self {
        for c in escape(text.as_ref()).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Text between two pieces of markup.
    pub(super) fn between(
        &mut self,
        open: &'static str,
        text: impl AsRef<str>,
        close: &'static str,
    ) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> String {
        let mut markup = Markup::default();
        markup.text(text);
        markup.finish()
    }

    #[test]
    fn what_is_hostile_becomes_text() {
        assert_eq!(
            text("<script>alert('x')</script>"),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
        );
        assert_eq!(text("\" onload=\"x&amp;"), "&quot; onload=&quot;x&amp;amp;");
        assert_eq!(text("\u{202e}cod.exe\u{1b}[31m\0\n"), "\\u{202e}cod.exe\\u{1b}[31m\\u{0}\\n");
        assert_eq!(text("registry.example/äpp:1"), "registry.example/äpp:1");
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_is_markup(anything in any::<String>()) {
            let text = text(&anything);
            let treacherous = |c: char| matches!(c, '<' | '>' | '"' | '\'') || c.is_control();
            prop_assert!(!text.contains(treacherous), "{text}");
            let whole = |rest: &str| ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|e| rest.starts_with(e));
            prop_assert!(text.split('&').skip(1).all(whole), "{text}");
        }
    }
}
