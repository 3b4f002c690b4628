//! The settings of a session: set when it begins, and read back, because a pooler may drop the startup options of the login.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::SchemaName;

/// Settings of each session, as the server shows them. The time limits: a page takes a fraction of a second; a statement that
/// takes this long is stuck, or another session holds a lock on our tables. The isolation: every guard is a conditional write
/// that reads its row again after a wait. No compilation of queries: on a page it costs more than it saves.
const SETTINGS: [(&str, &str); 7] = [
    ("statement_timeout", "1min"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("default_transaction_isolation", "read committed"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
    ("timezone", "UTC"),
];

/// `statement_timeout` of a store for people who look at pages.
const READERS_WAIT: &str = "5s";

/// Additional settings of a store that only shows: no statement of it can write, whatever its role may do.
pub(super) const READ_ONLY: &[(&str, &str)] = &[("default_transaction_read_only", "on")];

/// A commit is on the server's disk when it is answered, whatever the default of the server, the database or the role; where
/// the default waits for more than that, it stays.
const COMMITS: &str =
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = 'remote_apply'
        THEN 'remote_apply' ELSE 'on' END, false)";

/// Additional settings of a session that holds the only copy of something, or a lock for a whole process: the server notices
/// within a minute that a host is gone, and frees its lock.
pub(in crate::postgres) const DURABLE: &[(&str, &str)] =
    &[("tcp_keepalives_idle", "10"), ("tcp_keepalives_interval", "10"), ("tcp_keepalives_count", "3")];

/// Whether the startup options of the login arrived: if a pooler drops them, this setting has another source.
const ARRIVED: &str = "SELECT source = 'client' FROM pg_settings WHERE name = 'jit'";

/// The startup option of the login, as on the server's command line. It is set once more in the session, so nothing depends on
/// it; it shows whether there is a pooler in between.
pub(super) const AT_LOGIN: &str = "-c jit=off";

/// The settings that each session of a store must have.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    search_path: Box<str>,
    /// Another limit in place of the usual one.
    statement_timeout: Option<&'static str>,
    more: &'static [(&'static str, &'static str)],
}

/// Why a session cannot be used.
#[derive(Debug)]
pub(super) enum Unfit {
    Driver(tokio_postgres::Error),
    Terms(String),
}

impl From<tokio_postgres::Error> for Unfit {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl Terms {
    pub(super) fn new(schema: &SchemaName, more: &'static [(&'static str, &'static str)]) -> Self {
        Self { search_path: schema.as_str().into(), statement_timeout: None, more }
    }

    /// Limits statements for people who wait for an answer, and may press the button again.
    pub(super) fn for_readers(self) -> Self {
        Self { statement_timeout: Some(READERS_WAIT), ..self }
    }

    fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let limit = self.statement_timeout;
        SETTINGS
            .into_iter()
            .map(move |(name, value)| (name, limit.filter(|_| name == "statement_timeout").unwrap_or(value)))
    }

    /// Sends all settings and reads them back, in one round trip. With `asks`, also whether the startup options arrived.
    pub(super) async fn agree(&self, client: &Client, asks: bool) -> Result<Option<bool>, Unfit> {
        let set = |(name, value): (&str, &str)| format!("set_config('{name}', '{value}', false)");
        let path = ("search_path", &*self.search_path);
        let more = self.settings().chain(self.more.iter().copied()).map(set);
        let said: Vec<_> = std::iter::once(set(path)).chain(more).collect();
        let shown: Vec<_> = SETTINGS.iter().map(|(name, _)| format!("current_setting('{name}')")).collect();
        let arrived = if asks { format!("{ARRIVED}; ") } else { String::new() };
        let statements = format!(
            "{arrived}SELECT {}, {COMMITS}; SELECT current_setting('search_path'), coalesce(current_schema(), ''),
                current_setting('synchronous_commit'), {}",
            said.join(", "),
            shown.join(", "),
        );
        let rows = rows(client, &statements).await?;
        let last = rows.last().map_or(&[][..], Vec::as_slice);
        self.check(last).map_err(Unfit::Terms)?;
        let first = rows.first().and_then(|row| row.first()).filter(|_| asks);
        Ok(first.map(|arrived| arrived == "t"))
    }

    /// Compares the settings that were read back with those that were sent.
    fn check(&self, shown: &[String]) -> Result<(), String> {
        let [path, schema, commits, shown @ ..] = shown else {
            return Err("it does not report its settings".into());
        };
        let differs = |name: &str, found: &str, wanted: &str| format!("{name} is {found:?}, not {wanted:?}");
        if **path != *self.search_path {
            return Err(differs("search_path", path, &self.search_path));
        }
        // There is no current schema before it has been created.
        if !schema.is_empty() && **schema != *self.search_path {
            return Err(differs("the current schema", schema, &self.search_path));
        }
        if !["on", "remote_apply"].contains(&&**commits) {
            return Err(differs("synchronous_commit", commits, "on"));
        }
        for (number, (name, wanted)) in self.settings().enumerate() {
            let found = shown.get(number).map_or("", String::as_str);
            if !found.eq_ignore_ascii_case(wanted) {
                return Err(differs(name, found, wanted));
            }
        }
        Ok(())
    }
}

pub(super) async fn rows(
    client: &Client,
    statements: &str,
) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let answered = client.simple_query(statements).await?;
    let text = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect()
    };
    Ok(answered
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(text(row)) } else { None })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{SETTINGS, Terms};

    fn shown() -> Vec<String> {
        let mut shown = vec!["acme".to_owned(), "acme".into(), "on".into()];
        shown.extend(SETTINGS.iter().map(|(_, value)| (*value).to_owned()));
        shown
    }

    #[test]
    fn people_wait_less_than_programs() {
        let limit = |terms: Terms| terms.settings().find(|(name, _)| *name == "statement_timeout").unwrap().1;
        let terms = || Terms::new(&"acme".parse().unwrap(), &[]);
        assert_eq!((limit(terms()), limit(terms().for_readers())), ("1min", "5s"));
        assert!(terms().for_readers().check(&shown()).unwrap_err().contains("statement_timeout"));
    }

    #[test]
    fn a_session_that_does_not_have_what_was_said_is_refused_by_name() {
        let terms = Terms::new(&"acme".parse().unwrap(), &[]);
        assert_eq!(terms.check(&shown()), Ok(()));
        assert!(terms.check(&[]).is_err());
        for (at, name) in
            [(0, "search_path"), (1, "schema"), (2, "synchronous_commit"), (3, "statement_timeout")]
        {
            let mut shown = shown();
            shown[at] = "raw".into();
            let refused = terms.check(&shown).unwrap_err();
            assert!(refused.contains(name) && refused.contains("raw"), "{refused}");
        }
        let mut not_there_yet = shown();
        not_there_yet[1].clear();
        assert_eq!(terms.check(&not_there_yet), Ok(()));
    }
}
