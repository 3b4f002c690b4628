use std::ops::Range;

/// The keys of the objects that are open at a place of a JSON text: they tell whether one stands twice in its object, of which
/// `jsonb` keeps the last. Keys are compared as they are spelled: one that is written with escapes is not found to be another
/// without.
#[derive(Debug)]
pub(crate) struct Keys<'j> {
    keys: Vec<Key<'j>>,
    /// Where the keys of each open object begin.
    objects: Vec<usize>,
}

/// A key, and before it what nearly always tells it from others: its first bytes.
#[derive(Debug, PartialEq, Eq)]
struct Key<'j> {
    beginning: u64,
    text: &'j [u8],
}

impl<'j> Keys<'j> {
    pub(crate) fn new() -> Self {
        Self { keys: Vec::with_capacity(64), objects: Vec::with_capacity(8) }
    }

    /// An object begins.
    pub(crate) fn open(&mut self) {
        self.objects.push(self.keys.len());
    }

    /// An object ends.
    pub(crate) fn close(&mut self) {
        self.keys.truncate(self.objects.pop().unwrap_or_default());
    }

    /// A key stands at a place of the text. Whether its object has it already.
    pub(crate) fn repeats(&mut self, json: &'j [u8], place: Range<usize>) -> bool {
        let (Some(first), Some(text)) = (self.objects.last(), json.get(place.clone())) else { return false };
        let key = Key { beginning: beginning(json, place), text };
        let is_known = self.keys[*first..].contains(&key);
        self.keys.push(key);
        is_known
    }
}

/// The first eight bytes of a place, or as many as it has.
fn beginning(json: &[u8], place: Range<usize>) -> u64 {
    let len = place.len().min(8);
    let word = match json.get(place.start..).and_then(|ahead| ahead.first_chunk()) {
        Some(word) => u64::from_le_bytes(*word),
        // One of the last keys of a document.
        None => json[place].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    if len < 8 { word & ((1 << (8 * len)) - 1) } else { word }
}
