//! The program with what belongs to it, and where each part goes.

use std::fs;
use std::path::Path;

use crate::release::Release;
use crate::tree::Tree;
use crate::{Result, archive, cargo, notices};

/// Shells that completions are made for, and the file that each looks for.
const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "qbo-backfill.bash", "usr/share/bash-completion/completions/qbo-backfill"),
    ("zsh", "_qbo-backfill", "usr/share/zsh/vendor-completions/_qbo-backfill"),
    ("fish", "qbo-backfill.fish", "usr/share/fish/vendor_completions.d/qbo-backfill.fish"),
];

/// Documents that go with the program.
const DOCUMENTS: [&str; 6] =
    ["README.md", "README.es.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// The program, and what it says about itself.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) binary: Vec<u8>,
    /// The script of each of [`SHELLS`].
    completions: Vec<String>,
    /// Name and text of each page.
    pages: Vec<(String, Vec<u8>)>,
    /// Name and text of each document.
    documents: Vec<(String, Vec<u8>)>,
    /// The licences of everything that is compiled in.
    pub(crate) notices: String,
    /// The oldest C library that the program runs with, such as 2.34. `None` for a static one, or another system.
    pub(crate) oldest_glibc: Option<(u32, u32)>,
}

impl Program {
    /// Asks a built program for its completions and pages, and collects the rest.
    pub(crate) fn of(release: &Release, binary: &Path) -> Result<Self> {
        let program = binary.to_str().ok_or("the program's path is not UTF-8")?;
        let completions = SHELLS
            .map(|(shell, _, _)| cargo::said(program, &["completions", shell]))
            .into_iter()
            .collect::<Result<_>>()?;
        let folder = cargo::target_folder().join("manual");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        cargo::said(program, &["manual", folder.to_str().ok_or("the target folder is not UTF-8")?])?;
        let mut pages = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            pages.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
        }
        pages.sort();
        let mut documents = Vec::new();
        for name in DOCUMENTS {
            documents.push((name.to_owned(), fs::read(release.top.join(name))?));
        }
        let binary = fs::read(binary)?;
        let oldest_glibc = oldest_glibc(&binary);
        Ok(Self { binary, completions, pages, documents, notices: notices::text(release)?, oldest_glibc })
    }
}

/// What is unpacked anywhere.
pub(crate) fn portable(program: &Program) -> Tree {
    let mut tree = Tree::default();
    tree.add_program("qbo-backfill", program.binary.clone());
    for ((_, name, _), script) in SHELLS.iter().zip(&program.completions) {
        tree.add(format!("completions/{name}"), script.as_bytes());
    }
    for (name, page) in &program.pages {
        tree.add(format!("man/man1/{name}"), page.clone());
    }
    for (name, text) in &program.documents {
        tree.add(name.clone(), text.clone());
    }
    tree.add("THIRD-PARTY-LICENSES.txt", program.notices.as_bytes());
    tree
}

/// What a package installs, by the rules for Linux distributions.
pub(crate) fn installed(program: &Program) -> Tree {
    let mut tree = Tree::default();
    tree.add_program("usr/bin/qbo-backfill", program.binary.clone());
    for ((_, _, path), script) in SHELLS.iter().zip(&program.completions) {
        tree.add(*path, script.as_bytes());
    }
    for (name, page) in &program.pages {
        // Packing bytes in memory cannot fail.
        tree.add(format!("usr/share/man/man1/{name}.gz"), archive::gz(page).unwrap_or_default());
    }
    let documents = "usr/share/doc/qbo-backfill";
    for (name, text) in program.documents.iter().filter(|(name, _)| !name.starts_with("LICENSE")) {
        tree.add(format!("{documents}/{name}"), text.clone());
    }
    tree.add(format!("{documents}/service.md"), include_bytes!("../files/service.md"));
    tree.add(format!("{documents}/examples/qbo-backfill.toml"), include_bytes!("../files/qbo-backfill.toml"));
    tree.add(format!("{documents}/copyright"), copyright(program));
    tree.add("usr/lib/systemd/system/qbo-backfill.service", include_bytes!("../files/qbo-backfill.service"));
    tree
}

/// The project's own licences, then those of all dependencies.
fn copyright(program: &Program) -> String {
    let own = program.documents.iter().filter(|(name, _)| name.starts_with("LICENSE"));
    let own =
        own.map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>().join("\n\n");
    format!(
        "qbo-backfill is licensed under MIT or Apache-2.0, at your choice.\n\n{own}\n\n{}",
        program.notices
    )
}

/// The newest version of glibc that the program's symbols name: it runs with that one and all later ones.
fn oldest_glibc(binary: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_2.";
    let starts = binary.windows(MARK.len()).enumerate().filter(|(_, part)| *part == MARK);
    let minor = |(at, _): (usize, &[u8])| {
        let digits = binary[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.take(3).fold(None, |number: Option<u32>, digit| {
            Some(number.unwrap_or_default() * 10 + u32::from(digit - b'0'))
        })
    };
    starts.filter_map(minor).max().map(|minor| (2, minor))
}

#[cfg(test)]
mod tests {
    use super::oldest_glibc;

    #[test]
    fn the_newest_symbol_decides_where_the_program_runs() {
        assert_eq!(oldest_glibc(b"x\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0"), Some((2, 34)));
        assert_eq!(oldest_glibc(b"static"), None);
    }
}
