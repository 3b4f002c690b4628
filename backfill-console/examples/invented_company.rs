//! Serves a console with an invented company, to look at its pages: `cargo run -p backfill-console --example invented_company`.

#[path = "../tests/it/invented.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests use the rest, and may panic")]
mod invented;

use std::sync::Arc;

use backfill_console::{Listener, sign_in_path};
use qbo_auth::{Clock as _, SecretString, SystemClock};
use tokio::net::TcpListener;

/// Links that are printed: each works once, within two minutes.
const LINKS: usize = 40;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Arc::new(SystemClock::new());
    let is_empty = std::env::args().any(|argument| argument == "empty");
    let (console, _invented) = if is_empty {
        invented::empty(Arc::<SystemClock>::clone(&clock)).await
    } else {
        invented::full(Arc::<SystemClock>::clone(&clock)).await
    };
    let listener = TcpListener::bind(("127.0.0.1", 9464)).await?;
    let key = SecretString::from(invented::KEY.to_owned());
    for _ in 0..LINKS {
        let path = sign_in_path(&key, &"operador".parse()?, clock.now_utc())?;
        #[expect(clippy::print_stdout, reason = "an example")]
        {
            println!("http://qbo-backfill.localhost:9464{path}");
        }
    }
    console.serve(Listener::Tcp(listener), std::future::pending()).await?;
    Ok(())
}
