//! How fast a page is split into its records, beside the speed at which memory can be read and copied at all.
//!
//! `cargo run --release -p qbo-client --example split_floor -- [RECORDS [ROUNDS]]`
//!
//! Method: pages of the emulated company's invoices at three sizes, as QuickBooks sends them. Each round does in turn: a
//! copy of the page into a buffer that is there already, one plain pass over its bytes (added up as words of eight), and the
//! split. Beside the medians stands how many times longer than the copy and the pass the split takes. The page is
//! larger than the caches near the core, and does not come from the network just now, as a real one does.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use fixtures::measure::median;
use fixtures::{Company, Shape};
use qbo_client::RawPage;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default: usize| arguments.get(n).map_or(Ok(default), |text| text.parse());
    let (records, rounds) = (number(0, 1000)?, number(1, 101)?);
    println!("pages of {records} invoices, {rounds} rounds, medians");
    println!(
        "{:>12} {:>10} {:>11} {:>11} {:>11} {:>9} {:>9}",
        "bytes/record", "page MiB", "copy GiB/s", "pass GiB/s", "split GiB/s", "of copy", "of pass"
    );
    for bytes in [1_000, 3_000, 30_000] {
        let page = page(records, bytes);
        let mut buffer = vec![0; page.len()];
        let mut took = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            took[0].push(seconds(|| black_box(&mut buffer).copy_from_slice(black_box(&page))));
            took[1].push(seconds(|| black_box(sum(black_box(&page)))));
            let mut found = 0;
            took[2].push(seconds(|| {
                found = RawPage::split(page.clone(), "Invoice").map_or(0, |page| page.len());
            }));
            if found != records {
                return Err(format!("{found} records of {records} were found").into());
            }
        }
        let [copy, pass, split] = took.map(median);
        let size = page.len() as f64 / f64::from(1 << 20);
        let speed = |seconds: f64| size / 1024.0 / seconds;
        println!(
            "{:>12} {size:>10.2} {:>11.2} {:>11.2} {:>11.2} {:>9.1} {:>9.1}",
            page.len() / records.max(1),
            speed(copy),
            speed(pass),
            speed(split),
            split / copy,
            split / pass,
        );
    }
    Ok(())
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let began = Instant::now();
    black_box(work());
    began.elapsed().as_secs_f64()
}

fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
    rest.iter().fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

/// An answer with so many invoices.
fn page(records: usize, bytes: usize) -> Bytes {
    let shape = Shape { invoices: records, invoice_bytes: bytes, ..Shape::default() };
    let mut page = br#"{"QueryResponse":{"Invoice":["#.to_vec();
    for (at, record) in Company::generate(1, &shape).records("Invoice").enumerate() {
        if at > 0 {
            page.push(b',');
        }
        page.extend_from_slice(&record.payload);
    }
    page.extend_from_slice(br#"]},"time":"2026-01-01T00:00:00.000-08:00"}"#);
    page.into()
}
