//! Decides whether the company has an entity, on the word of more than one response.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the company has the entity that a pipeline reads. Only the pipeline's first request can show that it does not: an
/// entity that was read once cannot be missing, so the same error later is a failure.
#[derive(Debug, Default)]
pub(crate) struct Availability {
    confirmed: AtomicBool,
    missing: OnceLock<Box<str>>,
}

impl Availability {
    /// Notes that a request was answered. Returns whether that is new.
    pub(crate) fn confirm(&self) -> bool {
        !self.confirmed.swap(true, Ordering::Relaxed)
    }

    /// Whether the availability is known by now.
    pub(crate) fn is_settled(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed) || self.missing.get().is_some()
    }

    /// Notes that the company claims not to have the entity. Returns whether to believe it.
    pub(crate) fn deny(&self, message: &str) -> bool {
        if self.confirmed.load(Ordering::Relaxed) {
            return false;
        }
        self.missing.get_or_init(|| message.into());
        true
    }

    /// Returns why there is nothing to read, once that is known.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.missing.get().map(|message| &**message)
    }
}

#[cfg(test)]
mod tests {
    use super::Availability;

    #[test]
    fn only_before_anything_was_answered_is_a_refusal_believed() {
        let availability = Availability::default();
        assert!(availability.deny("code 5020"));
        assert!(availability.deny("code 4001"));
        assert_eq!(availability.missing(), Some("code 5020"));

        let availability = Availability::default();
        availability.confirm();
        assert!(!availability.deny("code 5020"));
        assert_eq!(availability.missing(), None);
    }
}
