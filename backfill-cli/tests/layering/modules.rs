//! Which source file of a crate uses which, and where they use each other in a circle.
//!
//! A light reading of the sources, not a compiler: it knows `use` items, paths with at least two segments, and re-exports, which
//! lead to the file that defines the item. Test modules, comments and strings do not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// A module's path below the crate's root, which has none.
type Module = Vec<String>;

/// One file, as far as paths are concerned.
#[derive(Debug, Default)]
struct Source {
    file: PathBuf,
    /// Names brought in by `use`, with the path that each stands for, and whether it is handed on to others.
    imports: Vec<Import>,
    /// Names that the file defines itself.
    items: BTreeSet<String>,
    /// Paths outside of `use`.
    paths: Vec<Vec<String>>,
    /// Every name outside of `use`.
    names: BTreeSet<String>,
}

#[derive(Debug)]
struct Import {
    name: String,
    path: Vec<String>,
    is_exported: bool,
}

/// The source files of one crate.
#[derive(Debug)]
pub(crate) struct Crate {
    sources: BTreeMap<Module, Source>,
}

/// What a path leads to.
enum Target {
    Module,
    Item(Module),
}

impl Crate {
    /// Reads every file below `src`.
    pub(crate) fn read(src: &Path) -> Self {
        let mut files = Vec::new();
        collect(src, &mut files);
        let sources = files.into_iter().map(|file| {
            let text = std::fs::read_to_string(&file).expect("a source can be read");
            let below = file.strip_prefix(src).expect("it is below it").to_owned();
            (module_of(&below), Source::parse(below, &text))
        });
        Self { sources: sources.collect() }
    }

    /// A shortest circle of files for each file that is part of one; each circle once.
    pub(crate) fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        circles(&arrows)
            .iter()
            .map(|circle| {
                let files = circle.iter().map(|module| self.sources[module].file.display().to_string());
                files.collect::<Vec<_>>().join(" → ")
            })
            .collect()
    }

    /// A shortest circle of rooms: the folders and files directly below `src`.
    pub(crate) fn circles_of_rooms(&self) -> Vec<String> {
        let mut rooms = BTreeMap::<Module, BTreeSet<Module>>::new();
        let room = |module: &Module| module.iter().take(1).cloned().collect::<Module>();
        for (from, to) in self.arrows() {
            let others = to.iter().map(room).filter(|other| *other != room(&from));
            rooms.entry(room(&from)).or_default().extend(others);
        }
        circles(&rooms).iter().map(|circle| circle.concat().join(" → ")).collect()
    }

    /// For each module the ones whose files it uses.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let used = |(module, source): (&Module, &Source)| {
            // What is only handed on is a line of a table of contents.
            let imports = source
                .imports
                .iter()
                .filter(|import| !import.is_exported || source.names.contains(&import.name));
            let paths = imports.map(|import| &import.path).chain(&source.paths);
            let targets = paths.filter_map(|path| match self.resolve(module, path, 0)? {
                Target::Item(owner) if owner != *module => Some(owner),
                Target::Item(_) | Target::Module => None,
            });
            (module.clone(), targets.collect())
        };
        self.sources.iter().map(used).collect()
    }

    /// Follows a path from a module to what it names; `None` if that is in another crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let parent = || from.split_last().map(|(_, parent)| parent.to_vec());
        match first.as_str() {
            "crate" => self.find(Module::new(), rest, depth),
            "self" => self.find(from.clone(), rest, depth),
            "super" => match rest.first().map(String::as_str) {
                Some("super") => self.resolve(&parent()?, rest, depth),
                _ => self.find(parent()?, rest, depth),
            },
            _ if self.sources.get(from)?.knows(first) || self.has_child(from, first) => {
                self.find(from.clone(), path, depth)
            }
            _ => None,
        }
    }

    /// What a path names that begins in `module`.
    fn find(&self, mut module: Module, path: &[String], depth: usize) -> Option<Target> {
        assert!(depth < 20, "re-exports that lead in a circle at {module:?} {path:?}");
        for (at, name) in path.iter().enumerate() {
            if self.has_child(&module, name) {
                module.push(name.clone());
                continue;
            }
            let source = self.sources.get(&module)?;
            if source.items.contains(name) || name == "*" {
                return Some(Target::Item(module));
            }
            let rest = &path[at + 1..];
            if let Some(import) = source.imports.iter().find(|import| import.name == *name) {
                // An item that is called as its crate is.
                if import.path.first() == Some(name) {
                    return None;
                }
                let whole: Vec<_> = import.path.iter().chain(rest).cloned().collect();
                return self.resolve(&module, &whole, depth + 1);
            }
            let globs = source.imports.iter().filter(|import| import.name == "*");
            return globs
                .filter_map(|glob| {
                    let (_, of) = glob.path.split_last()?;
                    let whole: Vec<_> = of.iter().chain(&path[at..]).cloned().collect();
                    self.resolve(&module, &whole, depth + 1)
                })
                .find(|target| matches!(target, Target::Item(_)));
        }
        Some(Target::Module)
    }

    fn has_child(&self, module: &Module, name: &str) -> bool {
        let child: Module = module.iter().cloned().chain([name.to_owned()]).collect();
        self.sources.contains_key(&child)
    }
}

