//! The key with which people sign in, and how often a wrong one is accepted.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qbo_auth::{ExposeSecret as _, SecretString};

use crate::session::link::is_equal;

/// Wrong keys within [`SPAN`] after which every key is refused for a while.
const MOST_WRONG: usize = 10;

/// The time over which wrong keys are counted.
const SPAN: Duration = Duration::from_secs(60);

/// What became of a key that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyCheck {
    Right,
    Wrong,
    /// Too many wrong keys were entered: this one was not looked at.
    TooMany,
}

/// The key, and the times of the wrong ones.
#[derive(Debug)]
pub(crate) struct SignInKey {
    key: SecretString,
    wrong: Mutex<VecDeque<Duration>>,
}

impl SignInKey {
    pub(crate) fn new(key: SecretString) -> Self {
        Self { key, wrong: Mutex::default() }
    }

    pub(crate) fn secret(&self) -> &SecretString {
        &self.key
    }

    /// Checks a key that a person entered at `elapsed`, by a clock that never goes back.
    pub(crate) fn check(&self, entered: &SecretString, elapsed: Duration) -> KeyCheck {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        while wrong.front().is_some_and(|at| elapsed.saturating_sub(*at) >= SPAN) {
            wrong.pop_front();
        }
        if wrong.len() >= MOST_WRONG {
            return KeyCheck::TooMany;
        }
        let own = self.key.expose_secret();
        if !own.is_empty() && is_equal(&self.key, own, entered.expose_secret().trim()) {
            return KeyCheck::Right;
        }
        wrong.push_back(elapsed);
        KeyCheck::Wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ten_wrong_keys_in_a_minute_no_key_is_looked_at() {
        let secret = |text: &str| SecretString::from(text.to_owned());
        let key = SignInKey::new(secret("false key one"));
        for at in 0..10 {
            assert_eq!(key.check(&secret("x"), Duration::from_secs(at)), KeyCheck::Wrong);
        }
        assert_eq!(key.check(&secret("false key one"), Duration::from_secs(59)), KeyCheck::TooMany);
        assert_eq!(key.check(&secret("false key one"), Duration::from_secs(60)), KeyCheck::Right);
        assert_eq!(SignInKey::new(secret("")).check(&secret(""), Duration::ZERO), KeyCheck::Wrong);
    }
}
