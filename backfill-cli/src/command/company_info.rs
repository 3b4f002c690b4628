//! The query that checks whether a consent opens a company.

use qbo_client::Query;

/// The query.
pub(super) fn company_info() -> Query {
    Query::select("CompanyInfo".parse().expect("an entity's name is letters"))
}
