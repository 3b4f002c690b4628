//! The real binary against the emulated company and a real PostgreSQL.

mod house;
mod inputs;
mod kills;
mod runs;
mod secrecy;
