//! The README in two languages: both are built alike, and what they tell people to type is what the program takes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// A settings file that is not there: it is looked for when the arguments are understood, and before anything is done.
const ABSENT: &str = "/not-there/qbo-backfill.toml";

#[test]
fn both_readmes_have_the_same_sections() {
    let levels = |file| {
        let heading = |line: &String| line.starts_with('#').then(|| line.find(' ')).flatten();
        Document::read(file).prose.iter().filter_map(heading).collect::<Vec<_>>()
    };
    assert_eq!(levels("README.md"), levels("README.es.md"));
}

#[test]
fn both_readmes_have_the_same_commands_and_queries() {
    let (english, spanish) = (Document::read("README.md"), Document::read("README.es.md"));
    let only = |one: &Document, other: &Document| {
        one.commands().difference(&other.commands()).cloned().collect::<Vec<_>>()
    };
    assert_eq!((only(&english, &spanish), only(&spanish, &english)), (vec![], vec![]));
    assert_eq!(english.queries(), spanish.queries());
}

#[test]
fn every_command_in_a_readme_is_one_that_the_program_takes() {
    let home = tempfile::tempdir().unwrap();
    let mut commands = Document::read("README.md").commands();
    commands.extend(Document::read("README.es.md").commands());
    assert!(commands.len() > 50, "only {} commands were found", commands.len());
    for words in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
        command.env_clear().env("HOME", home.path()).env("QBO_BACKFILL_CONFIG", ABSENT);
        // A settings file that a line names is not there either.
        let output = command.args(&words).current_dir(&home).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let understood = said.contains(ABSENT) || said.contains("/etc/qbo-backfill.toml");
        let needs_no_settings = output.status.success() && words.iter().any(|word| word == "--help");
        assert!(understood || needs_no_settings, "qbo-backfill {}\n{said}", words.join(" "));
    }
}

/// A text, with the code in it apart.
struct Document {
    prose: Vec<String>,
    /// Language and lines of each block.
    blocks: Vec<(String, Vec<String>)>,
}

impl Document {
    fn read(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let text = std::fs::read_to_string(path).expect("the document is there");
        let (mut document, mut inside) = (Self { prose: Vec::new(), blocks: Vec::new() }, false);
        for line in text.lines() {
            match line.strip_prefix("```") {
                Some(language) if !inside => document.blocks.push((language.to_owned(), Vec::new())),
                Some(_) => {}
                None if inside => {
                    document.blocks.last_mut().expect("a block is open").1.push(line.to_owned());
                }
                None => document.prose.push(line.to_owned()),
            }
            inside ^= line.starts_with("```");
        }
        document
    }

    /// The arguments of each `qbo-backfill …`, in blocks and between backticks. Those with an ellipsis are no commands.
    fn commands(&self) -> BTreeSet<Vec<String>> {
        let scripts = self.blocks.iter().filter(|(language, _)| ["sh", "ini"].contains(&&**language));
        let lines = scripts.flat_map(|(_, lines)| lines).map(String::as_str);
        let spans = self.prose.iter().flat_map(|line| line.split('`').skip(1).step_by(2));
        let mut found = BTreeSet::new();
        for line in lines.chain(spans) {
            let words = words(line);
            let name = |word: &String| match word.strip_suffix("qbo-backfill") {
                Some(before) => before.is_empty() || (before.ends_with('/') && !before.contains('=')),
                None => false,
            };
            let Some(at) = words.iter().position(name) else { continue };
            let ends = |word: &&String| !["|", ">", "<", "2>", "&&", ";"].contains(&word.as_str());
            let arguments: Vec<_> = words[at + 1..].iter().take_while(ends).cloned().collect();
            if !arguments.is_empty() && !line.contains('…') {
                found.insert(arguments);
            }
        }
        found
    }

    fn queries(&self) -> Vec<String> {
        let sql = self.blocks.iter().filter(|(language, _)| language == "sql").flat_map(|(_, lines)| lines);
        let without_comment =
            |line: &String| line.split("--").next().unwrap_or_default().trim_end().to_owned();
        sql.map(without_comment).collect()
    }
}

/// Splits a line as a shell does, as far as the READMEs need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('\'' | '"', None) => {
                quote = Some(letter);
                let _ = word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (' ', None) => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
