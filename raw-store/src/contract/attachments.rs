//! Contract case: downloads of attachments are recorded beside the documents that describe them.

use super::scene::{Scene, noon, pipeline, row};
use crate::{AttachmentFile, AttachmentLog, AttachmentRecord, AttachmentState, Pipeline, Store, StoreError};

/// Every live document is listed in pages with its last download, and a download of an older version is not current.
pub async fn downloads_are_remembered<S: Store + AttachmentLog>(store: &S) -> Result<(), StoreError> {
    let other = Pipeline { table: "qb_attachables".parse().unwrap(), ..pipeline() };
    assert_eq!(store.attachments(&other, "", 10).await?, []);
    let mut scene = Scene::begin(store).await?;
    let edited = crate::Row { sync_token: Some(3), ..row("2", r#"{"Id":"2"}"#, noon(0)) };
    let rows = vec![row("1", r#"{"Id":"1"}"#, noon(0)), edited, row("3", r#"{"Id":"3"}"#, noon(0))];
    scene.land(rows).await?;
    let ids = async |after, limit| {
        let listed = store.attachments(&pipeline(), after, limit).await?;
        Ok::<_, StoreError>(listed.into_iter().map(|one| one.id).collect::<Vec<_>>())
    };
    assert_eq!(ids("", 2).await?, ["1".into(), "2".into()]);
    assert_eq!(ids("2", 2).await?, ["3".into()]);

    let file = |name: &str, size| AttachmentFile { name: name.into(), size, sha256: "0a".repeat(32).into() };
    let record = |id: &str, file, sync_token| AttachmentRecord {
        id: id.into(),
        file,
        sync_token,
        recorded_at: noon(1),
    };
    let (first, second) =
        (record("1", None, Some(0)), record("2", Some(file("2-receipt.pdf", 1 << 40)), Some(2)));
    store.keep_attachment(&record("1", Some(file("1-note", 0)), Some(0))).await?;
    store.keep_attachment(&first).await?;
    store.keep_attachment(&second).await?;
    let state = |id: &str, record, is_current| AttachmentState { id: id.into(), record, is_current };
    let expected = [
        state("1", Some(first.clone()), true),
        state("2", Some(second.clone()), false),
        state("3", None, false),
    ];
    assert_eq!(store.attachments(&pipeline(), "", 10).await?, expected);
    let newer = AttachmentRecord { sync_token: Some(4), ..second };
    store.keep_attachment(&newer).await?;
    let listed = store.attachments(&pipeline(), "1", 1).await?;
    assert_eq!(listed, [state("2", Some(newer), true)]);
    Ok(())
}
