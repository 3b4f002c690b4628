//! What must be true in the end, whatever happened on the way: invariants I1, I2, I4, I5, I13, I21 and I24 of the failure
//! model.

use serde_json::Value;
use tokio_postgres::Client;

use crate::house::House;

/// An entity, its table, and its name in the log.
pub(crate) type Entity = (&'static str, &'static str, &'static str);

pub(crate) const INVOICE: Entity = ("Invoice", "qb_invoices", "invoices");
pub(crate) const CUSTOMER: Entity = ("Customer", "qb_customers", "customers");
pub(crate) const ITEM: Entity = ("Item", "qb_items", "items");
pub(crate) const ALL: [Entity; 3] = [INVOICE, CUSTOMER, ITEM];

/// Ids of rows that are not as the company has them, or that it does not have.
const DIFFERENT: &str = "
    SELECT coalesce(stored.id, theirs.id), theirs.id IS NULL
    FROM unnest($1::text[], $2::text[]) AS theirs (id, payload)
    FULL JOIN raw.TABLE AS stored ON stored.id = theirs.id
    WHERE stored.payload::text IS DISTINCT FROM theirs.payload::jsonb::text
    ORDER BY 1";

/// Windows of which another number of records was read than lie in them.
const MISCOUNTED: &str = "
    SELECT count(*) FROM raw.backfill_log AS line
    WHERE line.entity_name = 'NAME' AND (line.status NOT IN ('completed', 'provisional') OR line.records_read <> (
        SELECT count(*) FROM raw.TABLE WHERE source_updated_at_utc >= line.window_start_utc
            AND source_updated_at_utc < line.window_end_utc))";

/// Runs whose totals are not the sum of their pages.
const UNBALANCED: &str = "
    SELECT count(*) FROM raw.backfill_run_pipeline AS total
    LEFT JOIN (
        SELECT run_id, entity_name, count(*) AS pages, sum(records_inserted) AS inserted,
            sum(records_updated) AS updated, sum(records_unchanged) AS unchanged,
            sum(records_quarantined) AS quarantined
        FROM raw.backfill_page GROUP BY run_id, entity_name
    ) AS page USING (run_id, entity_name)
    WHERE (pages_read, records_inserted, records_updated, records_unchanged, records_quarantined)
        IS DISTINCT FROM (coalesce(pages, 0), coalesce(inserted, 0), coalesce(updated, 0), coalesce(unchanged, 0),
            coalesce(quarantined, 0))";

/// Windows closed by all runs, less those that are closed now: each is closed once, unless it is read again.
const CLOSED_TWICE: &str = "
    SELECT (SELECT coalesce(sum(windows_completed + windows_provisional), 0) FROM raw.backfill_run_pipeline)::bigint
        - (SELECT count(*) FROM raw.backfill_log WHERE status IN ('completed', 'provisional'))";

/// Rows as they lie on the disk: whoever writes one, even to the same, changes this.
const ON_DISK: &str = "
    SELECT md5(coalesce(string_agg(id || ' ' || xmin || ' ' || ctid, '|' ORDER BY id), '')) FROM raw.TABLE";

/// Notes every row that is replaced by an older version of itself.
const WATCH: &str = "
    CREATE TABLE public.gone_back (id text);
    CREATE FUNCTION public.note_what_goes_back() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (NEW.source_updated_at_utc, NEW.source_sync_token) < (OLD.source_updated_at_utc, OLD.source_sync_token) THEN
            INSERT INTO public.gone_back VALUES (OLD.id);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER watch BEFORE UPDATE ON raw.qb_invoices FOR EACH ROW EXECUTE FUNCTION public.note_what_goes_back();
    CREATE TRIGGER watch BEFORE UPDATE ON raw.qb_customers FOR EACH ROW EXECUTE FUNCTION public.note_what_goes_back();
    CREATE TRIGGER watch BEFORE UPDATE ON raw.qb_items FOR EACH ROW EXECUTE FUNCTION public.note_what_goes_back()";

/// Sessions of the program that are still there, and locks that sessions held for their process.
const LEFT_OPEN: &str = "
    SELECT (SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'qbo-backfill')
        + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// What the tables hold, beside what the company has.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Records that are missing, or stored in another version.
    pub(crate) wrong: Vec<String>,
    /// Rows of records that the company does not have any more.
    pub(crate) gone: Vec<String>,
}

