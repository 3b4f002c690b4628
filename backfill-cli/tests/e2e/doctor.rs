//! The doctor: what is sound, what is not, and the remedy beside it.

use fixtures::Shape;
use qbo_auth::{Clock as _, SystemClock};

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_house_has_every_line_fine() {
    // The emulated company's clock is its own; here it has to be right.
    let house = House::new(&Shape::empty().with_now(SystemClock::new().now_utc())).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let seen = house.at(&["doctor"]).await.expect(0);
    assert!(seen.stdout.lines().all(|line| line.starts_with("ok ")), "{}", seen.stdout);
    // `secrets init` has put both there, unasked; somebody who names the places is warned.
    assert!(seen.stdout.contains("its key lies in the same folder"), "{}", seen.stdout);
    let (vault, key) = (house.data().join("vault"), house.data().join("vault.key"));
    let places = ["--vault", vault.to_str().unwrap(), "--vault-key-file", key.to_str().unwrap()];
    let named = house.at(&[&["doctor", "--offline"], &places[..]].concat()).await.expect(0);
    assert!(
        named.stdout.contains("warning vault") && named.stdout.contains("one folder"),
        "{}",
        named.stdout
    );
    assert!(seen.stderr.is_empty(), "{}", seen.stderr);
    for subject in ["configuration", "vault", "consent", "database", "quickbooks", "clock"] {
        assert!(seen.stdout.contains(&format!("ok      {subject}")), "{subject} in:\n{}", seen.stdout);
    }
    let wrong = House::new(&Shape::empty()).await.at(&["doctor"]).await.expect(0);
    assert!(wrong.stdout.contains("warning clock"), "{}", wrong.stdout);
    let calls = house.sandbox.journal().calls().len();
    house.at(&["doctor", "--offline", "--output", "json"]).await.expect(0);
    assert_eq!(house.sandbox.journal().calls().len(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_has_its_exit_code_and_its_remedy() {
    let house = House::new(&Shape::empty()).await;
    house.sandbox.revoke_grant();
    let revoked = house.at(&["doctor"]).await.expect(4);
    assert!(revoked.stdout.contains("failed  quickbooks"), "{}", revoked.stdout);

    let nowhere = house
        .run(&["doctor", "--offline", "--database", "postgres://nobody@127.0.0.1:1/none"])
        .await
        .expect(7);
    assert!(
        nowhere.stdout.contains("failed  database") && nowhere.stdout.contains('→'),
        "{}",
        nowhere.stdout
    );

    house.run(&["secrets", "rm", "QBO_REFRESH_TOKEN"]).await.expect(0);
    let none = house.at(&["doctor", "--offline"]).await.expect(4);
    assert!(none.stdout.contains("no refresh token"), "{}", none.stdout);

    std::fs::write(house.data().join("vault"), "not a vault").unwrap();
    house.at(&["doctor"]).await.expect(8);
}
