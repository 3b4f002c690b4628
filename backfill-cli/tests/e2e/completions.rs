//! Completions, in the shells themselves: what a real bash, zsh and fish offer where somebody presses TAB.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Where this is set, a machine that lacks one of the shells fails the test instead of leaving it out.
const NEEDED: &str = "QBO_TEST_SHELLS_NEEDED";

const BINARY: &str = env!("CARGO_BIN_EXE_qbo-backfill");

/// Values that are offered where they can stand.
const VALUES: [(&str, &str); 13] = [
    ("report ", "latest"),
    ("runs show ", "latest"),
    ("cancel l", "latest"),
    ("run Inv", "Invoice"),
    ("plan qb_inv", "qb_invoices_backfill"),
    ("trigger add tra", "transactions"),
    ("quarantine accept --pipeline Inv", "Invoice"),
    ("report --format ", "html"),
    ("run --chunk ", "month"),
    ("run --by ", "txn-date"),
    ("secrets set ", "QBO_CLIENT_ID"),
    ("status --output ", "json"),
    ("run --environment ", "production"),
];

fn said(program: &str, arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", home.path());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TERM", "dumb");
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every command with its options and the commands below it, as its help tells them.
pub(crate) fn commands() -> Vec<(String, BTreeSet<String>)> {
    let (mut all, mut waiting) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(path) = waiting.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = said(BINARY, &words);
        let mut offered = BTreeSet::new();
        let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in below.take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap().to_owned();
            // Lines that go on with a description stand further to the right.
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                waiting.push([&path[..], std::slice::from_ref(&name)].concat());
                offered.insert(name);
            }
        }
        // A command of the examples may go on in a line that begins with an option.
        let own = help.lines().take_while(|line| !line.starts_with("Example"));
        let options = own.filter(|line| line.trim_start().starts_with('-'));
        offered.extend(options.filter_map(|line| {
            let long = line.split([' ', ',', '=']).find(|word| word.starts_with("--"))?;
            Some(long.trim_end_matches('.').to_owned())
        }));
        all.push((path.join(" "), offered));
    }
    all
}

/// A shell that is there; `None` where it may be left out.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn installed(shell: &str) -> Option<&str> {
    let is_there = Command::new(shell).args(["-c", "exit 0"]).status().is_ok_and(|ended| ended.success());
    #[expect(clippy::disallowed_methods, reason = "who runs the tests says what has to be there")]
    let needed = std::env::var_os(NEEDED).is_some();
    assert!(is_there || !needed, "{shell} is not installed, and {NEEDED} is set");
    if !is_there {
        println!("{shell} is not installed: its completions were not tried");
    }
    is_there.then_some(shell)
}

fn script(folder: &TempDir, shell: &str) -> String {
    let path = folder.path().join(format!("_qbo-backfill.{shell}"));
    std::fs::write(&path, said(BINARY, &["completions", shell])).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What has to be offered behind these words: options behind a dash, commands behind nothing.
fn questions() -> Vec<(String, BTreeSet<String>)> {
    let mut questions = Vec::new();
    for (path, offered) in commands() {
        let lead = if path.is_empty() { String::new() } else { format!("{path} ") };
        let (options, names): (BTreeSet<_>, _) = offered.into_iter().partition(|word| word.starts_with('-'));
        assert!(options.contains("--help"), "{path}: {options:?}");
        questions.push((format!("{lead}--"), options));
        if !names.is_empty() {
            questions.push((lead, names));
        }
    }
    questions.extend(VALUES.map(|(words, value)| (words.to_owned(), BTreeSet::from([value.to_owned()]))));
    assert!(questions.len() > 50, "{}", questions.len());
    questions
}

/// Compares what a shell offers with what there is. Its answers are lines, those to each question behind a line `== words`.
#[track_caller]
fn compare(shell: &str, answers: &str, questions: &[(String, BTreeSet<String>)]) {
    for (words, expected) in questions {
        let own = answers.split("== ").find_map(|answer| answer.strip_prefix(&format!("{words}<\n")));
        let own = own.unwrap_or_else(|| panic!("{shell} did not answer {words:?}: {answers}"));
        let offered: BTreeSet<String> =
            own.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect();
        let missing: Vec<_> = expected.difference(&offered).collect();
        assert!(missing.is_empty(), "{shell}, behind {words:?}: {missing:?} are not among {offered:?}");
    }
}

#[test]
fn bash_offers_options_commands_and_values_behind_every_command() {
    let Some(shell) = installed("bash") else { return };
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    let mut text = format!("source '{}'\n", script(&folder, shell));
    text.push_str(
        "f=$(complete -p qbo-backfill | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         try() { echo \"== $1<\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()\n\
         \"$f\" \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"; }\n",
    );
    let leaves: Vec<_> = commands()
        .into_iter()
        .filter(|(path, _)| !path.is_empty())
        .map(|(path, _)| format!("{path} "))
        .collect();
    for words in questions.iter().map(|(words, _)| words).chain(&leaves) {
        let typed = words.split(' ').map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        text.extend(["try '", words, "' qbo-backfill ", &typed, "\n"]);
    }
    let file = folder.path().join("try.bash");
    std::fs::write(&file, text).unwrap();
    let answers = said(shell, &["--norc", "--noprofile", file.to_str().unwrap()]);
    compare(shell, &answers, &questions);
    // Whatever the command, TAB behind it offers something.
    for words in leaves {
        let answer = answers.split("== ").find_map(|answer| answer.strip_prefix(&format!("{words}<\n")));
        let offered = answer.unwrap_or_else(|| panic!("bash did not answer {words:?}: {answers}"));
        assert!(!offered.trim().is_empty(), "bash offers nothing behind {words:?}");
    }
}

