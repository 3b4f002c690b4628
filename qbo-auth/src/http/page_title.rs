//! The title of a web page that came in place of an answer: it names the firewall, proxy or CDN.

use std::fmt;

/// The part of a body that is searched for a title. The title is in the head of a page.
const HEAD: usize = 64 << 10;

/// The longest title that is repeated.
const LONGEST: usize = 80;

/// The longest word of a title that is repeated. A longer one is an address or an id, not a word.
const LONGEST_WORD: usize = 32;

/// The cleaned title of a web page: one short line of printable characters without markup. Empty if there was none.
///
/// It is the only text from outside that messages repeat, because nothing else tells a person which device in between has
/// answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageTitle(Box<str>);

impl PageTitle {
    /// Reads the title of a web page, or else its first heading; `None` if the body is not a web page.
    pub fn of(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(&body[..body.len().min(HEAD)]);
        let page = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if !page.starts_with('<') {
            return None;
        }
        // Lower-cased byte by byte, so that both have the same offsets.
        let lowered = page.to_ascii_lowercase();
        let named = |tag: &str| clean(element(page, &lowered, tag)?);
        Some(Self(named("title").or_else(|| named("h1")).unwrap_or_default()))
    }

    /// The title as text; empty if there was none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Formats the title as `, titled "…"`, or as nothing: for the end of a sentence in brackets.
impl fmt::Display for PageTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ", titled \"{}\"", self.0) }
    }
}

/// The text between the tags of the first such element.
fn element<'a>(page: &'a str, lowered: &str, tag: &str) -> Option<&'a str> {
    let name = format!("<{tag}");
    let opened = lowered
        .match_indices(&name)
        .map(|(at, _)| at + name.len())
        .find(|at| lowered[*at..].starts_with(|c: char| c == '>' || c.is_ascii_whitespace()))?;
    let start = opened + lowered[opened..].find('>')? + 1;
    let length = lowered[start..].find(&format!("</{tag}")).unwrap_or(lowered.len() - start);
    Some(&page[start..start + length])
}

/// Cleans a text: one line without tags, character references, control characters and all else that changes how text is shown.
fn clean(markup: &str) -> Option<Box<str>> {
    let (mut text, mut is_tag) = (String::new(), false);
    for c in markup.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                text.push(' ');
            }
            _ if is_tag => {}
            c if c.is_whitespace() => text.push(' '),
            c if c.is_alphanumeric() || "&;#.,:!?'()/+-_|–—’·".contains(c) => text.push(c),
            _ => {}
        }
    }
    let text =
        ["&amp;", "&nbsp;", "&lt;", "&gt;", "&quot;"].iter().fold(text, |text, name| text.replace(name, " "));
    let text = text.replace("&#39;", "'").replace("&apos;", "'").replace(['&', ';'], " ");
    let shortened = |word: &str| -> String { word.chars().take(LONGEST_WORD).collect() };
    let line = text.split_whitespace().map(shortened).collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(LONGEST).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn title(page: &str) -> Option<String> {
        PageTitle::of(page.as_bytes()).map(|title| title.as_str().to_owned())
    }

    #[test]
    fn the_title_of_a_page_is_one_clean_line() {
        let check = |page: &str, expected: &str| assert_eq!(title(page).as_deref(), Some(expected), "{page}");
        check("<html><head><title>Access Denied</title></head></html>", "Access Denied");
        check(
            "\u{feff}\n<!DOCTYPE html><HTML><TITLE lang=en>\n  Sign in\n to  the network</TITLE>",
            "Sign in to the network",
        );
        check("<html><title>403 &#8211; a &amp; b</title>", "403 #8211 a b");
        check("<html><title>\u{1b}[31mred\u{7}\u{202e}\u{200b}</title>", "31mred");
        check("<html><title><b>We&#39;ll be back</b><script>x</script></title>", "We'll be back x");
        check("<html><body><h1 class=x>Blocked</h1>", "Blocked");
        check("<html><title></title><h1>Blocked</h1>", "Blocked");
        check("<html><titles>no</titles><p>nothing</p>", "");
        check("<html><title>unfinished", "unfinished");
        check(&format!("<title>{}</title>", "word ".repeat(100)), ["word"; 16].join(" ").as_str());
        check(&format!("<title>id {}</title>", "x".repeat(100)), &format!("id {}", "x".repeat(32)));
        for none in ["", "{}", "Access Denied", " [1]"] {
            assert_eq!(title(none), None, "{none}");
        }
    }

    #[test]
    fn a_title_is_said_in_quotes_and_its_absence_not_at_all() {
        assert_eq!(PageTitle::of(b"<title>Proxy</title>").unwrap().to_string(), ", titled \"Proxy\"");
        assert_eq!(PageTitle::of(b"<html/>").unwrap().to_string(), "");
    }

    proptest! {
        #[test]
        fn whatever_a_page_says_its_title_is_short_and_harmless(text in "(?s).{0,300}", tag in "(title|TITLE|h1)") {
            let said = title(&format!("<html><{tag}>{text}</{tag}>")).unwrap();
            prop_assert!(said.chars().count() <= LONGEST);
            prop_assert!(!said.contains(|c: char| c.is_control() || "<>\"&;\u{202e}\u{2028}".contains(c)), "{said:?}");
        }

        #[test]
        fn no_bytes_are_beyond_it(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = PageTitle::of(&bytes);
        }
    }
}
