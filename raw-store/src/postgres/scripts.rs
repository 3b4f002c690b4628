//! The SQL scripts that make up the schema, by version.

/// One numbered script of `sql/`. It can be run again at any time.
pub(super) struct Script {
    pub(super) version: i32,
    pub(super) sql: &'static str,
}

pub(super) const SCRIPTS: [Script; 22] = [
    Script { version: 1, sql: include_str!("../../sql/0001_ledger.sql") },
    Script { version: 2, sql: include_str!("../../sql/0002_consent.sql") },
    Script { version: 3, sql: include_str!("../../sql/0003_grants.sql") },
    Script { version: 4, sql: include_str!("../../sql/0004_unavailable.sql") },
    Script { version: 5, sql: include_str!("../../sql/0005_quarantine.sql") },
    Script { version: 6, sql: include_str!("../../sql/0006_sharing.sql") },
    Script { version: 7, sql: include_str!("../../sql/0007_quarantine_axis.sql") },
    Script { version: 8, sql: include_str!("../../sql/0008_counted.sql") },
    Script { version: 9, sql: include_str!("../../sql/0009_triggers.sql") },
    Script { version: 10, sql: include_str!("../../sql/0010_findings.sql") },
    Script { version: 11, sql: include_str!("../../sql/0011_outage.sql") },
    Script { version: 12, sql: include_str!("../../sql/0012_looked_over.sql") },
    Script { version: 13, sql: include_str!("../../sql/0013_accepted.sql") },
    Script { version: 14, sql: include_str!("../../sql/0014_chain.sql") },
    Script { version: 15, sql: GUARDS },
    Script { version: 16, sql: include_str!("../../sql/0016_gone.sql") },
    Script { version: 17, sql: include_str!("../../sql/0017_refusals.sql") },
    Script { version: 18, sql: include_str!("../../sql/0018_verifications.sql") },
    Script { version: 19, sql: include_str!("../../sql/0019_reports.sql") },
    Script { version: 20, sql: include_str!("../../sql/0020_attachments.sql") },
    Script { version: 21, sql: include_str!("../../sql/0021_console.sql") },
    Script { version: 22, sql: include_str!("../../sql/0022_exactness.sql") },
];

/// Restores keys and columns that were dropped by hand. The other scripts rely on them.
pub(super) const GUARDS: &str = include_str!("../../sql/0015_guards.sql");

/// Roles, and what each may do. Not a numbered script: only an administrator can run it.
pub(super) const ROLES: &str = include_str!("../../sql/roles/roles.sql");

/// The version of the schema that this program needs.
pub(super) const KNOWN: i32 = SCRIPTS[SCRIPTS.len() - 1].version;

/// How a script names its schema; see the head of each script.
pub(super) const PLACEHOLDER: &str = "raw /*schema*/";

#[cfg(test)]
mod tests {
    use super::{PLACEHOLDER, SCRIPTS};

    #[test]
    fn scripts_are_numbered_from_one_and_name_their_schema_only_where_it_is_replaced() {
        for (at, script) in SCRIPTS.iter().enumerate() {
            assert_eq!(usize::try_from(script.version).unwrap(), at + 1);
            assert_eq!(script.sql.matches(PLACEHOLDER).count(), 2);
            let code = script.sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            let named = code.filter(|line| !line.contains(PLACEHOLDER) && line.contains("raw."));
            assert_eq!(named.collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }
}
