//! `report --certificate`: its numbers are those of the database, and its digests are computed by psql as well.

use std::process::{Command, Stdio};

use fixtures::Shape;
use serde_json::Value;

use crate::house::House;

async fn certificate(house: &House) -> Value {
    let ended = house.at(&["report", "--certificate", "--output", "json"]).await.expect(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Runs a command line of the certificate in a real shell, with this program's psql.
async fn in_a_shell(house: &House, line: &str) -> String {
    let url = house.addresses().pop().unwrap();
    let program = house.command(&["--database", &url, "db", "psql"]);
    let words: Vec<_> = [program.get_program()]
        .into_iter()
        .chain(program.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let mut shell = Command::new("sh");
    let line = format!("psql() {{ {} \"$@\"; }}\n{line}", words.join(" "));
    shell.args(["-c", &line]).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    crate::house::ended(shell).await.expect(0).stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_what_is_stored_and_what_was_shown_and_psql_agrees() {
    let house = House::new(&Shape::default().with_counts(300, 40, 5)).await;
    let ended = house.at(&["report", "--certificate"]).await;
    assert!(ended.error().contains("is not set up"), "{}", ended.error());
    house.backfill(&["Invoice", "Customer"], &[]).await.expect(0);
    house.at(&["verify", "Invoice", "--by-count"]).await.expect(0);

    let first = certificate(&house).await;
    let of = |certificate: &Value, table: &str| -> Value {
        let pipelines = certificate["pipelines"].as_array().unwrap();
        pipelines.iter().find(|one| one["table"] == table).unwrap().clone()
    };
    let invoices = of(&first, "qb_invoices");
    assert_eq!((&invoices["rows"], &invoices["rows_gone"]), (&300.into(), &0.into()));
    assert_eq!(invoices["windows_open"], 0);
    assert_eq!(invoices["verified"][0]["method"], "count");
    assert_eq!(invoices["verified"][0]["result"], "confirmed");
    assert_eq!(of(&first, "qb_customers")["verified"], Value::Array(Vec::new()));
    for table in ["qb_invoices", "qb_customers"] {
        let told = of(&first, table);
        let computed = in_a_shell(&house, told["sha256_command"].as_str().unwrap()).await;
        assert_eq!(computed.split_whitespace().next(), told["sha256"].as_str(), "{table}");
    }
    assert_eq!(certificate(&house).await["sha256"], first["sha256"], "the same rows, the same digest");

    // A row that is replaced, and one that is marked as gone.
    house.sandbox.with_company(|company| {
        let ids: Vec<_> = company.ids("Invoice").into_iter().take(2).collect();
        company.edit("Invoice", &ids[0]);
        assert!(company.delete("Invoice", &ids[1]));
    });
    house.at(&["verify", "Invoice", "--mark-gone"]).await;
    assert_eq!(of(&certificate(&house).await, "qb_invoices")["rows_gone"], 1);
    let client = house.client().await;
    client
        .execute("DELETE FROM raw.qb_customers WHERE id = (SELECT min(id) FROM raw.qb_customers)", &[])
        .await
        .unwrap();
    let later = certificate(&house).await;
    assert_ne!(later["sha256"], first["sha256"]);
    assert_ne!(of(&later, "qb_customers")["sha256"], of(&first, "qb_customers")["sha256"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_a_page_for_paper_and_names_no_record() {
    let house = House::new(&Shape::default().with_counts(30, 4, 5)).await;
    house.backfill(&["Invoice", "Customer"], &[]).await.expect(0);
    house.at(&["verify", "Invoice"]).await.expect(0);
    let file = house.home().join("certificate.html");
    let ended = house.at(&["report", "--certificate", "--out", file.to_str().unwrap()]).await.expect(0);
    assert!(ended.stderr.contains("the certificate is in "), "{}", ended.stderr);
    let page = std::fs::read_to_string(&file).unwrap();
    for words in
        ["Certificate of what is stored", "confirmed record by record", "Not verified: qb_customers."]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("@page") && !page.contains("<script"));
    let ids = house.sandbox.with_company(|company| company.ids("Invoice"));
    let shown = ids.iter().find(|id| id.len() > 3 && page.contains(&***id));
    assert_eq!(shown, None);
    let refused = house.at(&["report", "--certificate", "--format", "md"]).await.expect(2);
    assert!(refused.error().contains("written as html or json"), "{}", refused.error());
}
