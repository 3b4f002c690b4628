//! Mocks of the crate's traits, made by [`mockall`], for the tests of services that embed it.
//!
//! ```
//! use qbo_client::mock::MockQboClient;
//! use qbo_client::{QboClient, Query, RawPage};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut client = MockQboClient::new();
//! client.expect_fetch_page().times(1).returning(|query| {
//!     let body = r#"{"QueryResponse":{"Invoice":[{"Id":"1"}]},"time":"2026-01-01T00:00:00Z"}"#;
//!     Ok(RawPage::answering(body.into(), query).expect("it is a page"))
//! });
//! let invoices = Query::select("Invoice".parse()?).page(1, Default::default());
//! assert_eq!(client.fetch_page(&invoices).await?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

pub use crate::client::MockQboClient;
pub use crate::http::MockTransport;
pub use crate::limit::{MockCallBudget, MockCallPermit};
