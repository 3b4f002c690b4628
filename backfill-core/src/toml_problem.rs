//! What is wrong in a TOML file: its line, its key, and the word that was probably meant.

use std::fmt;

use crate::did_you_mean::{did_you_mean, nearest};

/// What is wrong with a text in TOML, and where: a line, a key, and the nearest word that would have been right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TomlProblem {
    line: Option<usize>,
    key: String,
    problem: Box<str>,
}

impl fmt::Display for TomlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        if !self.key.is_empty() {
            write!(f, "key {}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

impl TomlProblem {
    /// What a reader says of a text. Nothing of the text is repeated but names.
    pub fn new(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().and_then(|span| text.get(..span.start)).map(line_behind);
        let unknown = Unknown::of(error.message());
        let mut keys = keys(error);
        if let Some(field) = unknown.as_ref().filter(|unknown| unknown.is_key) {
            keys.push(field.word.to_owned());
        }
        let problem =
            unknown.map_or_else(|| error.message().replace('\n', "; "), |unknown| unknown.to_string());
        Self { line, key: keys.join("."), problem: problem.into() }
    }

    /// The key and the problem, for a place that is known otherwise.
    pub(crate) fn into_parts(self) -> (String, Box<str>) {
        (self.key, self.problem)
    }

    /// Something that is wrong with one key of a table, which begins at the byte `start` of the text.
    pub(crate) fn of_key(text: &str, start: usize, key: &str, problem: impl Into<Box<str>>) -> Self {
        let (before, table) = text.split_at_checked(start).unwrap_or(("", text));
        let named = |line: &str| {
            let name = line.trim_start().split(['=', '.']).next().unwrap_or_default().trim();
            name.trim_matches(['"', '\'']) == key && line.contains('=')
        };
        let body = table.lines().skip(1).take_while(|line| !line.trim_start().starts_with("[["));
        let below = body.map(named).position(|is_named| is_named).map_or(0, |at| at + 1);
        Self { line: Some(line_behind(before) + below), key: key.to_owned(), problem: problem.into() }
    }
}

/// The number of the line that comes next behind this text.
fn line_behind(text: &str) -> usize {
    text.matches('\n').count() + 1
}

/// The keys that lead to an error. `toml` tells them only where it cannot show the text.
fn keys(error: &toml::de::Error) -> Vec<String> {
    let mut blind = error.clone();
    blind.set_input(None);
    let told = blind.to_string();
    let path = told.trim_end().rsplit_once("in `").and_then(|(_, path)| path.strip_suffix('`'));
    path.map(|path| vec![path.to_owned()]).unwrap_or_default()
}

/// A word that is not among those that serde knows, which its message names between backticks.
struct Unknown<'a> {
    word: &'a str,
    known: Vec<&'a str>,
    is_key: bool,
}

impl<'a> Unknown<'a> {
    fn of(message: &'a str) -> Option<Self> {
        let is_key = message.starts_with("unknown field `");
        if !is_key && !message.starts_with("unknown variant `") {
            return None;
        }
        let mut words = message.split('`').skip(1).step_by(2);
        Some(Self { word: words.next()?, known: words.collect(), is_key })
    }
}

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, known, is_key } = self;
        if *is_key {
            f.write_str("there is no such key")?;
        } else {
            write!(f, "{word:?} is not known here")?;
        }
        match nearest(word, known.iter().copied()) {
            None if known.is_empty() => Ok(()),
            None => write!(f, "; known are {}", known.join(", ")),
            near => f.write_str(&did_you_mean(near)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what cannot be read is of interest")]
    struct Company {
        schema: Option<String>,
        rate: Option<u32>,
        level: Option<crate::Level>,
    }

    #[test]
    fn line_key_and_nearest_word_are_named() {
        let told = |text: &str| {
            let error = toml::from_str::<BTreeMap<String, BTreeMap<String, Company>>>(text).unwrap_err();
            TomlProblem::new(text, &error).to_string()
        };
        let lines = "[profile.a]\nschema = 'raw'\n\n[profile.b]\n";
        for (line, expected) in [
            ("shema = 'x'", "line 5, key profile.b.shema: there is no such key; did you mean schema?"),
            ("zzz = 1", "line 5, key profile.b.zzz: there is no such key; known are schema, rate, level"),
            (
                "level = 'wraning'",
                "line 5, key profile.b.level: \"wraning\" is not known here; did you mean warning?",
            ),
            ("rate = 'x'", "line 5, key profile.b.rate: invalid type: string \"x\", expected u32"),
        ] {
            assert_eq!(told(&format!("{lines}{line}\n")), expected);
        }
        assert!(told(&format!("{lines}rate = \n")).starts_with("line 5, "));
        assert!(told(&format!("{lines}rate = 1\nrate = 2\n")).starts_with("line 6, "));
    }
}
