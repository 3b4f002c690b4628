//! Arguments that take one of a few words. clap knows the words, so that it completes them and suggests the nearest one.

use std::str::FromStr;

use clap::Command;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use backfill_core::Catalog;

/// The word that stands for the newest run where a run id is taken.
pub(crate) const LATEST: &str = "latest";

pub(crate) const CHUNKS: [&str; 6] = ["day", "week", "month", "quarter", "year", "whole"];
pub(crate) const AXES: [&str; 3] = ["updated", "created", "txn-date"];
pub(crate) const SELECTIONS: [&str; 3] = ["open", "failed", "again"];
pub(crate) const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
pub(crate) const STATES: [&str; 6] =
    ["pending", "running", "completed", "provisional", "failed", "unavailable"];

/// A parser that accepts only these words, and turns a word into its value.
pub(crate) fn one_of<T>(words: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// Adds the pipelines of the bundled catalogue, and the word for the newest run, to the command that completions are generated from. The parser itself
/// accepts any word, because the settings may name a catalogue with more pipelines.
pub(crate) fn with_pipelines(command: Command) -> Command {
    let catalog = Catalog::bundled();
    let entities = catalog.entities().iter().map(|spec| spec.name().to_string());
    let pipelines = catalog.entities().iter().map(backfill_core::EntitySpec::pipeline_name);
    // clap needs `'static` words; the process ends once the script is written.
    let names = entities.chain(pipelines).map(|name| &*name.leak());
    let names: Vec<&'static str> = names.chain(["all", "transactions", "lists"]).collect();
    offering(command, &names)
}

fn offering(command: Command, names: &[&'static str]) -> Command {
    let command = command.mut_args(|arg| match arg.get_id().as_str() {
        "pipelines" | "pipeline" => arg.value_parser(PossibleValuesParser::new(names.to_vec())),
        "run" => arg.value_parser(PossibleValuesParser::new([LATEST])),
        _ => arg,
    });
    command.mut_subcommands(|command| offering(command, names))
}

/// Repairs completions for bash behind a subcommand, for a binary whose name has a hyphen.
///
/// `clap_complete` 4.6 writes that hyphen as `__` in one half of the script and as `__subcmd__` in the other, so that the
/// two halves never match (<https://github.com/clap-rs/clap/issues/6421>). In the script of a version without that bug,
/// this function changes nothing.
pub(crate) fn mend_bash(script: &str, binary: &str) -> String {
    let wrong = binary.replace('-', "__subcmd__");
    script.replace(&format!("{wrong}__subcmd__"), &format!("{}__subcmd__", binary.replace('-', "__")))
}

/// Adds the values of positional arguments to completions for fish; `clap_complete` 4.6 writes none.
pub(crate) fn mend_fish(script: &str, command: &Command) -> String {
    let mut mended = script.to_owned();
    for top in command.get_subcommands() {
        let lead = format!("__fish_qbo_backfill_using_subcommand {}", top.get_name());
        mended.extend(positional_line(&lead, top));
        for below in top.get_subcommands() {
            let condition = format!("{lead}; and __fish_seen_subcommand_from {}", below.get_name());
            mended.extend(positional_line(&condition, below));
        }
    }
    mended
}

fn positional_line(condition: &str, command: &Command) -> Option<String> {
    let values = command.get_positionals().flat_map(clap::Arg::get_possible_values);
    let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
    let line = || format!("complete -c qbo-backfill -n \"{condition}\" -f -a \"{}\"\n", names.join(" "));
    (!names.is_empty()).then(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_offered_is_read() {
        assert!(CHUNKS.iter().all(|word| word.parse::<backfill_core::ChunkSize>().is_ok()));
        assert!(AXES.iter().all(|word| word.parse::<backfill_core::Axis>().is_ok()));
        assert!(
            qbo_auth::Environment::ALL
                .iter()
                .all(|one| one.as_str().parse::<qbo_auth::Environment>().is_ok())
        );
        assert!(STATES.iter().all(|word| word.parse::<raw_store::WindowState>().is_ok()));
    }

    #[test]
    fn the_script_for_bash_follows_and_finds_by_one_name() {
        let script =
            "qbo__backfill,run)\ncmd=\"qbo__backfill__subcmd__run\"\nqbo__subcmd__backfill__subcmd__run)";
        let mended = mend_bash(script, "qbo-backfill");
        assert!(
            mended.ends_with("qbo__backfill__subcmd__run)") && !mended.contains("qbo__subcmd__"),
            "{mended}"
        );
    }
}