#[test]
fn fish_offers_options_commands_and_values_behind_every_command() {
    let Some(shell) = installed("fish") else { return };
    let (folder, questions) = (tempfile::tempdir().unwrap(), questions());
    let mut text = format!("source '{}'\n", script(&folder, shell));
    for (words, _) in &questions {
        text.extend(["echo '== ", words, "<'\ncomplete -C 'qbo-backfill ", words, "'\n"]);
    }
    let file = folder.path().join("try.fish");
    std::fs::write(&file, text).unwrap();
    compare(shell, &said(shell, &["--no-config", file.to_str().unwrap()]), &questions);
}

/// What an interactive zsh offers behind these words, in a terminal of its own.
fn zsh(folder: &Path, words: &str) -> String {
    let (outer, inner) = (folder.join("outer.zsh"), folder.join("inner.zsh"));
    let heard = said("zsh", &["-f", outer.to_str().unwrap(), inner.to_str().unwrap(), words]);
    let heard = heard.replace('\r', "");
    // The words themselves stand before the first of them, in the same line.
    heard.lines().filter_map(|line| line.split_once("hit:")).flat_map(|(_, hit)| [hit, "\n"]).collect()
}

#[test]
fn zsh_offers_options_commands_and_values_behind_every_command() {
    let Some(shell) = installed("zsh") else { return };
    let folder = tempfile::tempdir().unwrap();
    let inner = format!(
        "autoload -Uz compinit; compinit -u -D\nsource '{}'\nbindkey '^I' complete-word\n\
         compadd() {{\n\
         if [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]]; then builtin compadd \"$@\"; return $?; fi\n\
         typeset -a found; builtin compadd -A found \"$@\"; (( $#found )) && print -rl -- \"hit:\"${{^found}}\n}}\n\
         over() {{ print -r -- '==end=='; exit }}\ncomppostfuncs=( over )\n",
        script(&folder, shell)
    );
    std::fs::write(folder.path().join("inner.zsh"), inner).unwrap();
    let outer = "zmodload zsh/zpty\nzpty z zsh -f -i\nzpty -w z \"source $1\"\n\
        zpty -w -n z \"qbo-backfill $2\"$'\\t'\n\
        while zpty -r z part; do print -rn -- \"$part\"; [[ $part == *==end==* ]] && break; done\nzpty -d z\n";
    std::fs::write(folder.path().join("outer.zsh"), outer).unwrap();
    // Each question costs a shell and a terminal: those that are worth it.
    let asked: Vec<_> = questions()
        .into_iter()
        .filter(|(words, _)| {
            ["run --", "quarantine ", "trigger add --", "secrets export-public-info --", "auth login --"]
                .contains(&&**words)
                || VALUES.iter().any(|(known, _)| known == words)
        })
        .collect();
    assert_eq!(asked.len(), 5 + VALUES.len());
    let answers: String = asked
        .iter()
        .flat_map(|(words, _)| ["== ".into(), (*words).clone(), "<\n".into(), zsh(folder.path(), words)])
        .collect();
    compare(shell, &answers, &asked);
}
