//! The sessions of people who have signed in, in memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use backfill_report::hex;
use time::{Duration, OffsetDateTime};

use crate::session::person_name::PersonName;

/// How long a session lasts.
pub(crate) const LASTS: Duration = Duration::hours(12);

/// The most sessions. Beyond that, the one that ends first is ended.
const MOST: usize = 256;

/// A person who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) name: PersonName,
    /// When the session ends; `None` if a proxy signs the person in with every request.
    pub(crate) until: Option<OffsetDateTime>,
}

/// All sessions by the tokens in their cookies. A restart ends them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_token: Mutex<HashMap<String, (PersonName, OffsetDateTime)>>,
}

impl Sessions {
    /// Begins a session, and returns the token for its cookie.
    pub(crate) fn begin(&self, name: PersonName, now: OffsetDateTime) -> Result<String, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let token = hex(&bytes);
        let mut sessions = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, (_, until)| now < *until);
        if sessions.len() >= MOST {
            let first = sessions.iter().min_by_key(|(_, (_, until))| *until).map(|(token, _)| token.clone());
            first.map(|token| sessions.remove(&token));
        }
        sessions.insert(token.clone(), (name, now + LASTS));
        Ok(token)
    }

    /// Finds the session of a token.
    pub(crate) fn find(&self, token: &str, now: OffsetDateTime) -> Option<Session> {
        let sessions = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, until) = sessions.get(token).filter(|(_, until)| now < *until)?;
        Some(Session { name: name.clone(), until: Some(*until) })
    }

    /// Ends a session.
    pub(crate) fn end(&self, token: &str) {
        self.by_token.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_session_ends_by_itself_or_when_the_person_leaves() {
        let now = datetime!(2026-11-30 9:00 UTC);
        let sessions = Sessions::default();
        let [one, two] = ["op1", "op2"].map(|name| sessions.begin(name.parse().unwrap(), now).unwrap());
        assert_ne!(one, two);
        assert_eq!(sessions.find(&one, now).unwrap().name.as_str(), "op1");
        sessions.end(&one);
        assert_eq!(sessions.find(&one, now), None);
        assert_eq!(sessions.find(&two, now + LASTS), None);
    }
}
