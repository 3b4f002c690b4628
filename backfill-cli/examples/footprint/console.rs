//! The console beside much that is stored: what it takes when nobody looks, how long each page takes, what fifty tabs cost the database,
//! and whether a run beside them is slower.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fixtures::ask_number;
use fixtures::measure::{median, peak_mib};
use reqwest::header::{COOKIE, ETAG, HOST, IF_NONE_MATCH, SET_COOKIE};
use tokio_postgres::Client;

use crate::connected;
use crate::home::{Home, Outcome};

/// Days of each pipeline: with all pipelines, some 108,000 windows.
const RANGE: [&str; 4] = ["--from", "2017-08-07", "--to", "2025-01-01"];

/// Pages of the log, copied from those that were read.
const PAGES: u64 = 160_000;

const TABS: usize = 50;

/// Every view is kept for a second, so a page is asked for less often.
const PAUSE: Duration = Duration::from_millis(1_100);

/// Pages that tabs show.
const SHOWN: [&str; 14] = [
    "/c/default/",
    "/c/default/pipelines",
    "/c/default/pipelines/invoices?year=2024",
    "/c/default/pipelines/customers?year=2019&day=2019-03-14",
    "/c/default/windows",
    "/c/default/windows?entity=invoices&state=failed",
    "/c/default/runs",
    "/c/default/log",
    "/c/default/log?at=03:12",
    "/c/default/triggers",
    "/c/default/new?pipelines=all&from=2024-01-01&to=2025-01-01",
    "/c/default/records/invoices",
    "/c/default/records/invoices?number=1043",
    "/c/default/company",
];

/// A running console, and a person who has signed in.
struct Console {
    process: Child,
    host: String,
    cookie: String,
    client: reqwest::Client,
}

impl Console {
    async fn start(home: &Home) -> Outcome<Self> {
        let mut command = home.command(&["console", "--listen", "127.0.0.1:0"])?;
        let mut process = command.stderr(Stdio::piped()).spawn()?;
        let mut stderr = BufReader::new(process.stderr.take().ok_or("no stderr")?).lines();
        let link = stderr.by_ref().map_while(Result::ok).find_map(|line| {
            line.trim().strip_prefix("console: http://qbo-backfill.localhost:").map(str::to_owned)
        });
        std::thread::spawn(move || stderr.for_each(drop));
        let link = link.ok_or("the console has ended")?;
        let (port, path) = link.split_once('/').ok_or("no path")?;
        let client =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let mut console = Self { process, host: format!("127.0.0.1:{port}"), cookie: String::new(), client };
        let entered = console.get(&format!("/{path}"), None).await?;
        let cookie = entered.headers().get(SET_COOKIE).ok_or("no cookie")?.to_str()?;
        cookie.split(';').next().unwrap_or_default().clone_into(&mut console.cookie);
        Ok(console)
    }

    async fn get(&self, path: &str, tag: Option<&str>) -> reqwest::Result<reqwest::Response> {
        let mut request = self.client.get(format!("http://{}{path}", self.host)).header(HOST, &self.host);
        request = request.header(COOKIE, &self.cookie);
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        request.send().await
    }

    fn memory(&self) -> Outcome<f64> {
        Ok(peak_mib(self.process.id())?)
    }

