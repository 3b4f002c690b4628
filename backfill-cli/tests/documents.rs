//! The documents in two languages: both say the same, what they tell people to type is what the program takes, and
//! every link leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A settings file that does not exist: the program looks for it once it has understood its arguments, and before it does
/// anything.
const ABSENT: &str = "/not-there/qbo-backfill.toml";

/// A README is read to its end only if it is short.
const LONGEST_README: usize = 12 * 1024;

/// Folders without documents of ours.
const NOT_OURS: [&str; 3] = [".git", "target", "secrets"];

#[test]
fn every_page_has_a_translation() {
    assert_eq!(pages("docs"), pages("docs/es"));
}

#[test]
fn translations_have_the_same_sections_blocks_and_tables() {
    for (english, spanish) in pairs() {
        let shape = |file: &str| {
            let document = Document::read(file);
            let levels = document.headings().map(|(level, _)| level).collect::<Vec<_>>();
            let languages = document.blocks.iter().map(|(language, _)| language.clone()).collect::<Vec<_>>();
            let rows = document.prose.iter().filter(|line| line.starts_with('|')).count();
            (levels, languages, rows)
        };
        assert_eq!(shape(&english), shape(&spanish), "{english} and {spanish}");
    }
}

#[test]
fn translations_have_the_same_commands_and_queries() {
    for (english, spanish) in pairs() {
        let (one, other) = (Document::read(&english), Document::read(&spanish));
        let only = |one: &Document, other: &Document| {
            one.commands().difference(&other.commands()).cloned().collect::<Vec<_>>()
        };
        assert_eq!((only(&one, &other), only(&other, &one)), (vec![], vec![]), "{english} and {spanish}");
        assert_eq!(one.queries(), other.queries(), "{english} and {spanish}");
    }
}

#[test]
fn the_program_takes_every_command_of_the_documents() {
    let home = tempfile::tempdir().unwrap();
    let files = pairs().into_iter().flat_map(|(english, spanish)| [english, spanish]);
    let commands: BTreeSet<_> = files.flat_map(|file| Document::read(&file).commands()).collect();
    assert!(commands.len() > 50, "only {} commands were found", commands.len());
    for words in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qbo-backfill"));
        command.env_clear().env("HOME", home.path()).env("QBO_BACKFILL_CONFIG", ABSENT);
        // A settings file that a line names does not exist either.
        let output = command.args(&words).current_dir(&home).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let understood = said.contains(ABSENT) || said.contains("/etc/qbo-backfill.toml");
        let needs_no_settings =
            output.status.success() && words.iter().any(|word| word == "--help" || word == "-h");
        assert!(understood || needs_no_settings, "qbo-backfill {}\n{said}", words.join(" "));
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for file in documents(Path::new("")) {
        for link in Document::read(&file).links() {
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { file.clone() } else { beside(&file, path) };
            let is_missing = !top().join(&target).exists();
            if is_missing || !(anchor.is_empty() || Document::read(&target).anchors().contains(anchor)) {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count > 200, "only {count} links were found");
}

/// `docs/` is a book as well, which has no other files of the repository.
#[test]
fn pages_link_to_pages_of_the_book_alone() {
    for (english, spanish) in book() {
        for file in [english, spanish] {
            for link in Document::read(&file).links() {
                assert!(beside(&file, &link).starts_with("docs/"), "{file}: {link}");
            }
        }
    }
}

#[test]
fn every_page_is_a_chapter_of_its_book() {
    for folder in ["docs", "docs/es"] {
        let chapters: BTreeSet<_> =
            Document::read(&format!("{folder}/SUMMARY.md")).links().into_iter().collect();
        let missing: Vec<_> = pages(folder)
            .into_iter()
            .filter(|page| page != "SUMMARY.md" && !chapters.contains(page))
            .collect();
        assert!(missing.is_empty(), "{folder}/SUMMARY.md does not name {missing:?}");
    }
}

#[test]
fn readmes_are_short() {
    for file in ["README.md", "README.es.md"] {
        let length = text(file).len();
        assert!(length <= LONGEST_README, "{file} has {length} bytes, and {LONGEST_README} are enough");
    }
}

/// The documents that users read, each beside its translation: the READMEs first, then the pages of the book.
fn pairs() -> Vec<(String, String)> {
    let readmes = ["", "mage/"].map(|folder| (format!("{folder}README.md"), format!("{folder}README.es.md")));
    readmes.into_iter().chain(book()).collect()
}

fn book() -> impl Iterator<Item = (String, String)> {
    pages("docs").into_iter().map(|page| (format!("docs/{page}"), format!("docs/es/{page}")))
}

/// The names of a folder's documents.
fn pages(folder: &str) -> BTreeSet<String> {
    let entries = top().join(folder).read_dir().expect("the folder is there");
    let names =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"));
    names.filter(|name| is_document(name)).collect()
}

/// All documents in and below a folder, by their paths from the top level.
fn documents(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in top().join(folder).read_dir().expect("the folder is there") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = folder.join(&name);
        if entry.file_type().expect("its type").is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                found.append(&mut documents(&path));
            }
        } else if is_document(&name) {
            found.push(path.to_str().expect("a path in UTF-8").to_owned());
        }
    }
    found
}

fn is_document(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "md")
}

/// The path from the top level to what a file names beside itself.
fn beside(file: &str, link: &str) -> String {
    let mut path = PathBuf::from(file);
    path.pop();
    for part in Path::new(link).components() {
        if part.as_os_str() == ".." {
            assert!(path.pop(), "{file}: {link} leads out of the repository");
        } else {
            path.push(part);
        }
    }
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(file: &str) -> String {
    std::fs::read_to_string(top().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A text, with the code in it apart.
struct Document {
    prose: Vec<String>,
    /// Language and lines of each block.
    blocks: Vec<(String, Vec<String>)>,
}

impl Document {
    fn read(file: &str) -> Self {
        let text = text(file);
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

    /// Level and text of each heading.
    fn headings(&self) -> impl Iterator<Item = (usize, &str)> {
        let headings = self.prose.iter().filter(|line| line.starts_with('#'));
        headings.filter_map(|line| line.split_once(' ')).map(|(level, text)| (level.len(), text))
    }

    /// What links to its headings say, by the rules of GitHub, which are mdBook's as well.
    fn anchors(&self) -> BTreeSet<String> {
        let (mut anchors, mut seen) = (BTreeSet::new(), BTreeMap::new());
        for (_, text) in self.headings() {
            let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
            let anchor = text.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
            let before = seen.entry(anchor.clone()).or_insert(0);
            anchors.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
            *before += 1;
        }
        anchors
    }

    /// Where its links lead, those to other sites excepted.
    fn links(&self) -> Vec<String> {
        let without_code = |line: &String| line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let prose = self.prose.iter().map(without_code).collect::<Vec<_>>().join("\n");
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.map(|(target, _)| target.to_owned()).filter(|target| !target.contains("://")).collect()
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
            let ends = |word: &&String| !["|", ">", "<", "2>", "&&", ";", "\\"].contains(&word.as_str());
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

/// Splits a line as a shell does, as far as the documents need it.
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
