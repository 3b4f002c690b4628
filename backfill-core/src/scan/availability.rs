use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the company has what a pipeline reads. Only its first question can show that it has not: what was read once
/// cannot be missing, so the same words later are a failure.
#[derive(Debug, Default)]
pub(crate) struct Availability {
    confirmed: AtomicBool,
    missing: OnceLock<Box<str>>,
}

impl Availability {
    /// A question was answered. Whether that is news.
    pub(crate) fn confirm(&self) -> bool {
        !self.confirmed.swap(true, Ordering::Relaxed)
    }

    /// Whether it is known by now.
    pub(crate) fn is_settled(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed) || self.missing.get().is_some()
    }

    /// The company says that it has nothing of the kind. Returns whether that is to be believed.
    pub(crate) fn deny(&self, message: &str) -> bool {
        if self.confirmed.load(Ordering::Relaxed) {
            return false;
        }
        self.missing.get_or_init(|| message.into());
        true
    }

    /// Why there is nothing to read, once that is known.
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
