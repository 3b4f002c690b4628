//! The beginning and the end of a page that loads nothing.

use std::fmt::{Display, Write as _};

use super::escaped::Escaped;

/// The colours of the report, as custom properties of CSS in light, in dark and on paper. The console has the same.
pub const COLOURS: &str = include_str!("colours.css");

/// The content security policy: a browser may load nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The text of the style element of a page without rules of its own. It loads no file, font or picture.
pub(crate) const ELEMENT: &str = concat!("\n", include_str!("colours.css"), include_str!("report.css"));

/// Begins a page with a title, in plain text, and rules of its own besides the style of every page.
pub(crate) fn begin(page: &mut String, title: impl Display, rules: &str) {
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{ELEMENT}{rules}</style>\n</head>\n<body>\n<main>\n",
        Escaped(&title.to_string())
    );
}

/// Ends a page.
pub(crate) fn end(page: &mut String) {
    page.push_str("</main>\n</body>\n</html>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_of_a_page_is_the_text_whose_digest_a_server_allows() {
        let mut page = String::new();
        begin(&mut page, "a run", "");
        let (_, rest) = page.split_once("<style>").unwrap();
        let (style, rest) = rest.split_once("</style>").unwrap();
        assert_eq!(style, ELEMENT);
        assert!(!rest.contains("<style"));
    }
}
