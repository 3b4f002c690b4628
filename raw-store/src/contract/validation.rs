//! Contract cases: rows are examined for validation, and findings are stored by run and pipeline.

use time::Duration;
use time::macros::datetime;

use super::scene::{Scene, day, noon, row};
use crate::{
    Finding, Pipeline, Row, Severity, Store, StoreError, Validation, ValidationQuery, ValidationResult,
    Window,
};

/// A document with the members that an examination reads; its time of last change is given in another offset.
fn document(id: &str, made: &str, changed: &str, number: &str) -> String {
    format!(r#"{{"Id":"{id}","No":"{number}","Meta":{{"Made":"{made}","Changed":"{changed}"}}}}"#)
}

/// Rows are counted by what is wrong with them, by window, and by the days of their change and creation.
pub async fn rows_are_examined<S: Store + Validation>(store: &S) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let made = "2023-12-31T17:00:00-08:00";
    let well = document("1", made, "2024-01-01T04:00:00-08:00", "A-1");
    let shifted = document("2", made, "2024-01-01T12:00:00-08:00", "A-1");
    let astray = document("3", "2024-02-30T25:61:61-08:00", "no time", "A-2");
    let rows: [Row; 4] = [
        row("1", &well, noon(0)),
        row("2", &shifted, noon(0)),
        // Its window is the first day.
        row("3", &astray, noon(1)),
        row("4", "{}", noon(0)),
    ];
    scene.land(rows.to_vec()).await?;

    let windows: Vec<Window> = (0..10).map(day).collect();
    let span = Window::new(day(0).start(), day(9).end()).unwrap();
    let pipeline = scene.pipeline.clone();
    let inquiry = ValidationQuery {
        pipeline: &pipeline,
        span,
        windows: &windows,
        by_update: true,
        enough: 100,
        updated: &["Meta", "Changed"],
        created: &["Meta", "Made"],
        number: &["No"],
    };
    let found = store.examine(&inquiry).await?;
    assert_eq!((found.rows, found.all_rows), (4, 4));
    assert_eq!(store.replaced(&pipeline.entity_name).await?, 0);
    assert_eq!((found.without_key, found.repeated_keys, found.empty_payloads), (0, 0, 1));
    assert_eq!((found.other_times, found.outside_window, found.repeated_numbers), (1, 1, 1));
    assert_eq!(found.in_windows[..3], [3, 1, 0]);
    let days = [day(0), day(1)].map(|window| window.start().date());
    assert_eq!(found.by_update, [(days[0], 3), (days[1], 1)]);
    assert_eq!(found.by_creation[0], (days[0], 2));
    assert_eq!(found.lags[0], (0, 2));

    let elsewhere = Window::new(day(5).start(), day(6).end()).unwrap();
    let none = store.examine(&ValidationQuery { span: elsewhere, ..inquiry.clone() }).await?;
    assert_eq!((none.rows, none.all_rows, none.by_update.len()), (0, 4, 0));
    let otherwise =
        store.examine(&ValidationQuery { by_update: false, number: &[], ..inquiry.clone() }).await?;
    assert_eq!((otherwise.outside_window, otherwise.repeated_numbers), (0, 0));

    scene.land(vec![row("4", r#"{"Id":"4"}"#, noon(0) + Duration::HOUR)]).await?;
    let again = store.examine(&inquiry).await?;
    assert_eq!(again.empty_payloads, 0);
    assert_eq!(store.replaced(&pipeline.entity_name).await?, 1);

    // The same without unpacking documents: windows that are not adjacent, and no more of the table than requested.
    let some = [day(0), day(1), day(4)];
    let surveyed = store.survey(&pipeline, &some, 3).await?;
    assert_eq!((surveyed.all_rows, surveyed.without_key, surveyed.outside_window), (3, 0, 1));
    assert_eq!((surveyed.empty_payloads, &surveyed.in_windows[..]), (0, &[3, 1, 0][..]));
    assert_eq!(store.survey(&pipeline, &[day(1)], 0).await?.outside_window, 0);
    let nothing = store.survey(&pipeline, &[], 0).await?;
    assert_eq!(nothing, crate::TableSurvey::default());
    // Only rows that can be dated, and only those that lie in the window.
    let made = store.made_by_day(&pipeline, day(0), &["Meta", "Made"]).await?;
    assert_eq!(made, [(days[0], 2)]);
    assert_eq!(store.made_by_day(&pipeline, day(5), &["Meta", "Made"]).await?, []);
    let missing = crate::Pipeline { table: "qb_never_prepared".parse().unwrap(), ..pipeline.clone() };
    assert_eq!(store.examine(&ValidationQuery { pipeline: &missing, ..inquiry }).await?.rows, 0);
    assert_eq!(store.survey(&missing, &some, 3).await?.in_windows, [0, 0, 0]);
    Ok(())
}

/// Every spelling of a time that the reader of answers accepts is read here too, and no row is missed because of it.
pub async fn times_are_read_in_every_spelling<S: Store + Validation>(store: &S) -> Result<(), StoreError> {
    let mut scene = Scene::begin(store).await?;
    let spellings = [
        "2024-01-01T04:00:00-08:00",
        "2024-01-01T04:00:00-0800",
        "2024-01-01T04:00:00-08",
        "2024-01-01 04:00:00 -0800",
        "2024-01-01t12:00:00z",
        "2024-01-01T12:00:00.125+0000",
        "2024-01-01T12:00:00,000Z",
    ];
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for (n, spelling) in spellings.iter().enumerate() {
        let id = n.to_string();
        same.push(row(&id, &document(&id, spelling, spelling, &id), noon(0)));
        let changed = document(&id, spelling, spelling, &format!("{id}-1"));
        other.push(row(&id, &changed, noon(0) + Duration::HOUR));
    }
    // These times cannot be read; the second row has no stored time either.
    let doubtful = |id: &str, said: &str| row(id, &document(id, said, said, id), noon(0));
    same.push(doubtful("bare", "2024-01-01"));
    same.push(Row { updated_at: None, ..doubtful("none", "2024-01-01T12:00:00") });
    let (pipeline, windows) = (scene.pipeline.clone(), [day(0), day(1)]);
    let inquiry = ValidationQuery {
        pipeline: &pipeline,
        span: Window::new(day(0).start(), day(1).end()).unwrap(),
        windows: &windows,
        by_update: true,
        enough: 100,
        updated: &["Meta", "Changed"],
        created: &["Meta", "Made"],
        number: &["No"],
    };
    scene.land(same).await?;
    let found = store.examine(&inquiry).await?;
    assert_eq!((found.rows, found.other_times), (9, 0));
    assert_eq!(found.in_windows, [9, 0], "what has no time is where it was put");
    assert_eq!(found.by_creation, [(day(0).start().date(), 7)]);
    scene.land(other).await?;
    assert_eq!(store.examine(&inquiry).await?.other_times, 7);
    Ok(())
}

/// Findings are recorded by run and pipeline; the newest validation counts.
pub async fn findings_are_remembered<S: Store + Validation>(store: &S) -> Result<(), StoreError> {
    let scene = Scene::begin(store).await?;
    assert_eq!(store.validated(&scene.run).await?, []);
    let finding = |kind: &str, severity, span| Finding {
        kind: kind.into(),
        severity,
        span,
        amount: 7,
        detail: "seven of them".into(),
    };
    let first = ValidationResult {
        entity_name: scene.pipeline.entity_name.clone(),
        time_axis: "updated".into(),
        at: datetime!(2024-02-01 12:00 UTC),
        rows: 4,
        findings: vec![
            finding("a", Severity::Error, None),
            finding("b", Severity::Warning, Some(day(3))),
            finding("c", Severity::Info, Some(day(1))),
        ],
    };
    let (name, runs) = (&*scene.pipeline.entity_name, [scene.run.clone(), "another".parse().unwrap()]);
    assert_eq!(store.looked_over(name, &runs, "a").await?, []);
    store.keep_validated(&scene.run, std::slice::from_ref(&first)).await?;
    assert_eq!(store.looked_over(name, &runs, "a").await?, [], "an error stands until a look finds none");
    // An error of another kind is its own matter, and so is a warning.
    assert_eq!(store.looked_over(name, &runs, "b").await?, runs[..1]);
    let early = first.at - Duration::DAY;
    let everything = Window::new(datetime!(2000-01-01 0:00 UTC), datetime!(2100-01-01 0:00 UTC)).unwrap();
    assert_eq!(store.sound_ranges(&scene.pipeline, everything, early, "a").await?, []);
    assert_eq!(store.validated(&scene.run).await?, std::slice::from_ref(&first));
    let later = ValidationResult { at: first.at + Duration::HOUR, findings: Vec::new(), ..first };
    store.keep_validated(&scene.run, std::slice::from_ref(&later)).await?;
    assert_eq!(store.looked_over(name, &runs, "a").await?, runs[..1]);
    assert_eq!(store.looked_over("another", &runs, "a").await?, []);
    let range = super::scene::run_start(scene.run.as_str()).span;
    assert_eq!(store.sound_ranges(&scene.pipeline, everything, early, "a").await?, [(range, later.at)]);
    let too_late = later.at + Duration::SECOND;
    assert_eq!(store.sound_ranges(&scene.pipeline, everything, too_late, "a").await?, []);
    let before = Window::new(everything.start(), range.start()).unwrap();
    assert_eq!(store.sound_ranges(&scene.pipeline, before, early, "a").await?, []);
    let by_creation = Pipeline { time_axis: "created".into(), ..scene.pipeline.clone() };
    assert_eq!(store.sound_ranges(&by_creation, everything, early, "a").await?, []);
    assert_eq!(store.validated(&scene.run).await?, [later]);
    assert_eq!(store.validated(&"another".parse().unwrap()).await?, []);
    Ok(())
}
