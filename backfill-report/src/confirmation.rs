//! The sentences that say what a verification has shown.

use backfill_core::reconcile::WHOLE;
use raw_store::{VerificationRecord, VerifyMethod, VerifyResult};

use crate::instant::short;

/// Says how a verification compared, as the end of a sentence: `by count`.
#[must_use]
pub fn method(method: VerifyMethod) -> &'static str {
    match method {
        VerifyMethod::Count => "by count",
        VerifyMethod::Compared => "record by record",
        VerifyMethod::Report => "with QuickBooks' reports",
    }
}

/// Says what a verification has shown: `confirmed`.
#[must_use]
pub fn result(result: VerifyResult) -> &'static str {
    match result {
        VerifyResult::Confirmed => "confirmed",
        VerifyResult::Differs => "found to differ",
        VerifyResult::Incomplete => "verified in part",
    }
}

/// Says in one sentence what a verification has shown, of a pipeline or of the company as a whole, how and when.
#[must_use]
pub fn sentence(record: &VerificationRecord) -> String {
    let (start, end) = (short(record.span.start()), short(record.span.end()));
    if *record.entity_name == *WHOLE {
        let result = match record.result {
            VerifyResult::Confirmed => "ties out",
            VerifyResult::Differs => "does not tie out",
            VerifyResult::Incomplete => "compared in part",
        };
        return format!(
            "the company: {result} {} on {}, {start} .. {end}",
            method(record.method),
            short(record.at)
        );
    }
    let (result, how, at) = (result(record.result), method(record.method), short(record.at));
    format!("qb_{}_backfill: {result} {how} on {at}, {start} .. {end}", record.entity_name)
}

/// Says what a method proves, and what it does not.
#[must_use]
pub fn proves(method: VerifyMethod) -> &'static str {
    match method {
        VerifyMethod::Count => {
            "By count: QuickBooks counted as many records as there are rows, in windows that were completed before. An edit or a \
             deletion takes a record out of its time, so equal numbers show that no record left. They say nothing of content that \
             changed without a new time."
        }
        VerifyMethod::Compared => {
            "Record by record: every record that QuickBooks returned for the range was compared with its row, and every row that \
             was not returned was looked up. It is QuickBooks' own query service that was asked, at the stated time."
        }
        VerifyMethod::Report => {
            "With QuickBooks' reports: the transactions of its journal and of its list of transactions were found among the rows by \
             id. A confirmed result means that none is missing. Payloads were not compared, and records that are no transactions are \
             in no report."
        }
    }
}
