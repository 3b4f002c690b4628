//! F10: which documents may become rows. `tests/postgres.rs` asks a real server about those of the corpus.

use std::collections::HashSet;
use std::fmt;

use raw_store::fuzzing::repeats_a_key;
use raw_store::{Unstorable, check_storable};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::memory::bounded;
use crate::shape::Shape;

/// The first keys that are looked at have room without asking for it.
const SPARE: usize = 16 << 10;

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape { name: "keys", head: "{\"\":0", unit: ",\"#\":0", tail: "}" },
    Shape { name: "escapes", head: "[\"", unit: "\\ud83d\\ude00", tail: "\"]" },
    Shape { name: "quotes", head: "[\"\"", unit: ",\"\"", tail: "]" },
    Shape { name: "nesting", head: "", unit: "[", tail: "" },
    Shape { name: "objects", head: "[{}", unit: ",{\"a\":{}}", tail: "]" },
    Shape { name: "spaces", head: "{\"a\"", unit: " ", tail: ":1}" },
    Shape { name: "numbers", head: "[0", unit: ",-12345678901234567890.1230e-10", tail: "]" },
];

/// Looks a document over.
pub fn target(data: &[u8]) {
    let storable = bounded(&[], 0, || check_storable(data));
    let repeats = bounded(data, SPARE, || repeats_a_key(data));
    let Ok(text) = std::str::from_utf8(data) else {
        assert_eq!(storable, Err(Unstorable::InvalidUtf8));
        return;
    };
    if storable.is_err() || serde_json::from_str::<&RawValue>(text).is_err() {
        return;
    }
    let mut seen = Seen::default();
    let read = seen.deserialize_all(text);
    // The other reader stops at 128 levels, which is beyond ours, and at what is not the text that it was said to be.
    assert!(read, "accepted, and refused by another reader: {text:?}");
    assert_eq!(repeats, seen.repeated, "{text:?}");
}

/// Another reader of the whole document, which remembers whether a key came twice as it is spelled.
#[derive(Default)]
struct Seen {
    repeated: bool,
}

impl Seen {
    fn deserialize_all(&mut self, text: &str) -> bool {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Any(self).deserialize(&mut deserializer).is_ok()
    }
}

struct Any<'s>(&'s mut Seen);

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        let read = match raw.get().as_bytes().first() {
            Some(b'{') => inner.deserialize_map(self),
            Some(b'[') => inner.deserialize_seq(self),
            // Texts are read whole, escapes and all; numbers may be beyond any of Rust's.
            Some(b'"') => serde_json::from_str::<String>(raw.get()).map(drop),
            _ => Ok(()),
        };
        read.map_err(serde::de::Error::custom)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<&'de RawValue>()? {
            self.0.repeated |= !keys.insert(key.get());
            map.next_value_seed(Any(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Any(self.0))?.is_some() {}
        Ok(())
    }
}
