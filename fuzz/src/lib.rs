//! What comes from outside, one target for each place where it is read: answers of `QuickBooks` and of its token
//! service, files, settings, and what a person pastes.
//!
//! A target is a function over any bytes. It refuses nothing and returns nothing; what has to hold of its place is
//! asserted inside. `cargo fuzz` drives it with libFuzzer, `tests/replay.rs` with the corpus.

mod memory;
mod message;
pub mod mutation;
pub mod shape;

pub mod page;
pub mod fault;
pub mod token;
pub mod retry_after;
pub mod timestamp;
pub mod plan;
pub mod literal;
pub mod vault;
pub mod config;
pub mod payload;
pub mod redirect;

use shape::Shape;

/// A place where bytes from outside are read.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is also that of its folder in the corpus.
    pub name: &'static str,
    /// Reads the bytes and asserts what has to hold.
    pub run: fn(&[u8]),
    /// What its large inputs are made of.
    pub shapes: &'static [Shape],
}

/// All targets.
pub const TARGETS: [Target; 11] = [
    Target { name: "page", run: page::target, shapes: page::SHAPES },
    Target { name: "fault", run: fault::target, shapes: fault::SHAPES },
    Target { name: "token", run: token::target, shapes: token::SHAPES },
    Target { name: "retry_after", run: retry_after::target, shapes: retry_after::SHAPES },
    Target { name: "timestamp", run: timestamp::target, shapes: timestamp::SHAPES },
    Target { name: "plan", run: plan::target, shapes: plan::SHAPES },
    Target { name: "literal", run: literal::target, shapes: literal::SHAPES },
    Target { name: "vault", run: vault::target, shapes: vault::SHAPES },
    Target { name: "config", run: config::target, shapes: config::SHAPES },
    Target { name: "payload", run: payload::target, shapes: payload::SHAPES },
    Target { name: "redirect", run: redirect::target, shapes: redirect::SHAPES },
];
