//! Inputs of any length, each of one kind of thing over and over.

use std::fmt::Write as _;

/// What a long input is made of: `head`, then `unit` as often as it takes, then `tail`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What it shows, for people.
    pub name: &'static str,
    /// How it begins.
    pub head: &'static str,
    /// What comes again; a `#` in it is its number.
    pub unit: &'static str,
    /// How it ends.
    pub tail: &'static str,
}

impl Shape {
    /// An input of about so many bytes.
    pub fn of_bytes(&self, bytes: usize) -> Vec<u8> {
        let mut text = String::with_capacity(bytes + 64);
        text.push_str(self.head);
        let mut number = 0_u32;
        while text.len() + self.tail.len() < bytes {
            match self.unit.split_once('#') {
                Some((before, after)) => {
                    let _ = write!(text, "{before}{number}{after}");
                }
                None => text.push_str(self.unit),
            }
            number += 1;
        }
        text.push_str(self.tail);
        text.into_bytes()
    }
}
