//! What every store must do, as functions that any implementation can be tested with.
//!
//! Each function takes a fresh store (set up, but empty), runs one case and panics where the store breaks the contract; an
//! error of the store itself is returned.

#![expect(clippy::missing_panics_doc, reason = "panicking is what these functions are for")]
#![expect(clippy::unwrap_used, reason = "the constants of the stories are valid")]

mod attachments;
mod calls;
mod consent;
mod inspection;
mod landing;
mod monitoring;
mod ownership;
mod refusals;
mod reports;
mod runs;
mod scene;
mod table_digest;
mod triggers;
mod validation;
mod verification;
mod versions;
mod windows;

pub use attachments::downloads_are_remembered;
pub use calls::{
    USUAL_LIMITS, a_minute_is_shared, a_month_is_shared, a_refusal_is_for_all,
    a_source_that_is_down_is_tried_by_one, calls_under_way_are_shared,
};
pub use consent::a_second_copy_of_a_consent_is_found;
pub use inspection::{
    a_mark_of_what_is_gone_stays_until_the_record_comes_back, a_page_is_compared_and_nothing_changes,
    live_rows_are_counted_by_window, stored_ids_are_listed_in_pages, the_store_has_a_clock,
};
pub use landing::{
    a_page_lands_on_top_of_the_page_before_it, a_page_that_contradicts_itself_is_refused,
    a_page_without_its_window_changes_nothing, counts_are_exact_per_window,
    hostile_documents_are_quarantined_alone, landing_twice_changes_nothing,
    the_quarantine_is_listed_and_resolved, the_same_page_again_has_the_same_outcome,
    what_a_row_cannot_say_is_kept_beside_it, what_is_in_quarantine_is_open_until_somebody_accepts_it,
    what_is_resumed_resolves_nothing,
};
pub use monitoring::{
    a_trigger_is_armed_again_by_who_has_seen_it, leases_and_the_budget_are_shown,
    log_lines_are_listed_in_pages, old_events_are_removed, runs_are_listed_in_pages, single_rows_are_shown,
    stretches_of_the_log_have_no_gap, the_log_is_summed_by_month, the_progress_of_a_run_is_shown,
    what_happened_is_told_in_order, what_to_look_at_is_shown, workers_say_that_they_are_alive,
};
pub use ownership::{
    a_lease_that_was_taken_over_commits_nothing, a_pipeline_has_one_owner,
    a_process_that_wakes_up_after_its_time_changes_nothing, a_schema_holds_one_company,
};
pub use refusals::a_refusal_of_the_source_is_remembered;
pub use reports::{a_report_is_kept_as_sent, rows_are_listed_by_a_member, rows_are_looked_up_by_id};
pub use runs::{
    a_run_goes_on, a_run_is_asked_to_stop, a_run_is_remembered, a_run_needs_its_company,
    a_run_without_its_right_records_nothing, totals_follow_the_windows,
};
pub use table_digest::a_table_has_one_digest;
pub use triggers::{
    a_chain_expires_as_a_whole_and_runs_one_at_a_time, a_chain_stops_behind_what_is_not_done,
    a_trigger_fires_once, a_trigger_outlives_its_worker, triggers_are_cancelled_and_expire,
};
pub use validation::{findings_are_remembered, rows_are_examined, times_are_read_in_every_spelling};
pub use verification::verifications_are_remembered;
pub use versions::{
    a_document_without_a_time_is_older, a_row_that_claims_what_cannot_be_is_replaced,
    newer_wins_in_both_orders, sync_tokens_are_numbers, the_later_answer_wins_between_equal_versions,
    the_spelling_of_json_does_not_count,
};
pub use windows::{
    a_closed_window_is_taken_back, a_counted_window_says_so_until_it_is_read_again, a_cursor_survives,
    a_run_opens_a_window_once, a_window_closes_when_it_is_confirmed,
    a_window_has_all_fields_if_all_its_pages_have, a_window_that_starts_over_counts_once,
    failed_windows_say_why, reopening_all_starts_over, the_log_is_filtered,
    unavailable_windows_are_neither_failed_nor_done, unfinished_windows_are_opened_again,
};
