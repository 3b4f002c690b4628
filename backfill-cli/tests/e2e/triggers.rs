//! One-time triggers and workers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};

use fixtures::{CallKind, Fault, Gate, OauthOptions, Rotation, Rule, SandboxOptions, Shape};
use serde_json::Value;

use crate::house::{Ended, House, YEAR, signal, wait};

/// A worker that answers on a port of its own.
struct Worker {
    child: Child,
    stderr: BufReader<ChildStderr>,
    address: String,
}

impl Worker {
    fn start(house: &House, more: &[&str]) -> Self {
        let mut command = house.command(&["worker", "--listen", "127.0.0.1:0"]);
        command.args(more).args(house.addresses());
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).expect(&line).split('/').next().unwrap().to_owned();
        Self { child, stderr, address }
    }

    /// Reads what it says until a line holds these words.
    fn until(&mut self, words: &str) -> String {
        for line in self.stderr.by_ref().lines() {
            let line = line.unwrap();
            if line.contains(words) {
                return line;
            }
        }
        panic!("it ended without saying {words:?}")
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}/{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn stop(self) -> Ended {
        signal(&self.child, "-TERM");
        // What it still says is read along, so that it never waits for a reader.
        let mut stderr = self.stderr;
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        wait(self.child).await
    }
}

async fn add(house: &House, name: &str, pipeline: &str, more: &[&str]) -> Ended {
    house.at(&[&["trigger", "add", pipeline, "--name", name], &YEAR[..], more].concat()).await
}

async fn list(house: &House) -> Vec<Value> {
    let listed = house.at(&["trigger", "list", "--output", "json"]).await.expect(0);
    serde_json::from_str(&listed.stdout).unwrap()
}

fn statuses(list: &[Value]) -> Vec<(&str, &str)> {
    list.iter().map(|one| (one["trigger"].as_str().unwrap(), one["status"].as_str().unwrap())).collect()
}

