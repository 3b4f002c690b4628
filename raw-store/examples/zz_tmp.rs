#![allow(clippy::all, clippy::pedantic, clippy::disallowed_methods)]
#![allow(missing_docs)]
use raw_store::*; use std::time::Instant;
use time::macros::datetime;
#[tokio::main]
async fn main() {
    let mut t = String::from("[");
    for n in 0..30000u32 { t.push_str(&format!(r#"{{"Id":"{n}","Description":"Example service {:x} for somebody {:x}","Amount":{}.25,"ItemRef":{{"value":"{}","name":"Item {:x}"}}}},"#, n*7919, n*104729, n*31, n%500, n*17)); }
    t.push_str("1]");
    for _ in 0..3 { let b = Instant::now(); check_storable(t.as_bytes()).unwrap(); println!("guard {:.0} MB/s", t.len() as f64/1e6/b.elapsed().as_secs_f64()); }
    for _ in 0..3 { let b = Instant::now(); std::str::from_utf8(t.as_bytes()).unwrap(); println!("utf8 {:.0} MB/s", t.len() as f64/1e6/b.elapsed().as_secs_f64()); }
    {use sha2::Digest; for _ in 0..3 { let b = Instant::now(); let d = sha2::Sha256::digest(t.as_bytes()); println!("sha {:.0} MB/s {}", t.len() as f64/1e6/b.elapsed().as_secs_f64(), d[0]); }}
    let d = fixtures::TempPostgres::shared().await.database().await;
    let o: DatabaseOptions = d.url().parse().unwrap();
    let store = PgStore::connect(o.with_password(d.password()), SchemaName::default()).await.unwrap();
    store.migrate().await.unwrap();
    let id = StoreIdentity{realm_id:"1".into(),environment:"sandbox".into()};
    store.bind(&id).await.unwrap();
    let p = Pipeline{entity_name:"invoices".into(),table:"qb_invoices".parse().unwrap(),time_axis:"updated".into()};
    let start = datetime!(2000-01-01 0:00 UTC);
    let w: Vec<Window> = (0..100_000).map(|n| Window::new(start+time::Duration::hours(n), start+time::Duration::hours(n+1)).unwrap()).collect();
    for r in ["a","b"] { 
        store.begin_run(&RunStart{id:r.parse().unwrap(),identity:id.clone(),seed:1,pipelines:vec![p.clone()],span:w[0],chunk:"h".into(),started_at:start}).await.unwrap();
        for re in [Reopen::Unfinished, Reopen::All] { let b = Instant::now(); let n = store.open_windows(&r.parse().unwrap(), &p, &w, re).await.unwrap().len(); println!("open {n} {:?}", b.elapsed()); }
    }
    let l = store.acquire(&p, "x").await.unwrap();
    for number in 1..=3 { let b = Instant::now();
    let page = PageCommit{pipeline:p.clone(),run:"b".parse().unwrap(),lease:l.clone(),page_number:number,page_size:1000,request:"{}".into(),started_at:start,ingested_at:start,answered_at:start,rows:vec![],rejected:vec![],windows:w[..if number==2 {20_000} else {5}].iter().map(|w| WindowChange{window:*w,state:WindowState::Completed,cursor:None,duration:std::time::Duration::ZERO}).collect()};
    store.commit_page(&page).await.unwrap(); println!("close {} {:?}", page.windows.len(), b.elapsed()); }
    let b = Instant::now(); println!("lines {} {:?}", store.lines(&LogFilter::default()).await.unwrap().len(), b.elapsed());
}
