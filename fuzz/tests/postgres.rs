//! What the payload guard accepts, PostgreSQL accepts: asked of a real server, for all that is in the corpus and for
//! mutations of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::path::Path;

use fastrand::Rng;
use fixtures::TempPostgres;
use qbo_backfill_fuzz::mutation::mutated;
use raw_store::check_storable;
use tokio_postgres::NoTls;

/// Few of them are JSON still.
const MUTATIONS: usize = 100_000;

/// JSON by the other reader, which like `jsonb` wants nothing more and nothing less than one value.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// All that may become rows, of the corpus and of what is near it.
fn accepted() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/payload");
    let mut corpus: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    corpus.sort_unstable();
    let corpus: Vec<Vec<u8>> = corpus.into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut rng = Rng::with_seed(4711);
    let near = (0..MUTATIONS).map(|round| {
        let other = rng.usize(..corpus.len());
        mutated(&mut rng, &corpus[round % corpus.len()], &corpus[other])
    });
    let all: Vec<_> = corpus.iter().cloned().chain(near).collect();
    let storable = all.into_iter().filter(|bytes| check_storable(bytes).is_ok());
    let mut accepted: Vec<_> = storable.filter_map(|bytes| String::from_utf8(bytes).ok()).collect();
    accepted.retain(|text| is_json(text));
    accepted.sort_unstable();
    accepted.dedup();
    accepted
}

#[tokio::test]
async fn what_is_accepted_as_a_row_is_accepted_by_postgresql() {
    let database = TempPostgres::shared().await.database().await;
    let (client, connection) = database.config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let accepted = accepted();
    assert!(accepted.len() > 1000, "only {} documents to ask about", accepted.len());
    for text in accepted {
        let stored = client.query_one("SELECT octet_length($1::text::jsonb::text)", &[&text]).await;
        let length: i32 = stored.unwrap_or_else(|error| panic!("{text:?}: {error:?}")).get(0);
        // What an exponent of 400 spells out, for each number of the document.
        let numbers = text.matches(['e', 'E']).count() + 1;
        let most = 8 * text.len() + 1000 * numbers;
        assert!(usize::try_from(length).unwrap() <= most, "{} bytes became {length}: {text:?}", text.len());
    }
}