const LONG_AGO: [&str; 3] = ["--at", "2026-02-02T10:00:00-05:00", "--now"];

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_runs_once_and_only_when_it_is_due() {
    let house = House::new(&Shape::default().with_counts(300, 20, 20)).await;
    let empty = house.at(&["trigger", "list"]).await.expect(0);
    assert!(empty.stdout.contains("no trigger"), "{}", empty.stdout);
    let added = add(&house, "night", "qb_invoices_backfill", &LONG_AGO).await.expect(0);
    assert!(added.stdout.contains("2026-02-02T15:00:00Z"), "{}", added.stdout);
    let late = add(&house, "late", "Item", &LONG_AGO[..2]).await.expect(2);
    assert!(
        late.error().contains("is in the past; nothing was armed") && late.error().contains("--now"),
        "{}",
        late.error()
    );
    let in_a_year = ["--at", "2099-01-01"];
    add(&house, "far", "Item", &in_a_year).await.expect(0);
    let text = house.at(&["trigger", "list"]).await.expect(0).stdout;
    assert!(text.contains("in ") && text.contains(" days ") && text.contains("now"), "{text}");

    house.at(&["worker", "--once"]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 300);
    let listed = list(&house).await;
    assert_eq!(statuses(&listed), [("night", "done"), ("far", "armed")]);
    let run = listed[0]["run_id"].as_str().unwrap();
    let report = house.at(&["report", run]).await.expect(0);
    assert!(report.stdout.contains("completed"), "{}", report.stdout);
    // Deleting history fires nothing again, nor does adding it again.
    let client = house.client().await;
    client
        .batch_execute("DELETE FROM raw.backfill_run; DELETE FROM raw.backfill_trigger_history")
        .await
        .unwrap();
    house.at(&["worker", "--once"]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 0);
    let again = add(&house, "night", "Invoice", &LONG_AGO).await.expect(2);
    assert!(again.error().contains("trigger night exists already"), "{}", again.error());

    let spent = house.at(&["trigger", "cancel", "night"]).await.expect(2);
    assert!(spent.error().contains("trigger rearm night"), "{}", spent.error());
    house.at(&["trigger", "rearm", "night", "--at", "2026-02-03", "--now"]).await.expect(0);
    house.at(&["trigger", "cancel", "far"]).await.expect(0);
    house.at(&["worker", "--once"]).await.expect(0);
    let listed = list(&house).await;
    assert_eq!(statuses(&listed), [("night", "done"), ("far", "cancelled")]);
    assert_ne!(listed[0]["run_id"], run);
    let history = house.at(&["trigger", "history", "night"]).await.expect(0).stdout;
    assert!(history.contains("armed") && history.contains("fired") && history.contains("done"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_runs_month_by_month_and_stops_behind_a_failure() {
    let house = House::new(&Shape::default().with_counts(300, 5, 5)).await;
    let every = [&LONG_AGO[..], &["--every", "quarter", "--chunk", "month"]].concat();
    add(&house, "year", "Invoice", &every).await.expect(0);
    // A code that says nothing of the query: with 4000, the company would not have the entity.
    let refused = Rule::on(CallKind::Query, Fault::json(400, "2500")).containing("2024-04-01T00:00:00Z' AND");
    house.sandbox.faults().push(refused.always());
    let failed = house.at(&["worker", "--once"]).await.expect(3);
    assert!(failed.error().contains("trigger list"), "{}", failed.error());
    let quarter = |month: &str, status| (format!("year.2024-{month}-01"), status);
    let expected = |states: [&'static str; 4]| {
        ["01", "04", "07", "10"].into_iter().zip(states).map(|(m, s)| quarter(m, s)).collect::<Vec<_>>()
    };
    let now = |listed: &[Value]| {
        statuses(listed)
            .into_iter()
            .map(|(name, status)| (name.to_owned(), status.to_owned()))
            .collect::<Vec<_>>()
    };
    let own = |states| {
        expected(states).into_iter().map(|(name, status)| (name, status.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(now(&list(&house).await), own(["done", "failed", "armed", "armed"]));
    let run = list(&house).await[1]["run_id"].as_str().unwrap().to_owned();
    let shown = house.at(&["runs", "show", &run, "--windows", "--status", "failed"]).await.expect(0);
    assert_eq!(shown.stdout.matches("code 2500").count(), 3, "{}", shown.stdout);
    let shown =
        house.at(&["status", "--windows", "--status", "completed", "--output", "json"]).await.expect(0);
    assert_eq!(shown.stdout.matches("\"completed\"").count() - 1, 3, "{}", shown.stdout);

    house.sandbox.faults().clear();
    house.at(&["trigger", "rearm", "year.2024-04-01", "--now"]).await.expect(0);
    house.at(&["worker", "--once"]).await.expect(0);
    assert_eq!(now(&list(&house).await), own(["done"; 4]));
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_a_due_trigger_tells_how_it_is_and_stops_in_the_middle() {
    let house = House::new(&Shape::default().with_counts(3000, 20, 20)).await;
    let mut worker = Worker::start(&house, &[]);
    while worker.get("healthz").await != (200, "default: ok\n".into()) {}
    let health = ["health", "--address", &worker.address];
    assert_eq!(house.run(&health).await.expect(0).stdout, "default: ok\n");
    let metrics = house.run(&[&health[..], &["--metrics"]].concat()).await.expect(0).stdout;
    assert!(metrics.contains("qbo_backfill_month_calls_allowance"), "{metrics}");
    let read: Value = serde_json::from_str(
        &house.run(&[&health[..], &["--output", "json"]].concat()).await.expect(0).stdout,
    )
    .unwrap();
    assert_eq!(read["companies"], serde_json::json!(["default: ok"]));
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.child.id())).unwrap();
    let kib = |name: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    // Its own memory. The rest are pages of the program's file, many in a build without optimisation, and shared.
    assert!(kib("RssAnon:") < 8 * 1024, "an idle worker takes {} KiB", kib("RssAnon:"));
    assert!(kib("VmRSS:") < 40 * 1024, "an idle worker holds {} KiB", kib("VmRSS:"));
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(2));
    add(&house, "now", "Invoice", &LONG_AGO).await.expect(0);
    worker.until("trigger now of 2026-02-02T15:00:00Z: run");
    gate.arrived().await;
    let (_, metrics) = worker.get("metrics").await;
    assert!(metrics.contains("qbo_backfill_runs_under_way{profile=\"default\"} 1"), "{metrics}");
    assert!(metrics.contains("qbo_backfill_month_calls_allowance{profile=\"default\"} 500000"), "{metrics}");
    let stopped = worker.stop().await.expect(143);
    assert_eq!(stopped.stdout, "");
    assert_eq!(statuses(&list(&house).await), [("now", "running")]);
    gate.open();

    // The next one goes on with the same run.
    house.at(&["worker", "--once"]).await.expect(0);
    assert_eq!(statuses(&list(&house).await), [("now", "done")]);
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 1);
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_from_another_terminal() {
    let house = House::new(&Shape::default().with_counts(3000, 20, 20)).await;
    let gate = Gate::new();
    house.sandbox.faults().push(Rule::on(CallKind::Query, Fault::Held(gate.clone())).after(1));
    add(&house, "now", "Invoice", &LONG_AGO).await.expect(0);
    let mut worker = Worker::start(&house, &[]);
    gate.arrived().await;
    let asked = house.at(&["trigger", "cancel", "now"]).await.expect(0);
    assert!(asked.stdout.contains("stopping"), "{}", asked.stdout);
    worker.until("trigger now: cancelled");
    gate.open();
    worker.stop().await.expect(143);
    assert_eq!(statuses(&list(&house).await), [("now", "cancelled")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_taken_back_by_its_name() {
    let house = House::new(&Shape::default().with_counts(5, 5, 5)).await;
    let later = ["--at", "2099-01-01", "--every", "quarter"];
    add(&house, "year", "Invoice", &later).await.expect(0);
    house.at(&["trigger", "cancel", "year.2024-04-01"]).await.expect(0);
    house.at(&["trigger", "cancel", "year"]).await.expect(0);
    assert!(list(&house).await.iter().all(|one| one["status"] == "cancelled"));
    let spent = house.at(&["trigger", "cancel", "year"]).await.expect(2);
    assert!(spent.error().contains("every part of the chain year"), "{}", spent.error());
    house.at(&["trigger", "cancel", "century"]).await.expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_reads_what_failed_or_everything_again_where_it_is_told_so() {
    let house = House::new(&Shape::default().with_counts(60, 20, 10)).await;
    house.backfill(&["Invoice"], &[]).await.expect(0);
    let failed = "UPDATE raw.backfill_log SET status = 'failed', counted_at_utc = NULL, error_message = 'it failed' \
        WHERE window_start_utc = '2024-03-14Z'";
    house.client().await.batch_execute(failed).await.unwrap();
    for (which, windows, told) in [("failed", 1, "invoices: what failed"), ("again", 366, "invoices: again")]
    {
        add(&house, which, "Invoice", &["--now", "--windows", which]).await.expect(0);
        assert_eq!(list(&house).await.iter().find(|one| one["trigger"] == which).unwrap()["windows"], which);
        let table = house.at(&["trigger", "list"]).await.expect(0).stdout;
        assert!(table.contains(told), "{table}");
        house.at(&["worker", "--once"]).await.expect(0);
        let opened = format!(
            "SELECT windows_opened FROM raw.backfill_run_pipeline JOIN raw.backfill_trigger USING (run_id)
             WHERE trigger_name = '{which}'"
        );
        assert_eq!(house.number(&opened).await, windows, "{which}");
    }
    let refused = add(&house, "other", "Invoice", &["--now", "--windows", "closed"]).await.expect(2);
    assert!(refused.stderr.contains("open, failed, again"), "{}", refused.stderr);
}

/// Two workers, killed over and over: each trigger has one run in the end, and everything is there.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_run_each_trigger_once() {
    // A kill between the answer with a new refresh token and the disk ends a consent whose old token is refused.
    let oauth = OauthOptions { rotation: Rotation::Never, ..OauthOptions::default() };
    let options = SandboxOptions { oauth, ..SandboxOptions::default() };
    let house = House::with(&Shape::default().with_counts(400, 150, 60), options).await;
    for (number, entity) in ["Invoice", "Customer", "Item"].iter().cycle().take(9).enumerate() {
        add(&house, &format!("t{number}"), entity, &[&LONG_AGO[..], &["--chunk", "month"]].concat())
            .await
            .expect(0);
    }
    let start = || {
        let mut command = house.command(&["worker"]);
        command.args(house.addresses()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut workers = [start(), start()];
    let mut random = 7_u64;
    // Where a machine has nothing else to do a look takes a moment, and nobody would live long enough to be given a call: those
    // of the dead keep their places for a while.
    let mut kills = 0;
    loop {
        let left = house
            .number("SELECT count(*) FROM raw.backfill_trigger WHERE status IN ('armed', 'running')")
            .await;
        if left == 0 {
            break;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Every few looks one of them dies, and another comes.
        if random >> 61 == 0 && kills < 40 {
            kills += 1;
            let victim = &mut workers[(random >> 40) as usize % 2];
            victim.kill().unwrap();
            victim.wait().unwrap();
            *victim = start();
        }
    }
    for mut worker in workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let listed = list(&house).await;
    assert!(statuses(&listed).iter().all(|(_, status)| *status == "done"), "{listed:?}");
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 9);
    let fired = "SELECT count(*) FROM raw.backfill_trigger_history WHERE event = 'fired'";
    assert_eq!(house.number(fired).await, 9);
    for (table, rows) in [("qb_invoices", 400), ("qb_customers", 150), ("qb_items", 60)] {
        assert_eq!(house.number(&format!("SELECT count(*) FROM raw.{table}")).await, rows);
    }
}

/// A worker that is started before there is anything to work with waits, and says for what.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_vault_waits_for_it() {
    let house = House::new(&Shape::default().with_counts(5, 5, 5)).await;
    let mut worker = Worker::start(&house, &["--vault", "not-there"]);
    let said = worker.until("waiting: ");
    assert!(said.contains("qbo-backfill secrets init"), "{said}");
    let (status, text) = worker.get("healthz").await;
    assert!(status == 200 && text.starts_with("default: waiting: "), "{text}");
    worker.stop().await.expect(143);
    let once = house.at(&["worker", "--once", "--vault", "not-there"]).await;
    assert!(once.code == 8 || once.code == 2, "{}: {}", once.code, once.stderr);
}

const MAGE: &str = "
triggers:
- name: invoices enero 2024
  pipeline_uuid: qb_invoices_backfill
  schedule_type: time
  schedule_interval: '@once'
  start_time: 2026-02-01 05:00:00
  status: active
  settings: {timeout: 3600, skip_if_previous_running: true}
  variables: {fecha_inicio: '2024-01-01T00:00:00Z', fecha_fin: '2024-02-01T00:00:00Z'}
  envs: []
- name: items_once
  pipeline_uuid: qb_items_backfill
  schedule_type: time
  schedule_interval: '@once'
  start_time: 2026-02-01 05:00:00.123456
  status: inactive
  variables:
    fecha_inicio: '2024-01-01'
    fecha_fin: '2024-02-01'
- name: daily
  pipeline_uuid: qb_items_backfill
  schedule_interval: '@daily'
  status: active
";

/// A file with one entry for each of these names and pipelines.
fn filed(house: &House, file: &str, entries: &[(&str, &str)]) {
    let entry = |(name, pipeline): &(&str, &str)| {
        format!(
            "- {{name: {name:?}, pipeline_uuid: {pipeline}, schedule_interval: '@once', status: active, \
             start_time: 2036-02-01 05:00:00, variables: {{fecha_inicio: '2024-01-01', fecha_fin: '2024-02-01'}}}}\n"
        )
    };
    let text: String = entries.iter().map(entry).collect();
    std::fs::write(house.home().join(file), format!("triggers:\n{text}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_triggers_of_files_become_one_and_a_file_is_armed_as_a_whole() {
    let house = House::new(&Shape::default().with_counts(5, 5, 5)).await;
    let pipelines = ["qb_invoices_backfill", "qb_customers_backfill", "qb_items_backfill"];
    for (at, pipeline) in pipelines.into_iter().enumerate() {
        let file = format!("{at}.yaml");
        filed(&house, &file, &[("run_once", pipeline)]);
        let applied = house.at(&["trigger", "apply", "-f", &file]).await.expect(0);
        assert!(applied.stderr.contains("run_once is armed as"), "{}", applied.stderr);
    }
    let names = ["cierre enero", "cierre-enero", "cierre/enero", "año", "aúo"];
    filed(&house, "names.yaml", &names.map(|name| (name, pipelines[0])));
    let applied = house.at(&["trigger", "apply", "-f", "names.yaml", "--output", "json"]).await.expect(0);
    let told: Vec<Value> = serde_json::from_str(&applied.stdout).unwrap();
    let armed: Vec<_> = told.iter().filter(|one| one["outcome"] == "armed").collect();
    assert_eq!((armed.len(), list(&house).await.len()), (5, 8), "{}", applied.stdout);
    assert!(names.iter().all(|name| armed.iter().any(|one| one["name_in_file"] == *name)));

    // One of them cannot be armed: none is.
    filed(&house, "twice.yaml", &[("new", pipelines[0]), ("twice", pipelines[1]), ("twice", "Customer")]);
    let twice = house.at(&["trigger", "apply", "-f", "twice.yaml"]).await.expect(2);
    assert!(twice.error().contains("nothing was armed"), "{}", twice.error());
    let clash =
        [&["trigger", "add", "Item", "--name", "qb_invoices_backfill.b", "--at", "2036-01-01"], &YEAR[..]];
    house.at(&clash.concat()).await.expect(0);
    filed(&house, "clash.yaml", &[("a", pipelines[0]), ("b", pipelines[0])]);
    let clash = house.at(&["trigger", "apply", "-f", "clash.yaml"]).await.expect(2);
    assert!(clash.error().contains("nothing was armed"), "{}", clash.error());
    assert_eq!(list(&house).await.len(), 9);

    // What an earlier version has armed under its folded name is not armed once more.
    let before = ["trigger", "add", "Item", "--name", "carga-enero", "--at", "2036-01-01"];
    house.at(&[&before[..], &["--from", "2024-01-01", "--to", "2024-02-01"]].concat()).await.expect(0);
    filed(&house, "before.yaml", &[("carga enero", pipelines[2])]);
    let applied = house.at(&["trigger", "apply", "-f", "before.yaml", "--output", "json"]).await.expect(0);
    let told: Vec<Value> = serde_json::from_str(&applied.stdout).unwrap();
    let one = told.iter().find(|one| one["name_in_file"] == "carga enero").unwrap();
    assert_eq!((&one["outcome"], &one["trigger"], told.len()), (&"known".into(), &"carga-enero".into(), 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_mages_is_read_and_applying_it_again_fires_nothing() {
    let house = House::new(&Shape::default().with_counts(50, 5, 5)).await;
    let file = house.home().join("triggers.yaml");
    std::fs::write(&file, MAGE).unwrap();
    let apply = ["trigger", "apply", "-f", "triggers.yaml", "--now"];
    let late = house.at(&apply[..4]).await.expect(0);
    assert!(late.stderr.contains("its time has passed"), "{}", late.stderr);
    let applied = house.at(&apply).await.expect(0);
    assert!(
        applied.stderr.contains("items_once is left out") && applied.stderr.contains("daily is left out")
    );
    house.at(&["worker", "--once"]).await.expect(0);
    let name = "qb_invoices_backfill.invoices.20enero.202024";
    assert_eq!(statuses(&list(&house).await), [(name, "done")]);
    let again = house.at(&[&apply[..], &["--inactive"]].concat()).await.expect(0);
    assert!(again.stderr.contains(&format!("left as it is, as {name}: known already")), "{}", again.stderr);
    assert_eq!(statuses(&list(&house).await), [(name, "done"), ("qb_items_backfill.items_once", "armed")]);
    house.at(&["worker", "--once"]).await.expect(0);
    assert_eq!(house.number("SELECT count(*) FROM raw.backfill_run").await, 2);

    std::fs::write(&file, "triggers: [{name: x, schedule_interval: '@once', pipeline_uuid: qb_x}]").unwrap();
    let bad = house.at(&apply).await.expect(2);
    assert!(bad.error().contains("trigger x: it has no variable fecha_inicio"), "{}", bad.error());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_visitors_cost_the_work_nothing_and_strangers_are_not_answered() {
    let house = House::new(&Shape::default().with_counts(40, 5, 5)).await;
    house.at(&["db", "init"]).await.expect(0);
    // Far fewer descriptors than visitors.
    let mut command = house.command(&[]);
    let program = command.get_program().to_owned();
    let environment: Vec<_> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    command = Command::new("sh");
    command.args(["-c", "ulimit -n 96; exec \"$0\" \"$@\""]).arg(program).args([
        "worker",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.args(house.addresses()).env_clear().envs(environment).current_dir(house.home());
    let mut worker = Worker::of(command);
    let mut idle = Vec::new();
    for number in 0..400 {
        let mut visitor = TcpStream::connect(&worker.address).unwrap();
        // Half of them begin to ask, and never end.
        if number % 2 == 0 {
            let _ = visitor.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ");
        }
        idle.push(visitor);
    }
    add(&house, "soon", "Invoice", &LONG_AGO).await.expect(0);
    worker.until("trigger soon: done");
    assert_eq!(house.number("SELECT count(*) FROM raw.qb_invoices").await, 40);
    assert_eq!(worker.get("healthz").await, (200, "default: ok\n".into()));
    assert_eq!(worker.get("elsewhere").await.0, 404);

    let url = format!("http://{}/healthz", worker.address);
    let client = reqwest::Client::new();
    for (host, status) in [("evil.example", 421), ("localhost:80", 200), ("127.0.0.1.evil.example", 421)] {
        let answer = client.get(&url).header("host", host).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{host}");
    }
    // A request without an end is none.
    let mut endless = TcpStream::connect(&worker.address).unwrap();
    while endless.write_all(&[b'x'; 4096]).is_ok() {}
    assert_eq!(worker.get("healthz").await.0, 200);
    drop(idle);
    worker.stop().await.expect(143);
}
