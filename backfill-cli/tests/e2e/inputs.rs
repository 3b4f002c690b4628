//! Bad input: one line that says what and what to do, the documented exit code, nothing half-done.

use std::os::unix::fs::PermissionsExt as _;

use fixtures::{CallKind, Fault, Rule, Shape};

use crate::house::{House, YEAR};

async fn small() -> House {
    House::new(&Shape::default().with_counts(20, 5, 5)).await
}

/// Words on the command line, and what the message must say.
const WRONG: &[(&[&str], &str)] = &[
    (&["run", "Invoice", "--from", "2024-02-30", "--to", "2024-03-01"], "2024-02-30"),
    (&["run", "Invoice", "--from", "24-02-01", "--to", "2024-03-01"], "2026-01-31"),
    (&["run", "Invoice", "--from", "2024-02-01T10:00:00", "--to", "2024-03-01"], "names no zone"),
    (&["run", "Invoice", "--from", "2024-03-01", "--to", "2024-03-01"], "range is empty"),
    (&["run", "Invoice", "--from", "2024-03-02", "--to", "2024-03-01"], "range is empty"),
    (
        &["run", "qb_invoice_backfil", "--from", "2024-01-01", "--to", "2024-03-01"],
        "did you mean qb_invoices_backfill?",
    ),
    (
        &["run", "Customer", "--by", "txn-date", "--from", "2024-01-01", "--to", "2024-03-01"],
        "--by updated or created",
    ),
    (
        &["run", "lists", "--by", "txn-date", "--from", "2024-01-01", "--to", "2024-03-01"],
        "none of lists can be read by txn-date",
    ),
    (
        &["run", "all", "Customer", "--by", "txn-date", "--from", "2024-01-01", "--to", "2024-03-01"],
        "qb_customers_backfill cannot be read by txn-date",
    ),
    (&["run", "Invoice", "--page-size", "1001", "--from", "2024-01-01", "--to", "2024-03-01"], "1 to 1000"),
    (
        &["run", "Invoice", "--from", "2024-01-01", "--to", "2024-03-01", "--client-secret", "not-real"],
        "QBO_CLIENT_SECRET",
    ),
    (&["run", "Invoice", "--chunk", "fortnight", "--from", "2024-01-01", "--to", "2024-03-01"], "quarter"),
    (&["run", "Invoice", "--from", "0001-01-01", "--to", "9999-12-31"], "more than 25000 windows by day"),
    (&["plan", "Invoice", "--from", "0001-01-01", "--to", "9999-12-31"], "more than 25000 windows by day"),
    (&["verify", "Invoice", "--from", "0001-01-01", "--to", "9999-12-31"], "more than 25000 windows by day"),
    (
        &["trigger", "add", "Invoice", "--from", "0001-01-01", "--to", "9999-12-31", "--now"],
        "more than 25000 windows by day",
    ),
    (&["run", "transactons", "--from", "2024-01-01", "--to", "2024-03-01"], "did you mean transactions?"),
    (&["status", "Custmer"], "did you mean qb_customers_backfill?"),
    (&["quarantine", "list", "Item,Invoce"], "did you mean qb_invoices_backfill?"),
    (&["verify", "Item,Invoce"], "did you mean qb_invoices_backfill?"),
    (
        &["run", "Invoice"],
        "error: the following required arguments were not provided: --from <T>, --to <T>. Next: ",
    ),
    (&["report", "--format", "pdf"], "pdf"),
    (&["runn"], "run"),
    (&["run", "Invoice", "--from", "-0044-03-15", "--to", "2024-03-01"], "four digits and no sign"),
    (&["plan", "Invoice", "--from", "2024-01-01", "--to", "-0001-01-01"], "four digits and no sign"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_is_exit_2_before_anything_is_touched() {
    let house = small().await;
    for (words, part) in WRONG {
        let ended = house.at(words).await.expect(2);
        assert!(ended.error().contains(part), "{words:?}: {}", ended.error());
        assert!(!ended.stderr.contains("not-real"));
    }
    assert_eq!(house.sandbox.journal().calls().len(), 0);
    assert_eq!(house.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'raw'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_an_emulators_are_refused() {
    let house = small().await;
    for flag in ["--api-url", "--oauth-url"] {
        let words = [&["run", "Invoice", flag, "https://quickbooks.example.com"], &YEAR[..]].concat();
        assert!(house.run(&words).await.expect(2).error().contains(flag));
    }
    let words = [&["run", "Invoice", "--rate", "off"], &YEAR[..]].concat();
    assert!(house.run(&words).await.expect(2).error().contains("500 calls per minute"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_environment_or_in_the_databases_address_is_refused() {
    let house = small().await;
    let mut command = house.command(&["run", "Invoice"]);
    command.args(YEAR).env("QBO_REFRESH_TOKEN", "not-a-real-token");
    let ended = crate::house::ended(command).await.expect(2);
    assert!(ended.error().contains("secrets set QBO_REFRESH_TOKEN"));
    assert!(!ended.stderr.contains("not-a-real-token"));

    let words = [&["run", "Invoice", "--database", "postgres://u:not-real@127.0.0.1/db"], &YEAR[..]].concat();
    let ended = house.run(&words).await.expect(2);
    assert!(ended.error().contains("PG_PASSWORD") && !ended.stderr.contains("not-real"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named_with_the_command_that_sets_it() {
    let house = small().await;
    house.run(&["secrets", "rm", "QBO_CLIENT_SECRET"]).await.expect(0);
    let ended = house.backfill(&["Invoice"], &[]).await.expect(2);
    assert!(ended.error().contains("qbo-backfill secrets set QBO_CLIENT_SECRET"), "{}", ended.error());

    std::fs::remove_dir_all(house.data()).unwrap();
    let ended = house.backfill(&["Invoice"], &[]).await.expect(2);
    assert!(ended.error().contains("qbo-backfill secrets init"), "{}", ended.error());
    assert_eq!(house.sandbox.journal().calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_cannot_be_used_is_exit_8() {
    let house = small().await;
    let vault = house.data().join("vault");
    let sealed = std::fs::read(&vault).unwrap();

    std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(house.backfill(&["Invoice"], &[]).await.expect(8).error().contains("chmod 600"));
    std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o600)).unwrap();

    let mut flipped = sealed.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&vault, flipped).unwrap();
    // With it the state before, or that would be put back.
    std::fs::remove_file(house.data().join("vault.1")).unwrap();
    assert!(house.backfill(&["Invoice"], &[]).await.expect(8).error().contains("cannot be decrypted"));
    std::fs::write(&vault, sealed).unwrap();

    std::fs::remove_file(house.data().join("vault.key")).unwrap();
    house.backfill(&["Invoice"], &[]).await.expect(8);
    house.backfill(&["Invoice"], &["--vault", "/nonexistent/vault"]).await.expect(8);
    house.run(&["secrets", "init"]).await.expect(8);
    assert_eq!(house.sandbox.journal().calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_company_is_refused_by_vault_and_by_schema() {
    let house = small().await;
    let ended = house.backfill(&["Invoice"], &["--realm", "4620816365"]).await.expect(5);
    assert!(ended.error().contains("4620816365"), "{}", ended.error());
    let ended = house.backfill(&["Invoice"], &["--environment", "production", "--rate", "10"]).await;
    assert_eq!(ended.code, 0, "a vault without an environment takes the one asked for: {}", ended.stderr);
    let calls = house.sandbox.journal().metered();
    let ended = house.backfill(&["Invoice"], &["--environment", "sandbox"]).await.expect(7);
    assert!(ended.error().contains("--schema NAME"), "{}", ended.error());
    assert_eq!(house.sandbox.journal().metered(), calls);
    house.backfill(&["Invoice"], &["--environment", "sandbox", "--schema", "second"]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM second.qb_invoices").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_is_exit_7_and_nothing_is_called() {
    let house = small().await;
    let url = house.sandbox.url();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let user = house.database.user().to_owned();
    let port = house.database.port();
    for (database, part) in [
        (format!("postgres://{user}@127.0.0.1:{free}/db"), "not reachable"),
        (format!("postgres://{user}@127.0.0.1:{port}/no_such_database"), "3D000"),
        (format!("postgres://no_such_user@127.0.0.1:{port}/{}", house.database.name()), "28P01"),
    ] {
        let words = ["run", "Invoice", "--api-url", &url, "--oauth-url", &url, "--database", &database];
        let ended = house.run(&[&words, &YEAR[..]].concat()).await.expect(7);
        assert!(ended.error().contains(part), "{database}: {}", ended.error());
    }
    house.set_secret("PG_PASSWORD", "not-the-password").await.expect(0);
    let ended = house.backfill(&["Invoice"], &[]).await.expect(7);
    assert!(ended.error().contains("secrets set PG_PASSWORD") && !ended.stderr.contains("not-the-password"));
    assert_eq!(house.sandbox.journal().calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_has_ended_is_exit_4_and_a_refused_app_exit_5() {
    let house = small().await;
    house
        .sandbox
        .faults()
        .push(Rule::on(CallKind::Query, Fault::Gateway { status: 403, code: "3100".into() }));
    let ended = house.backfill(&["Invoice"], &[]).await.expect(5);
    assert!(ended.error().contains("--environment"), "{}", ended.error());
    house.sandbox.revoke_grant();
    let ended = house.backfill(&["Invoice"], &[]).await.expect(4);
    assert!(ended.error().contains("qbo-backfill auth login"), "{}", ended.error());
    // The dead token stays where it is: nothing but a new consent replaces it.
    assert!(house.run(&["secrets", "list"]).await.expect(0).stdout.contains("QBO_REFRESH_TOKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_in_trouble_is_exit_6_whatever_it_says_and_never_a_bug() {
    let house = small().await;
    for (fault, code, word) in [
        (Fault::Oauth { status: 400, error: "something_new".into() }, 6, "later"),
        (Fault::Oauth { status: 400, error: "unauthorized_client".into() }, 4, "QBO_CLIENT_SECRET"),
    ] {
        house.sandbox.expire_access_tokens();
        let before = house.sandbox.token_calls();
        house.sandbox.faults().push(Rule::on(CallKind::Token, fault.clone()).times(4));
        let ended = house.backfill(&["Invoice"], &["--force"]).await.expect(code);
        assert!(ended.error().contains(word), "{fault:?}: {}", ended.error());
        house.sandbox.faults().clear();
        // Whatever it said, the consent is as it was.
        house.backfill(&["Invoice"], &["--force"]).await.expect(0);
        assert!(house.sandbox.token_calls() > before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_in_place_of_an_answer_is_named_and_costs_no_token() {
    let house = small().await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let tokens = house.sandbox.token_calls();
    for status in [401, 403] {
        house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Html { status }).always());
        let ended = house.backfill(&["Invoice"], &["--force"]).await.expect(6);
        assert!(ended.error().contains("\"We'll be back soon\""), "{}", ended.error());
        for blamed in ["keys", "consent", "realm", "query"] {
            assert!(!ended.error().contains(blamed), "{}", ended.error());
        }
        house.sandbox.faults().clear();
    }
    assert_eq!(house.sandbox.token_calls(), tokens);
    house.backfill(&["Invoice"], &["--force"]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_that_the_company_does_not_know_is_unavailable_in_whichever_words() {
    let house = small().await;
    for (code, message) in [
        ("4001", "QueryValidationError: Metadata not found for Entity: Invoice"),
        ("4001", "QueryValidationError: invalid context declaration: Invoice"),
        ("500", "Unsupported Operation"),
    ] {
        let fault = Fault::Json {
            status: 400,
            fault_type: "ValidationFault".into(),
            code: code.into(),
            message: message.into(),
        };
        house.sandbox.faults().push(Rule::on(CallKind::Query, fault).always());
        let ended = house.backfill(&["Invoice"], &["--force", "--concurrency", "1"]).await.expect(0);
        assert!(ended.stderr.contains("not available in this company"), "{message}: {}", ended.stderr);
        house.sandbox.faults().clear();
    }
    house.backfill(&["Invoice"], &["--force"]).await.expect(0);
    let nowhere = Fault::Json {
        status: 400,
        fault_type: "SystemFault".into(),
        code: "7001".into(),
        message: "No destination found for given partition key".into(),
    };
    house.sandbox.faults().push(Rule::on(CallKind::Query, nowhere).times(3));
    let ended = house.backfill(&["Invoice"], &["--force", "--concurrency", "1"]).await.expect(5);
    assert!(ended.error().contains("subscription"), "{}", ended.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_whole_range_is_one_line_with_its_reason() {
    let house = small().await;
    let fault = Fault::Json {
        status: 400,
        fault_type: "ValidationFault".into(),
        code: "2500".into(),
        message: "no".into(),
    };
    house.sandbox.faults().push(Rule::on(CallKind::Query, fault).always());
    let words = ["--force", "--concurrency", "1", "--no-count", "--details"];
    let ended = house.backfill(&["Invoice"], &words).await.expect(3);
    assert!(ended.error().contains("(code 2500)"), "{}", ended.error());
    let lines = |text: &str| text.lines().filter(|line| line.contains("code 2500")).count();
    assert!(lines(&ended.stdout) <= 2 && lines(&ended.stderr) <= 3, "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("windows)"), "{}", ended.stdout);
    let report = house.at(&["report", "--format", "md"]).await.expect(0);
    assert!(lines(&report.stdout) <= 2, "{}", report.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_proxy_is_refused_by_name_before_anything_is_called() {
    let house = small().await;
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY"] {
        let mut command = house.command(&["run", "Invoice"]);
        command.args(YEAR).args(house.addresses()).env(name, "http://canary:canary@:port/");
        let ended = crate::house::ended(command).await.expect(2);
        assert!(ended.error().contains(name) && !ended.stderr.contains("canary"), "{}", ended.error());
    }
    assert_eq!(house.sandbox.journal().calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_home_is_needed_where_every_path_is_named() {
    let house = small().await;
    let (vault, key) = (house.data().join("vault"), house.data().join("vault.key"));
    let mut command = house.command(&["run", "Invoice"]);
    command.args(YEAR).args(house.addresses()).env_remove("HOME");
    command.arg("--vault").arg(&vault).arg("--vault-key-file").arg(&key);
    crate::house::ended(command).await.expect(0);
    let mut homeless = house.command(&["run", "Invoice"]);
    homeless.args(YEAR).args(house.addresses()).env_remove("HOME");
    let ended = crate::house::ended(homeless).await.expect(2);
    assert!(ended.error().contains("HOME") && ended.error().contains("--vault"), "{}", ended.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_to_a_dash_is_printed() {
    let house = small().await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let printed = house.at(&["report", "--format", "md", "--out", "-"]).await.expect(0);
    assert!(printed.stdout.contains("qb_invoices_backfill"), "{}", printed.stdout);
    assert!(!house.home().join("-").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_too_long_is_refused_and_the_vault_is_as_it_was() {
    let house = small().await;
    let before = std::fs::read(house.data().join("vault")).unwrap();
    for length in [16 * 1024 + 1, 1_500_000] {
        let refused = house.set_secret("QBO_CLIENT_SECRET", &"x".repeat(length)).await.expect(2);
        assert!(refused.error().contains("16 KiB"), "{}", refused.error());
    }
    assert_eq!(std::fs::read(house.data().join("vault")).unwrap(), before);
    house.backfill(&["Invoice"], &[]).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_made_read_only_is_no_standby() {
    let house = small().await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let name = house.database.name();
    let read_only = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on");
    house.client().await.batch_execute(&read_only).await.unwrap();
    let ended = house.backfill(&["Invoice"], &["--force"]).await.expect(7);
    assert!(ended.error().contains("read-only"), "{}", ended.error());
    assert!(ended.error().contains("disk") && !ended.stderr.contains("standby"), "{}", ended.stderr);
}

/// Settings files, and what the message must say beside the file.
const WRONG_SETTINGS: &[(&str, &[&str])] = &[
    ("[profile.default]\nshema = 'raw'\n", &["line 2, key profile.default.shema: ", "did you mean schema?"]),
    ("[profle.default]\n", &["line 1, key profle: ", "did you mean profile?"]),
    (
        "# a\n[profile.default.validaton]\n",
        &["line 2, key profile.default.validaton: ", "did you mean validation?"],
    ),
    (
        "[profile.a]\n[profile.default]\nenvironment = 'prodution'\n",
        &["line 3, key profile.default.environment: ", "did you mean production?"],
    ),
    ("[profile.default]\nrealm = 'x'\n", &["line 2, key profile.default.realm: "]),
    ("[profile.default]\nschema = 'a b'\n", &["line 2, key profile.default.schema: "]),
    ("[profile.default]\nrate = 0\n", &["line 2, key profile.default.rate: "]),
    ("[profile.default]\nrate = 'fast'\n", &["line 2, key profile.default.rate: "]),
    (
        "[profile.default]\nmonthly_calls = 'of'\n",
        &["line 2, key profile.default.monthly_calls: ", "or \"off\""],
    ),
    (
        "[profile.default]\ntime_zone = 'America/Guayaqil'\n",
        &["line 2, key profile.default.time_zone: ", "did you mean America/Guayaquil?"],
    ),
    (
        "[profile.default]\ndatabase = 'postgres://u:false-s3cr3t@127.0.0.1/db'\n",
        &["line 2, key profile.default.database: ", "password"],
    ),
    (
        "[profile.default.validation]\noutlier_factor = 0.5\n",
        &["line 2, key profile.default.validation.outlier_factor: "],
    ),
    (
        "[profile.default.validation.severity]\nempty_dys = 'error'\n",
        &["line 2, ", "did you mean empty_days?"],
    ),
    (
        "[profile.default.validation.severity]\nempty_days = 'eror'\n",
        &["line 2, key profile.default.validation.severity.empty_days: ", "did you mean error?"],
    ),
    ("[profile.default]\nschema = 'raw\n", &["line 2, "]),
    ("[profile.default]\nschema = 'a'\nschema = 'b'\n", &["line 3, "]),
];

/// Catalogue files, and what the message must say beside the file.
const WRONG_CATALOGUES: &[(&str, &str)] = &[
    (
        "[[entity]]\nname = 'Bill'\npagesize = 10\n",
        "line 3, key pagesize: there is no such key; did you mean page_size?",
    ),
    ("\n[[entity]]\nname = 'Bill'\npage_size = 1001\n", "line 4, key page_size: a page holds 1 to 1000"),
    ("[[entiy]]\n", "line 1, key entiy: there is no such key; did you mean entity?"),
    ("[[entity]]\nname = Bill\n", "line 2, "),
];

#[tokio::test(flavor = "multi_thread")]
async fn settings_with_an_unknown_key_are_refused_and_a_profile_is_used() {
    let house = small().await;
    let settings = house.home().join("qbo-backfill.toml");
    std::fs::write(&settings, "[profile.default]\nshema = 'raw'\n").unwrap();
    for (text, parts) in WRONG_SETTINGS {
        std::fs::write(&settings, text).unwrap();
        let refused = house.run(&["entities"]).await.expect(2);
        for part in *parts {
            assert!(refused.error().contains(part), "{text}: {}", refused.error());
        }
        assert!(refused.error().contains("qbo-backfill.toml: line "), "{text}: {}", refused.error());
        assert!(!refused.stderr.contains("false-s3cr3t"), "{text}");
    }
    let own = house.home().join("own.toml");
    std::fs::write(&settings, "[profile.default]\ncatalog = 'own.toml'\n").unwrap();
    for (text, part) in WRONG_CATALOGUES {
        std::fs::write(&own, text).unwrap();
        let refused = house.run(&["entities"]).await.expect(2);
        assert!(refused.error().contains("own.toml: "), "{text}: {}", refused.error());
        assert!(refused.error().contains(part), "{text}: {}", refused.error());
    }
    std::fs::write(
        &settings,
        format!(
            "[profile.books]\nschema = 'books'\ndatabase = '{}'\ntime_zone = 'America/Guayaquil'\n",
            house.database.url()
        ),
    )
    .unwrap();
    let url = house.sandbox.url();
    let words = ["run", "Item", "--profile", "books", "--api-url", &url, "--oauth-url", &url];
    let run = house.run(&[&words, &YEAR[..]].concat()).await.expect(0);
    assert!(run.stderr.contains("2023-12-31 19:00 America/Guayaquil"), "{}", run.stderr);
    assert_eq!(house.number("SELECT count(*) FROM books.qb_items").await, 5);
    assert!(
        house.run(&["status", "--profile", "boks"]).await.expect(2).error().contains("did you mean books?")
    );
    let workers = ["worker", "--once", "--profiles", "books,boks"];
    assert!(house.run(&workers).await.expect(2).error().contains("did you mean books?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_given_as_an_argument_is_not_repeated() {
    let house = small().await;
    for words in [
        &["secrets", "set", "QBO_CLIENT_SECRET", "false-s3cr3t"][..],
        &["secrets", "set", "false-s3cr3t"],
        &["secrets", "set", "QBO_CLIENT_SECRET", "--value=false-s3cr3t"],
        &["secrets", "false-s3cr3t"],
        &["secrets", "rm", "QBO_CLIENT_ID", "false-s3cr3t"],
        &["--output", "json", "secrets", "set", "QBO_CLIENT_SECRET=false-s3cr3t"],
        &["auth", "login", "https://books.example/callback?code=false-s3cr3t"],
        &["auth", "login", "--redirect-url", "https://books.example/callback?code=false-s3cr3t&state=x"],
    ] {
        let refused = house.run(words).await.expect(2);
        assert!(!refused.stderr.contains("s3cr3t") && !refused.stdout.contains("s3cr3t"), "{words:?}");
        if words.contains(&"secrets") {
            let next = ["prompt", "stdin", "QBO_CLIENT_SECRET"];
            assert!(next.iter().all(|word| refused.error().contains(word)), "{}", refused.error());
        }
    }
    let typo = house.run(&["run", "Invoice", "--fram", "2024-01-01"]).await.expect(2);
    assert!(typo.error().contains("--fram"), "{}", typo.error());
}