impl Source {
    fn parse(file: PathBuf, text: &str) -> Self {
        let mut source = Self { file, ..Self::default() };
        let tokens = without_tests(tokens(text));
        // How deep inside of inline modules a token stands, whose `super` is this file.
        let (mut braces, mut inline) = (0_usize, Vec::new());
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let previous = at.checked_sub(1).and_then(|before| tokens.get(before)).map(String::as_str);
            let next = tokens.get(at + 1).map(String::as_str);
            match token.as_str() {
                "{" => braces += 1,
                "}" => {
                    braces -= 1;
                    if inline.last() == Some(&braces) {
                        inline.pop();
                    }
                }
                "mod" if tokens.get(at + 2).is_some_and(|brace| brace == "{") => inline.push(braces),
                "use" if previous != Some("<") && previous != Some("+") => {
                    let end = at + tokens[at..].iter().position(|token| token == ";").expect("a semicolon");
                    let is_exported = matches!(previous, Some("pub" | ")"));
                    for (name, path) in leaves(&tokens[at + 1..end]) {
                        let path = from_file(path, inline.len());
                        source.imports.extend(path.map(|path| Import { name, path, is_exported }));
                    }
                    at = end;
                }
                "struct" | "enum" | "trait" | "union" | "type" | "fn" | "const" | "static"
                | "macro_rules" => {
                    let name = tokens[at + 1..].iter().find(|token| !matches!(token.as_str(), "mut" | "!"));
                    source.items.extend(name.cloned());
                }
                name if is_name(name) && previous != Some("::") => {
                    let mut path = vec![name.to_owned()];
                    while tokens.get(at + 1).is_some_and(|token| token == "::")
                        && tokens.get(at + 2).is_some_and(|token| is_name(token))
                    {
                        path.push(tokens[at + 2].clone());
                        at += 2;
                    }
                    if path.len() > 1 {
                        source.paths.extend(from_file(path, inline.len()));
                    } else if previous != Some(".") || next == Some("::") {
                        source.names.insert(path.remove(0));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        // A path whose first segment was imported makes use of the import.
        source.names.extend(source.paths.iter().filter_map(|path| path.first().cloned()));
        source
    }

    fn knows(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.iter().any(|import| import.name == name)
    }
}

/// The path as the file sees it that an inline module of it has written; `None` if it does not leave that module.
fn from_file(mut path: Vec<String>, inline: usize) -> Option<Vec<String>> {
    if path.first()? == "crate" {
        return Some(path);
    }
    for _ in 0..inline {
        if path.first()? != "super" {
            return None;
        }
        path.remove(0);
    }
    if inline > 0 && path.first()? != "super" {
        path.insert(0, "self".to_owned());
    }
    Some(path)
}

/// The names that a `use` brings in, with their paths. Without `use` and the semicolon.
fn leaves(tokens: &[String]) -> Vec<(String, Vec<String>)> {
    let (mut found, mut prefix, mut stack) = (Vec::new(), Vec::<String>::new(), Vec::new());
    let mut tokens = tokens.iter().map(String::as_str).peekable();
    let mut name = None;
    let mut end = |prefix: &mut Vec<String>, name: &mut Option<String>, base: usize| {
        if prefix.len() > base {
            let last = name.take().unwrap_or_else(|| prefix.last().expect("it is not empty").clone());
            // `a::{self}` brings in `a`.
            let path: Vec<_> = match prefix.split_last() {
                Some((last, path)) if last == "self" && !path.is_empty() => path.to_vec(),
                _ => prefix.clone(),
            };
            let last = if last == "self" { path.last().expect("it is not empty").clone() } else { last };
            found.push((last, path));
        }
        prefix.truncate(base);
    };
    while let Some(token) = tokens.next() {
        let base = stack.last().copied().unwrap_or_default();
        match token {
            "::" => {}
            "{" => stack.push(prefix.len()),
            "," => end(&mut prefix, &mut name, base),
            "}" => {
                end(&mut prefix, &mut name, base);
                stack.pop();
                // The group is a leaf of its own no more.
                prefix.truncate(stack.last().copied().unwrap_or_default());
            }
            "as" => name = tokens.next().map(str::to_owned),
            segment => prefix.push(segment.to_owned()),
        }
    }
    end(&mut prefix, &mut name, 0);
    found
}

/// Names, numbers and signs of a source text, without comments and literals. `::` is one.
fn tokens(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let from = |at: usize| bytes.get(at..).unwrap_or_default();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let is_raw =
            |skip: usize| from(at + skip).first() == Some(&b'"') || from(at + skip).starts_with(b"#");
        at = match byte {
            b'/' if from(at).starts_with(b"//") => end_of(bytes, at, b"\n"),
            b'/' if from(at).starts_with(b"/*") => end_of(bytes, at, b"*/"),
            b'"' => end_of_text(bytes, at),
            b'r' if is_raw(1) => raw_ends(bytes, at + 1).unwrap_or(at + 1),
            b'b' | b'c' if from(at + 1).first() == Some(&b'"') => end_of_text(bytes, at + 1),
            b'b' | b'c' if from(at + 1).starts_with(b"r") && is_raw(2) => {
                raw_ends(bytes, at + 2).unwrap_or(at + 1)
            }
            b'\'' => end_of_character(text, at),
            b':' if from(at).starts_with(b"::") => {
                found.push("::".to_owned());
                at + 2
            }
            byte if byte.is_ascii_alphanumeric() || *byte == b'_' => {
                let length = from(at).iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                found.push(text[at..at + length].to_owned());
                at + length
            }
            byte if byte.is_ascii_punctuation() => {
                found.push(char::from(*byte).to_string());
                at + 1
            }
            _ => at + 1,
        };
    }
    found
}

/// Behind the next `mark` after `at`.
fn end_of(bytes: &[u8], at: usize, mark: &[u8]) -> usize {
    let found = bytes[at..].windows(mark.len()).position(|window| window == mark);
    found.map_or(bytes.len(), |found| at + found + mark.len())
}

/// Behind a text in quotes that begins at `at`.
fn end_of_text(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while bytes.get(at).is_some_and(|byte| *byte != b'"') {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Behind a raw text whose number signs or quote begin at `at`.
fn raw_ends(bytes: &[u8], at: usize) -> Option<usize> {
    let signs = bytes[at..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + signs) == Some(&b'"')).then(|| {
        let mark = [b"\"", &*b"#".repeat(signs)].concat();
        end_of(bytes, at + signs + 1, &mark)
    })
}

/// Behind a character literal, or behind the apostrophe of a lifetime.
fn end_of_character(text: &str, at: usize) -> usize {
    let mut characters = text[at + 1..].char_indices();
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((next, escaped))) => {
            end_of(text.as_bytes(), at + 1 + next + escaped.len_utf8(), b"'")
        }
        (Some(_), Some((next, '\''))) => at + 1 + next + 1,
        _ => at + 1,
    }
}

/// Leaves out `mod tests { … }`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let Some(start) = tokens.windows(3).position(|three| three == ["mod", "tests", "{"]) else {
        return tokens;
    };
    let mut depth = 0_usize;
    let length = tokens[start + 2..].iter().position(|token| {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let end = start + 2 + length.expect("it ends") + 1;
    without_tests([&tokens[..start], &tokens[end..]].concat())
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

fn module_of(file: &Path) -> Module {
    let mut module: Module = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().expect("a name in UTF-8").to_owned())
        .collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// For each node on a circle the shortest way back to it, told once for all nodes of that circle.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for start in arrows.keys() {
        if let Some(mut circle) = way_back(arrows, start) {
            let nodes: BTreeSet<_> = circle.iter().cloned().collect();
            circle.push(start.clone());
            if told.insert(nodes) {
                found.push(circle);
            }
        }
    }
    found
}

