//! Contract cases: a table is summed up.

use sha2::{Digest as _, Sha256};

use super::scene::{Scene, noon, row};
use crate::{GoneRecord, Store, StoreError, TableDigest, TableDigests};

/// The digest covers every row by its id and its bytes, whatever the order of landing, and changes with each of them.
pub async fn a_table_has_one_digest<S: Store + TableDigests>(store: &S) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let none = store.table_digest(&scene.pipeline).await?;
    assert_eq!(none, TableDigest { rows: 0, gone: 0, sha256: Sha256::digest("").into() });

    // In the order of bytes, whatever the collation: capitals come before small letters.
    let documents = [("a", r#"{"v":1}"#), ("B", r#"{"v":2}"#), ("10", r#"{"v":3}"#), ("é", r#"{"v":4}"#)];
    let rows = documents.map(|(id, payload)| row(id, payload, noon(1)));
    scene.land(rows.to_vec()).await?;
    let line = |(id, payload): (&str, &str)| {
        let digest = u128::from_be_bytes(Sha256::digest(payload)[..16].try_into().unwrap());
        format!("{id} {digest:032x}\n")
    };
    let [a, b, ten, e] = documents;
    let lines: String = [ten, b, a, e].into_iter().map(line).collect();
    let expected = TableDigest { rows: 4, gone: 0, sha256: Sha256::digest(lines).into() };
    assert_eq!(store.table_digest(&scene.pipeline).await?, expected);

    let gone = GoneRecord { id: "B".into(), deleted_at: None };
    store.mark_gone(&scene.pipeline, &scene.lease, &[gone], noon(2)).await?;
    assert_eq!(store.table_digest(&scene.pipeline).await?, TableDigest { gone: 1, ..expected });
    scene.land(vec![row("a", r#"{"v":"newer"}"#, noon(3))]).await?;
    let changed = store.table_digest(&scene.pipeline).await?;
    assert!(changed.rows == 4 && changed.sha256 != expected.sha256);
    Ok(())
}
