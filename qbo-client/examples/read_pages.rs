//! Reads the invoices of one company, page by page, and says what it waited for.
//!
//! `cargo run -p qbo-client --example read_pages`
//!
//! The company is emulated on loopback, and refuses the first request. Leave out `with_api` to read a company of `QuickBooks`,
//! and put a `RefreshingProvider` in the place of the fixed token.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::sync::Arc;

use fixtures::{CallKind, Company, Fault, Rule, Sandbox, SandboxOptions, Shape};
use qbo_auth::{AccessToken, Endpoints, Environment, StaticProvider, SystemClock};
use qbo_client::{HttpQboClient, PageSize, Property, QboClient as _, Query, RatePolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shape = Shape::default().with_counts(120, 1, 1);
    let sandbox = Sandbox::start(Company::generate(1, &shape), SandboxOptions::default()).await?;
    sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status: 503 }));

    let endpoints = Endpoints::of(Environment::Sandbox).with_api(&sandbox.url())?;
    let tokens = Arc::new(StaticProvider::new(AccessToken::new(sandbox.access_token())));
    let client =
        HttpQboClient::builder(sandbox.realm_id().parse()?, endpoints, tokens, Arc::new(SystemClock::new()))
            .rate_policy(Some(RatePolicy::QBO))
            .build()?;
    let mut events = client.subscribe();

    let invoices = Query::select("Invoice".parse()?).order_by(Property::LAST_UPDATED_TIME);
    let (size, mut start, mut read) = (PageSize::new(50)?, 1, 0);
    loop {
        let page = client.fetch_page(&invoices.clone().page(start, size)).await?;
        // Each record is a view of the server's bytes: no number is changed on the way.
        let bytes: usize = page.records().map(|record| record.bytes().len()).sum();
        println!("from {start}: {} records, {bytes} bytes", page.len());
        read += page.len() as u64;
        if size.is_last_page(page.len()) {
            break;
        }
        start += u32::from(size.get());
    }
    // A position shifts when records change meanwhile; `backfill-core` reads by time, and proves the result by this count.
    assert_eq!(client.count(&invoices.page(1, size)).await?, read);

    while let Ok(event) = events.try_recv() {
        println!("meanwhile: {event:?}");
    }
    let usage = client.usage();
    println!("{} calls, {} of them repeats", usage.calls, usage.retries);
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it ends well");
}
