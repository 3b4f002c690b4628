//! A run with the rights of a loader, and without one of them.

use fixtures::Shape;

use crate::house::{House, LOADER_PASSWORD, YEAR, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_runs_with_its_grants_and_a_missing_one_is_named_before_any_call() {
    let house = House::new(&Shape { invoices: 5, ..Shape::empty() }).await;
    let (owner, database) = (house.client().await, house.make_roles().await);
    house.set_secret("PG_PASSWORD", LOADER_PASSWORD).await.expect(0);
    let url = house.sandbox.url();
    let at = |words: &[&str]| {
        let mut command = house.command(words);
        command.args(["--api-url", &url, "--oauth-url", &url, "--database", &database]);
        ended(command)
    };
    let run = [&["run", "Invoice"], &YEAR[..]].concat();
    at(&run).await.expect(0);
    at(&["db", "check"]).await.expect(0);
    at(&["doctor"]).await.expect(0);

    let calls = house.sandbox.journal().metered();
    owner.batch_execute("REVOKE UPDATE ON raw.backfill_log FROM qbo_loader").await.unwrap();
    let statement = "GRANT UPDATE ON raw.backfill_log TO qbo_loader";
    for words in [&[&run[..], &["--force"]].concat()[..], &["db", "check"], &["doctor"]] {
        let refused = at(words).await.expect(7);
        assert!(refused.error().ends_with(statement), "{}", refused.error());
    }
    assert_eq!(house.sandbox.journal().metered(), calls);
}
