//! Derives the names of triggers from a file. Mage allows any text as a name, and the same name for several pipelines; here
//! names are unique and have few characters. So a name begins with its pipeline and encodes all other characters, so that
//! two of Mage's triggers never get the same name.

/// Length limit of a name.
const LONGEST: usize = 80;

/// The name of a trigger of a pipeline. A byte that is not allowed becomes a point and two hexadecimal digits. A name that
/// is too long is cut, and ends with a fingerprint of the whole.
pub(super) fn name(pipeline: &str, name: &str) -> String {
    let spelled = format!("{pipeline}.{}", spelled(name));
    if spelled.len() <= LONGEST {
        return spelled;
    }
    let print = format!("..{:016x}", fingerprint(spelled.as_bytes()));
    format!("{}{print}", &spelled[..LONGEST - print.len()])
}

fn spelled(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'_' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!(".{byte:02x}"),
    };
    name.bytes().map(byte).collect()
}

/// The name in earlier versions, without the pipeline, so that a trigger they armed is not armed again.
pub(super) fn folded(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    name.chars().map(plain).collect()
}

/// Hashes with FNV-1a, whose result is the same in every build.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |print, byte| (print ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use raw_store::TriggerName;

    use super::*;

    #[test]
    fn no_two_names_become_one_and_each_can_be_a_name() {
        let long = "á".repeat(60);
        let longer = format!("{long}b");
        let names = [
            "run_once",
            "cierre enero",
            "cierre-enero",
            "cierre/enero",
            "cierre.enero",
            "cierre.20enero",
            "año",
            "aúo",
            "",
            " ",
            &long,
            &longer,
        ];
        let pipelines = ["qb_invoices_backfill", "qb_customers_backfill", "qb_items_backfill"];
        let all: HashSet<String> =
            pipelines.iter().flat_map(|pipeline| names.iter().map(|one| name(pipeline, one))).collect();
        assert_eq!(all.len(), names.len() * pipelines.len());
        for one in all {
            assert!(one.parse::<TriggerName>().is_ok(), "{one}");
        }
        assert_eq!(name("qb_items_backfill", "carga enero"), "qb_items_backfill.carga.20enero");
    }
}
