//! A run with the rights of a loader, and without one of them.

use fixtures::Shape;

use crate::house::{House, YEAR, ended};

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_runs_with_its_grants_and_a_missing_one_is_named_before_any_call() {
    let house = House::new(&Shape { invoices: 5, ..Shape::empty() }).await;
    house.at(&["db", "init", "--roles"]).await.expect(0);
    let owner = house.client().await;
    owner.batch_execute("ALTER ROLE qbo_loader PASSWORD 'fake-1'").await.unwrap();
    house.set_secret("PG_PASSWORD", "fake-1").await.expect(0);
    let url = house.sandbox.url();
    let (port, name) = (house.database.port(), house.database.name().to_owned());
    let database = format!("postgres://qbo_loader@127.0.0.1:{port}/{name}");
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
