#![doc = include_str!("../README.md")]

mod console;
mod company;
mod consents;
mod secret_shelf;
mod service_status;
mod listener;
mod problem;
mod server;
mod connections;
mod door;
mod session;
mod sign_in;
mod time_limit;
mod preferences;
mod app;
mod views;
mod visit;
mod route;
mod pages;
mod assets;
mod trouble;
mod plain;
mod secret_text;
mod record;
mod local_time;
mod when;
mod facts;
mod words;

pub use company::{Company, CompanyStore, OpenCompany, OpenStore};
pub use consents::{ConsentAttempt, ConsentProgress, ConsentStatus, Consents};
pub use console::Console;
pub use door::{InvalidPublicUrl, OWN_HOST, PublicUrl};
pub use listener::Listener;
pub use problem::Problem;
pub use secret_shelf::SecretShelf;
pub use server::serve_status;
pub use service_status::{Health, ServiceStatus};
pub use session::{InvalidPersonName, PersonName, sign_in_path};

// Types of other crates that the signatures above mention.
pub use async_trait::async_trait;
pub use getrandom::Error as RandomError;