/// Compares every payload of an entity.
pub(crate) async fn differences(house: &House, (entity, table, _): Entity) -> Differences {
    let (ids, payloads): (Vec<String>, Vec<String>) = house.sandbox.with_company(|company| {
        let as_sent = |record: &fixtures::Record| {
            let payload = if entity == "Item" { record.payload_with_sku() } else { record.lasting_payload() };
            (record.id.clone(), String::from_utf8(payload.to_vec()).unwrap())
        };
        company.records(entity).map(as_sent).unzip()
    });
    let sql = DIFFERENT.replace("TABLE", table);
    let mut differences = Differences::default();
    for row in house.client().await.query(&sql, &[&ids, &payloads]).await.unwrap() {
        let id = format!("{entity} {}", row.get::<_, String>(0));
        if row.get(1) { &mut differences.gone } else { &mut differences.wrong }.push(id);
    }
    differences
}

/// I1 and I13: every record is there, as it was sent, and nothing else.
pub(crate) async fn assert_equal(house: &House, entities: &[Entity], context: &str) {
    for entity in entities {
        let Differences { wrong, gone } = differences(house, *entity).await;
        assert!(wrong.is_empty() && gone.is_empty(), "{context}: not as sent {wrong:?}, not theirs {gone:?}");
    }
}

/// I4 and I21: the log's numbers are those of its pages and of the rows.
pub(crate) async fn assert_recounts(house: &House, entities: &[Entity], context: &str) {
    let client = house.client().await;
    for (_, table, name) in entities {
        let sql = MISCOUNTED.replace("TABLE", table).replace("NAME", name);
        assert_eq!(
            one(&client, &sql).await,
            0,
            "{context}: windows of {name} tell other numbers than the rows"
        );
    }
    assert_balanced(house, context).await;
}

/// I4: the totals of every run are those of its pages.
pub(crate) async fn assert_balanced(house: &House, context: &str) {
    let unbalanced = one(&house.client().await, UNBALANCED).await;
    assert_eq!(unbalanced, 0, "{context}: totals of a run differ from its pages");
}

/// I4: no window was closed by two runs.
pub(crate) async fn assert_closed_once(house: &House, context: &str) {
    assert_eq!(
        one(&house.client().await, CLOSED_TWICE).await,
        0,
        "{context}: windows were closed twice, or not told"
    );
}

/// I21: the report of the newest run says what its pages say.
pub(crate) async fn assert_reported(house: &House, context: &str) {
    let client = house.client().await;
    let sql = "SELECT run_id FROM raw.backfill_run ORDER BY started_at_utc DESC, run_id DESC LIMIT 1";
    let run: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let report = house.at(&["report", &run, "--format", "json"]).await.expect(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let sql = "SELECT coalesce(sum(records_inserted), 0)::bigint, coalesce(sum(records_updated), 0)::bigint,
            coalesce(sum(records_unchanged), 0)::bigint, count(*) FROM raw.backfill_page WHERE run_id = $1";
    let row = client.query_one(sql, &[&run]).await.unwrap();
    for (at, name) in ["inserted", "updated", "unchanged", "pages"].iter().enumerate() {
        assert_eq!(report["totals"][name], row.get::<_, i64>(at), "{context}: {name} in the report of {run}");
    }
}

/// I5: reading all of it again writes not one row.
pub(crate) async fn assert_unchanged_by(house: &House, words: &[&str], context: &str) {
    let client = house.client().await;
    let before = on_disk(&client).await;
    house.at(words).await.expect(0);
    assert!(before == on_disk(&client).await, "{context}: reading the same again wrote rows");
}

/// I2: watched from here on, see [`assert_nothing_went_back`].
pub(crate) async fn watch_versions(house: &House) {
    house.client().await.batch_execute(WATCH).await.unwrap();
}

pub(crate) async fn assert_nothing_went_back(house: &House, context: &str) {
    let back = "SELECT count(*) FROM public.gone_back";
    assert_eq!(house.number(back).await, 0, "{context}: rows were replaced by older versions");
}

/// I24: no session, no lock and no half file is left. The server may take a moment to see that a process is gone.
pub(crate) async fn assert_nothing_leaked(house: &House, context: &str) {
    let client = house.client().await;
    let mut left = one(&client, LEFT_OPEN).await;
    for _ in 0..1000 {
        if left == 0 {
            break;
        }
        client.execute("SELECT pg_sleep(0.01)", &[]).await.unwrap();
        left = one(&client, LEFT_OPEN).await;
    }
    assert_eq!(left, 0, "{context}: sessions or locks are left");
    let files = std::fs::read_dir(house.data()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strange: Vec<_> = names.filter(|name| !name.starts_with("vault")).collect();
    assert!(strange.is_empty(), "{context}: files are left: {strange:?}");
}

async fn on_disk(client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for (_, table, _) in ALL {
        all.push(client.query_one(&ON_DISK.replace("TABLE", table), &[]).await.unwrap().get(0));
    }
    all
}

async fn one(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}
