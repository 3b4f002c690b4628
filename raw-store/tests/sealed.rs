//! The bytes of a vault that several hosts share.

#![cfg(feature = "pg")]

mod support;

use raw_store::{SchemaName, SealedRow, StoreErrorKind};
use support::{database, options, store};

#[tokio::test]
async fn bytes_replace_only_those_of_the_revision_they_were_made_from() {
    let database = database().await;
    let row = || SealedRow::new(&options(&database), SchemaName::default()).unwrap();
    let (one, other) = (row(), row());
    let error = one.read().await.unwrap_err();
    assert!(matches!(error.kind, StoreErrorKind::NotSetUp(_)), "{error}");

    store(&database).await;
    assert_eq!(one.read().await.unwrap(), None);
    assert!(one.create(b"first").await.unwrap());
    assert!(!other.create(b"second").await.unwrap());
    assert_eq!(other.read().await.unwrap(), Some((b"first".to_vec(), 1)));
    assert!(one.replace(1, b"third").await.unwrap());
    assert!(!other.replace(1, b"fourth").await.unwrap());
    assert_eq!(other.read().await.unwrap(), Some((b"third".to_vec(), 2)));
}

#[tokio::test]
async fn one_connection_holds_the_lock_until_it_goes() {
    let database = database().await;
    store(&database).await;
    let row = || SealedRow::new(&options(&database), SchemaName::default()).unwrap();
    let (one, other) = (row(), row());
    let held = one.try_lock().await.unwrap().unwrap();
    assert!(held.is_held());
    assert!(other.try_lock().await.unwrap().is_none());
    drop(held);
    // The server notices within its own time that the connection is gone.
    while other.try_lock().await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}
