//! The certificate as one HTML page, made for paper.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use backfill_core::{Certificate, CertifiedPipeline};
use raw_store::VerificationRecord;

use super::CertificateView;
use crate::confirmation::{method, proves, result};
use crate::hex::hex;
use crate::html::escaped::Escaped;
use crate::html::frame;
use crate::html::table::push_table;
use crate::instant::{short, utc};
use crate::number::grouped;

/// Paper has no scroll bar: long words break, and a table's row stays on one page.
const PAPER: &str =
    "@page { size: A4; margin: 16mm; } tr { break-inside: avoid; } .digest { word-break: break-all; }\n";

impl CertificateView<'_> {
    /// Renders the certificate as one HTML page without script and without any request to the network.
    #[must_use]
    pub fn to_html(self) -> String {
        let Certificate { identity, issued_at, span, .. } = self.certificate;
        let mut page = String::new();
        frame::begin(&mut page, format_args!("Certificate: {identity}"), PAPER);
        let _ = write!(
            page,
            "<header>\n<h1>Certificate of what is stored</h1>\n<ul class=\"facts\"><li>{company}</li>\
             <li>from <b>{}</b> to <b>{}</b> (UTC, half-open)</li><li>issued <b>{}</b></li><li>by {}, schema {}</li></ul>\n\
             <p>SHA-256 over all tables: <code class=\"digest\">{}</code></p>\n</header>\n",
            short(span.start()),
            short(span.end()),
            utc(*issued_at),
            Escaped(self.program),
            self.schema_version.map_or_else(|| "unknown".into(), |version| version.to_string()),
            self.hash(),
            company = Escaped(&identity.to_string()),
        );
        self.push_stored(&mut page);
        self.push_shown(&mut page);
        self.push_digests(&mut page);
        frame::end(&mut page);
        page
    }

    fn push_stored(self, page: &mut String) {
        page.push_str("<h2>What is stored</h2>\n");
        let columns = [
            "table",
            "from",
            "to",
            "rows",
            "marked as gone",
            "in quarantine",
            "windows read",
            "not available",
            "open",
        ];
        let row = |one: &CertifiedPipeline| {
            let numbers = [
                one.table.rows,
                one.table.gone,
                one.open_quarantine,
                one.completed,
                one.unavailable,
                one.open,
            ];
            let span = [short(one.span.start()), short(one.span.end())];
            (name(one), span.into_iter().chain(numbers.map(grouped)).collect())
        };
        push_table(
            page,
            "certificate",
            &columns,
            &self.certificate.pipelines.iter().map(row).collect::<Vec<_>>(),
        );
        for one in &self.certificate.pipelines {
            for gap in &one.never_read {
                let _ = writeln!(
                    page,
                    "<p class=\"note\">{}: never read from {} to {}.</p>",
                    Escaped(one.pipeline.table.as_str()),
                    short(gap.start()),
                    short(gap.end())
                );
            }
            for part in &one.left_out {
                let _ = writeln!(
                    page,
                    "<p class=\"note\">{}: {}.</p>",
                    Escaped(one.pipeline.table.as_str()),
                    Escaped(part.consequence())
                );
            }
        }
    }

    fn push_shown(self, page: &mut String) {
        page.push_str("<h2>What was shown</h2>\n");
        let pipelines = &self.certificate.pipelines;
        let all: Vec<_> =
            pipelines.iter().flat_map(|one| &one.verified).chain(&self.certificate.others).collect();
        let columns = [
            "what",
            "status",
            "from",
            "to",
            "counted alike",
            "compared alike",
            "missing",
            "changed",
            "gone",
            "when (UTC)",
        ];
        let row = |one: &&VerificationRecord| {
            let shown = format!("{} {}", result(one.result), method(one.method));
            let span = [short(one.span.start()), short(one.span.end())];
            let numbers = [one.counted, one.same, one.missing, one.changed, one.gone].map(grouped);
            let cells = [shown].into_iter().chain(span).chain(numbers).chain([short(one.at)]);
            (one.entity_name.to_string(), cells.collect())
        };
        if all.is_empty() {
            page.push_str(
                "<p>Nothing was verified yet: the rows are what was received, and no more is known.</p>\n",
            );
        } else {
            push_table(page, "certificate", &columns, &all.iter().map(row).collect::<Vec<_>>());
        }
        let unverified: Vec<_> = pipelines
            .iter()
            .filter(|one| one.verified.is_empty())
            .map(|one| one.pipeline.table.as_str())
            .collect();
        if !unverified.is_empty() && !all.is_empty() {
            let _ = writeln!(page, "<p>Not verified: {}.</p>", Escaped(&unverified.join(", ")));
        }
        let methods: BTreeSet<_> = all.iter().map(|one| one.method).collect();
        for one in methods {
            let _ = writeln!(page, "<p>{}</p>", Escaped(proves(one)));
        }
        page.push_str(
            "<p>Each result is of its own time. What changed at QuickBooks later is not in it, and nothing else was proved.</p>\n",
        );
    }

    fn push_digests(self, page: &mut String) {
        page.push_str(
            "<h2>How to recompute the digests</h2>\n<p>A table's digest is the SHA-256 over one line per row, in the bytewise order \
             of ids: the id, a space, and the fingerprint of the bytes that QuickBooks sent (<code>payload_digest</code>). The one \
             over all tables is the SHA-256 over the lines “table, space, digest” in the order of names. The same digest later \
             means that no row was added, removed or replaced since. Marks of gone records are not in it, and a payload that somebody \
             changed by hand keeps its fingerprint: <code>qbo-backfill verify</code> finds such rows.</p>\n",
        );
        let mut told = BTreeSet::new();
        for one in &self.certificate.pipelines {
            let table = one.pipeline.table.as_str();
            if told.insert(table) {
                let _ = writeln!(
                    page,
                    "<p><b>{}</b> <code class=\"digest\">{}</code></p>",
                    Escaped(table),
                    hex(&one.table.sha256)
                );
            }
        }
        if let Some(one) = self.certificate.pipelines.first() {
            let _ = writeln!(
                page,
                "<p>For example: <code>{}</code></p>",
                Escaped(&self.command(one.pipeline.table.as_str()))
            );
        }
    }
}

/// The table, and the axis where it is not the usual one.
fn name(one: &CertifiedPipeline) -> String {
    match &*one.pipeline.time_axis {
        "updated" => one.pipeline.table.to_string(),
        axis => format!("{} (by {axis})", one.pipeline.table),
    }
}
