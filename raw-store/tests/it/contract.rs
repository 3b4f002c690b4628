//! Every story of the contract, told to both stores.

#![cfg(feature = "pg")]

use raw_store::{MemoryStore, contract};

macro_rules! stories {
    (alone: $($alone:ident)*; with_another_process: $($both:ident)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $alone() {
                contract::$alone(&MemoryStore::new()).await.unwrap();
            })*
            $(#[tokio::test]
            async fn $both() {
                let store = MemoryStore::new();
                contract::$both(&store, &store.another_process()).await.unwrap();
            })*
        }

        mod postgres {
            use super::*;
            $(#[tokio::test]
            async fn $alone() {
                let database = crate::support::database().await;
                contract::$alone(&crate::support::store(&database).await).await.unwrap();
            })*
            $(#[tokio::test]
            async fn $both() {
                let database = crate::support::database().await;
                let (store, other) = (crate::support::store(&database).await, crate::support::store(&database).await);
                contract::$both(&store, &other).await.unwrap();
            })*
        }

        /// With the rights that `sql/roles/roles.sql` gives, and no others.
        mod postgres_as_loader {
            use super::*;
            $(#[tokio::test]
            async fn $alone() {
                let database = crate::support::database().await;
                contract::$alone(&crate::support::loader(&database).await).await.unwrap();
            })*
            $(#[tokio::test]
            async fn $both() {
                let database = crate::support::database().await;
                let (store, other) = (crate::support::loader(&database).await, crate::support::loader(&database).await);
                contract::$both(&store, &other).await.unwrap();
            })*
        }
    };
}

#[tokio::test]
async fn in_memory_a_process_that_wakes_up_after_its_time_changes_nothing() {
    let store = MemoryStore::new();
    let run_out = async || store.let_leases_run_out();
    let other = store.another_process();
    contract::a_process_that_wakes_up_after_its_time_changes_nothing(&store, &other, run_out).await.unwrap();
}

#[tokio::test]
async fn in_postgres_a_process_that_wakes_up_after_its_time_changes_nothing() {
    let database = crate::support::database().await;
    let (store, other) = (crate::support::store(&database).await, crate::support::loader(&database).await);
    let observer = crate::support::connection(&database).await;
    // The next heartbeat is seconds away.
    let past = "UPDATE raw.backfill_lease SET lease_until_utc = clock_timestamp() - interval '1 second'";
    let run_out = async || assert_eq!(observer.execute(past, &[]).await.unwrap(), 1);
    contract::a_process_that_wakes_up_after_its_time_changes_nothing(&store, &other, run_out).await.unwrap();
}

stories! {
    alone:
        rows_are_examined times_are_read_in_every_spelling findings_are_remembered
        a_page_is_compared_and_nothing_changes stored_ids_are_listed_in_pages
        a_mark_of_what_is_gone_stays_until_the_record_comes_back live_rows_are_counted_by_window
        verifications_are_remembered a_table_has_one_digest downloads_are_remembered
        landing_twice_changes_nothing what_a_row_cannot_say_is_kept_beside_it
        the_same_page_again_has_the_same_outcome
        counts_are_exact_per_window
        hostile_documents_are_quarantined_alone
        the_quarantine_is_listed_and_resolved
        what_is_in_quarantine_is_open_until_somebody_accepts_it
        what_is_resumed_resolves_nothing
        a_page_that_contradicts_itself_is_refused
        a_page_without_its_window_changes_nothing a_page_lands_on_top_of_the_page_before_it
        newer_wins_in_both_orders
        a_row_that_claims_what_cannot_be_is_replaced
        the_store_has_a_clock
        rows_are_looked_up_by_id rows_are_listed_by_a_member
        a_report_is_kept_as_sent
        sync_tokens_are_numbers
        the_later_answer_wins_between_equal_versions
        a_document_without_a_time_is_older
        the_spelling_of_json_does_not_count
        a_run_opens_a_window_once a_window_that_starts_over_counts_once
        a_cursor_survives
        unfinished_windows_are_opened_again
        reopening_all_starts_over
        a_closed_window_is_taken_back a_counted_window_says_so_until_it_is_read_again a_window_closes_when_it_is_confirmed
        a_window_has_all_fields_if_all_its_pages_have a_refusal_of_the_source_is_remembered
        failed_windows_say_why
        unavailable_windows_are_neither_failed_nor_done
        the_log_is_filtered
        a_schema_holds_one_company
        a_run_is_remembered a_run_goes_on a_run_is_asked_to_stop
        a_run_needs_its_company
        totals_follow_the_windows
        a_second_copy_of_a_consent_is_found
        a_trigger_is_armed_again_by_who_has_seen_it leases_and_the_budget_are_shown log_lines_are_listed_in_pages old_events_are_removed
        runs_are_listed_in_pages single_rows_are_shown stretches_of_the_log_have_no_gap the_log_is_summed_by_month
        the_progress_of_a_run_is_shown what_happened_is_told_in_order what_to_look_at_is_shown workers_say_that_they_are_alive
        a_chain_stops_behind_what_is_not_done a_chain_expires_as_a_whole_and_runs_one_at_a_time triggers_are_cancelled_and_expire;
    with_another_process:
        a_pipeline_has_one_owner
        a_lease_that_was_taken_over_commits_nothing
        a_minute_is_shared
        calls_under_way_are_shared
        a_refusal_is_for_all
        a_month_is_shared
        a_source_that_is_down_is_tried_by_one
        a_trigger_fires_once a_trigger_outlives_its_worker
        a_run_without_its_right_records_nothing
}