    fn stop(mut self) -> Outcome {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

pub(crate) async fn console(rows: usize, times: usize) -> Outcome {
    let company = [("--each", 20), ("--invoices", rows), ("--bytes", 1_500)];
    let home = Home::new(&company).await?;
    let unlimited = ["--rate", "off", "--monthly-calls", "off"];
    home.measure(&[&["run", "all"], &RANGE[..], &unlimited].concat())?;
    let database = connected(&home).await?;
    fill(&database).await?;
    let windows = ask_number(&database, "SELECT count(*) FROM raw.backfill_log").await?;
    let pipelines = ask_number(&database, "SELECT count(DISTINCT entity_name) FROM raw.backfill_log").await?;
    let invoices = ask_number(&database, "SELECT count(*) FROM raw.qb_invoices").await?;
    println!("{windows} windows of {pipelines} pipelines, {PAGES} pages, {invoices} invoices of 1.5 kB");

    let console = Arc::new(Console::start(&home).await?);
    tokio::time::sleep(Duration::from_secs(15)).await;
    println!("memory of the console, with its worker, before the first page: {:.1} MiB", console.memory()?);
    each_page(&console, times).await?;
    println!("memory after all pages: {:.1} MiB", console.memory()?);
    let idle = transactions_a_second(&database).await?;
    let tabs = Tabs::open(&console);
    let transactions = transactions_a_second(&database).await?;
    println!(
        "{TABS} tabs on {} pages: {transactions:.1} transactions a second; without them {idle:.1}",
        SHOWN.len()
    );
    tabs.close().await?;
    beside(&home, &console, times.min(7)).await?;
    println!("memory at the end: {:.1} MiB", console.memory()?);
    Arc::try_unwrap(console).map_err(|_| "a tab is still open")?.stop()?;
    home.close().await
}

/// Makes the log of pages long, and some windows fail.
async fn fill(database: &Client) -> Outcome {
    let columns: String = database.query_one(COLUMNS, &[]).await?.get(0);
    database
        .batch_execute(&format!(
            "WITH one AS (SELECT * FROM raw.backfill_page ORDER BY entity_name DESC LIMIT 1)
             INSERT INTO raw.backfill_page (page_number, committed_at_utc, {columns})
             SELECT 1000 + n, committed_at_utc - n * interval '20 seconds', {columns} FROM one, generate_series(1, {PAGES}) AS n;
             UPDATE raw.backfill_log SET status = 'failed', error_code = 'count.differs', counted_at_utc = NULL,
                error_message = 'QuickBooks counts 12 records, 11 were read'
             WHERE entity_name IN ('invoices', 'customers') AND extract(day FROM window_start_utc) = 7"
        ))
        .await?;
    Ok(database.batch_execute("VACUUM ANALYZE").await?)
}

const COLUMNS: &str = "
    SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
    WHERE table_schema = 'raw' AND table_name = 'backfill_page' AND is_generated = 'NEVER' AND column_name NOT IN ('page_number', 'committed_at_utc')";

async fn each_page(console: &Console, times: usize) -> Outcome {
    println!("{:<64} {:>8} {:>8} {:>8}", "", "median", "p95 ms", "kB");
    for path in SHOWN {
        let (mut figures, mut size) = (Vec::new(), 0);
        for _ in 0..times {
            tokio::time::sleep(PAUSE).await;
            let began = Instant::now();
            let answer = console.get(path, None).await?;
            let status = answer.status();
            size = answer.bytes().await?.len();
            figures.push(began.elapsed().as_secs_f64() * 1_000.0);
            if !(status.is_success() || status.is_redirection()) {
                return Err(format!("{path}: {status}").into());
            }
        }
        figures.sort_by(f64::total_cmp);
        let late = figures[(figures.len() * 95).div_ceil(100) - 1];
        println!(
            "{path:<64} {:>8.1} {late:>8.1} {:>8.1}",
            median(figures),
            f64::from(u32::try_from(size)?) / 1e3
        );
    }
    Ok(())
}

/// Tabs that ask for their page as often as it says.
struct Tabs {
    are_open: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Tabs {
    fn open(console: &Arc<Console>) -> Self {
        let are_open = Arc::new(AtomicBool::new(true));
        let tab = |number: usize| {
            let (console, are_open) = (Arc::clone(console), Arc::clone(&are_open));
            tokio::spawn(async move {
                let mut tag: Option<String> = None;
                let mut pause = 1_u32;
                while are_open.load(Ordering::Relaxed) {
                    if let Ok(answer) = console.get(SHOWN[number % SHOWN.len()], tag.as_deref()).await {
                        let own = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
                        tag = own.map(str::to_owned).or(tag);
                        // As the page's own script does: what follows a run is asked for each second.
                        let said = answer.text().await.unwrap_or_default();
                        let every =
                            said.split_once("data-every=\"").and_then(|(_, rest)| rest.split('"').next());
                        pause = every.and_then(|every| every.parse().ok()).unwrap_or(pause);
                        // The script asks no more for a page that does not change.
                        if pause == 0 {
                            return;
                        }
                    }
                    for _ in 0..pause * 10 {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        if !are_open.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                }
            })
        };
        let tasks = (0..TABS).map(tab).collect();
        Self { are_open, tasks }
    }

    async fn close(self) -> Outcome {
        self.are_open.store(false, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(())
    }
}

/// A run alone and beside the tabs, by turns.
async fn beside(home: &Home, console: &Arc<Console>, times: usize) -> Outcome {
    let unlimited = ["--rate", "off", "--monthly-calls", "off"];
    let year = ["run", "invoices", "--from", "2024-01-01", "--to", "2025-01-01", "--force"];
    let run = [&year[..], &unlimited].concat();
    home.measure(&run)?;
    let (mut alone, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let own = home.measure(&run)?.seconds;
        let tabs = Tabs::open(console);
        let other = tokio::task::block_in_place(|| home.measure(&run))?.seconds;
        tabs.close().await?;
        alone.push(own);
        ratios.push(other / own);
    }
    println!(
        "a run over the year, everything unchanged: {:.2} s alone, beside {TABS} tabs {:.2} of it (medians of {times} pairs)",
        median(alone),
        median(ratios)
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn transactions_a_second(database: &Client) -> Outcome<f64> {
    let (before, began) = (transactions(database).await?, Instant::now());
    tokio::time::sleep(Duration::from_secs(20)).await;
    Ok((transactions(database).await? - before) as f64 / began.elapsed().as_secs_f64())
}

async fn transactions(database: &Client) -> Outcome<u64> {
    let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    database.batch_execute("SELECT pg_stat_clear_snapshot()").await?;
    Ok(ask_number(database, sql).await?)
}
