//! A line that cuts, delays, drips and corrupts, between the program and its database, and between it and QuickBooks.

use std::process::{Command, Stdio};

use fixtures::{Enforce, OauthOptions, Proxy, QuotaOptions, Rotation, SandboxOptions, Shape, Toxic, Toxics};

use tokio::task::JoinSet;

use crate::house::{House, THREE, wait};
use crate::oracle::{self, ALL};
use crate::repro::{Repro, number};

const KINDS: [Toxic; 4] = [Toxic::Cut, Toxic::Delay, Toxic::Drip, Toxic::Corrupt];

/// How a run over a broken line may end: well, with windows that failed, or without QuickBooks or the database.
const DOCUMENTED: [i32; 4] = [0, 3, 6, 7];

#[derive(Clone, Copy, Debug)]
enum Line {
    ToPostgres,
    ToQuickBooks,
}

/// The program with a proxy in front of both servers.
struct Wired {
    house: House,
    postgres: Proxy,
    quickbooks: Proxy,
}

impl Wired {
    /// Harms one line by a seed.
    async fn new(line: Line, toxics: Toxics) -> Self {
        let options = SandboxOptions {
            // An answer that is lost on the way ends a consent whose old token is refused.
            oauth: OauthOptions { rotation: Rotation::Never, ..OauthOptions::default() },
            // Calls whose answers are lost are counted by the server alone.
            quota: QuotaOptions::new(Enforce::Off),
            ..SandboxOptions::default()
        };
        let house =
            House::with(&Shape::default().with_counts(150, 60, 40).with_bulk_import(25), options).await;
        house.at(&["db", "init"]).await.expect(0);
        let none = Toxics { permille: 0, ..toxics.clone() };
        let (to_postgres, to_quickbooks) = match line {
            Line::ToPostgres => (toxics, none),
            Line::ToQuickBooks => (none, toxics),
        };
        let postgres = Proxy::start(house.database.port(), to_postgres).await.unwrap();
        let quickbooks = Proxy::start(house.sandbox.port(), to_quickbooks).await.unwrap();
        Self { house, postgres, quickbooks }
    }

    fn run(&self) -> Command {
        let mut command = self.house.command(&["run"]);
        command.args(THREE).args(["--from", "2024-01-01", "--to", "2025-01-01"]);
        command.args(["--chunk", "month", "--page-size", "20", "--rate", "off"]);
        let (user, name) = (self.house.database.user(), self.house.database.name());
        let url = format!("http://127.0.0.1:{}", self.quickbooks.port());
        let database = format!("postgres://{user}@127.0.0.1:{}/{name}", self.postgres.port());
        command.args(["--api-url", &url, "--oauth-url", &url, "--database", &database]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// How a run over a broken line ended.
#[derive(Debug)]
#[expect(dead_code, reason = "printed, for whoever reads what a seed did")]
struct Endured {
    kind: Toxic,
    exit_code: i32,
    harmed: u64,
}

async fn endured(line: Line, kind: Toxic, seed: u64) -> Endured {
    let context = format!("{line:?} {kind:?} {seed}");
    let toxics = Toxics { seed, permille: 400, kinds: vec![kind], within: 20_000 };
    let wired = Wired::new(line, toxics).await;
    let ended = wait(wired.run().spawn().unwrap()).await;
    assert!(DOCUMENTED.contains(&ended.code), "{context}: {} {}", ended.code, ended.stderr);
    if ended.code != 0 {
        assert!(ended.error().contains("Next: "), "{context}: {}", ended.error());
    }
    wired.postgres.heal();
    wired.quickbooks.heal();
    let again = wait(wired.run().spawn().unwrap()).await;
    assert_eq!(again.code, 0, "{context}, again: {}", again.stderr);
    oracle::assert_equal(&wired.house, &ALL, &context).await;
    oracle::assert_recounts(&wired.house, &ALL, &context).await;
    oracle::assert_nothing_leaked(&wired.house, &context).await;
    Endured { kind, exit_code: ended.code, harmed: wired.postgres.harmed() + wired.quickbooks.harmed() }
}

async fn endured_every_kind(line: Line) {
    let repro = Repro::new();
    for round in 0..number("CRASH_LINES", 3) {
        let seed = repro.seed + round;
        let mut all: JoinSet<_> = KINDS.into_iter().map(|kind| endured(line, kind, seed)).collect();
        let mut harmed = 0;
        while let Some(ended) = all.join_next().await {
            let ended = ended.unwrap();
            println!("{line:?}, seed {seed}: {ended:?}");
            harmed += ended.harmed;
        }
        assert!(harmed > 0, "no connection was harmed: seed {seed} proves nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_to_the_database_costs_no_record() {
    endured_every_kind(Line::ToPostgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_line_to_quickbooks_costs_no_record() {
    endured_every_kind(Line::ToQuickBooks).await;
}