/// The shortest way from a node to itself, without its end.
fn way_back(arrows: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> Option<Vec<Module>> {
    let mut came_from = BTreeMap::<&Module, &Module>::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        for next in arrows.get(node).into_iter().flatten() {
            if next == start {
                let mut way = vec![node.clone()];
                let mut at = node;
                while at != start {
                    at = came_from[at];
                    way.push(at.clone());
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, node);
                waiting.push_back(next);
            }
        }
    }
    None
}

#[test]
fn a_path_leads_to_the_file_that_defines_the_item() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let circles = || Crate::read(folder.path()).circles();
    write("lib.rs", "mod a; pub mod room; pub use a::A; pub use room::{B, deep::D as E};");
    write(
        "a.rs",
        "use crate::B; // crate::room::Other\npub struct A<'a>(&'a B, \"crate::room::x\", 'x', r#\"{\"#);",
    );
    write("room/mod.rs", "mod b; pub mod deep; pub use b::B; pub trait Door { fn open(); }");
    write("room/b.rs", "use std::fmt; pub struct B; mod tests { use crate::A; fn f() { { } } }");
    write("room/deep.rs", "use super::Door; pub struct D; impl Door for D {}");
    assert_eq!(circles(), Vec::<String>::new());

    // By a re-export at the root, under another name.
    write("room/b.rs", "pub struct B(crate::E, super::super::A);");
    assert_eq!(circles(), ["a.rs → room/b.rs → a.rs"]);
    assert_eq!(Crate::read(folder.path()).circles_of_rooms(), ["a → room → a"]);

    // A re-export that the file itself makes use of.
    write("room/b.rs", "pub struct B;");
    write("room/mod.rs", "mod b; pub mod deep; pub use {b::B, deep::D}; pub trait Door { fn open() -> D; }");
    assert_eq!(circles(), ["room/mod.rs → room/deep.rs → room/mod.rs"]);

    // By the name of a module, and from an inline one.
    write("room/mod.rs", "pub(crate) mod b; pub mod deep; pub use b::B; pub trait Door {}");
    write("room/b.rs", "use crate::room::deep; pub struct B; mod here { fn f() { super::deep::D } }");
    write("room/deep.rs", "use super::{Door, b::{self, B as C}}; pub struct D(b::B);");
    assert_eq!(circles(), ["room/b.rs → room/deep.rs → room/b.rs"]);
}
