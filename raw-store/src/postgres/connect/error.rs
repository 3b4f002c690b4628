//! Translates errors of the driver and the pool into store errors, without the server's text.

use std::error::Error as _;
use std::io;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::DbError;

use crate::StoreErrorKind;

impl From<tokio_postgres::Error> for StoreErrorKind {
    /// Keeps SQLSTATE, table and constraint. The server's message, its DETAIL and its CONTEXT are dropped: they quote rows.
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => from_server(refusal),
            None => from_driver(&error),
        }
    }
}

impl From<PoolError> for StoreErrorKind {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::Unavailable("no connection became free in time".into())
            }
            PoolError::Timeout(_) => Self::Unavailable("the server did not answer in time".into()),
            _ => Self::Unavailable("the pool of connections is closed".into()),
        }
    }
}

fn from_server(refusal: &DbError) -> StoreErrorKind {
    let place = Place { table: refusal.table(), constraint: refusal.constraint(), column: refusal.column() };
    from_sqlstate(refusal.code().code(), place)
}

/// The object of a refusal. All three are names of the schema, never data.
#[derive(Clone, Copy, Debug, Default)]
struct Place<'a> {
    table: Option<&'a str>,
    constraint: Option<&'a str>,
    column: Option<&'a str>,
}

/// Maps a SQLSTATE (PostgreSQL's manual, appendix A) to a kind by what can be done about it.
fn from_sqlstate(code: &str, place: Place<'_>) -> StoreErrorKind {
    use StoreErrorKind as Kind;
    let at = place.text();
    match code {
        "57P01" | "57P02" => Kind::Unavailable("the server is shutting down or cut the connection".into()),
        "57P03" => Kind::Unavailable("the server is starting".into()),
        "25006" => Kind::ReadOnly,
        "57P05" => Kind::Unavailable("the server ended an idle session".into()),
        "53300" | "40001" | "40P01" | "55P03" | "57014" | "25P03" | "55006" => Kind::Busy(code.into()),
        "3D000" => Kind::LoginRefused(code.into()),
        "42501" => Kind::Forbidden(place.table.unwrap_or("the schema or one of its tables").into()),
        // The caller, which knows the missing name, fills it in.
        "42P01" | "3F000" => Kind::NotSetUp("".into()),
        "42703" | "42804" | "42883" | "42P10" | "23502" | "23514" => {
            Kind::Differs(format!("SQLSTATE {code}{at}").into())
        }
        _ => match &code[..2] {
            "08" => Kind::Unavailable(format!("SQLSTATE {code}").into()),
            "28" => Kind::LoginRefused(code.into()),
            "53" => Kind::Full(code.into()),
            _ => Kind::Refused { sqlstate: code.into(), at: at.into() },
        },
    }
}

impl Place<'_> {
    fn text(self) -> String {
        [(" in ", self.table), (" column ", self.column), (" by ", self.constraint)]
            .into_iter()
            .filter_map(|(word, name)| Some(format!("{word}{}", name?)))
            .collect()
    }
}

/// The driver does not expose its error kinds, so its fixed messages tell them apart.
fn from_driver(error: &tokio_postgres::Error) -> StoreErrorKind {
    let words = error.to_string();
    let says = |start: &str| words.starts_with(start);
    if says("error performing TLS handshake") {
        return StoreErrorKind::Insecure(tls_reason(error).into());
    }
    if says("invalid configuration") {
        // The only thing our own configuration can lack is the password that the server turned out to require.
        return StoreErrorKind::LoginRefused("28P01".into());
    }
    if says("authentication error") {
        // The driver has this reason only as text, too.
        let reason = error.source().map(ToString::to_string).unwrap_or_default();
        if reason.contains("channel binding") {
            let unbound = "the server does not bind the login to the connection, so that another server could be in between";
            return StoreErrorKind::Insecure(unbound.into());
        }
        return StoreErrorKind::Insecure("the server did not prove that it knows the password".into());
    }
    if error.is_closed() {
        return StoreErrorKind::Unavailable("the connection was cut".into());
    }
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(io) => StoreErrorKind::Unavailable(io_reason(io).into()),
        None if says("timeout") => StoreErrorKind::Unavailable("the server did not answer in time".into()),
        None if says("error connecting") || says("error communicating") => {
            StoreErrorKind::Unavailable("no connection".into())
        }
        // A row does not fit what is read from it: a column has another type.
        None if says("error deserializing") || says("error serializing") || says("invalid column") => {
            StoreErrorKind::Differs("a column has another type than expected".into())
        }
        None => StoreErrorKind::Refused { sqlstate: "none".into(), at: "".into() },
    }
}

fn io_reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "no server listens there",
        io::ErrorKind::NotFound => "there is no such socket",
        io::ErrorKind::PermissionDenied => "this user may not open the socket",
        io::ErrorKind::TimedOut => "the server did not answer in time",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "the connection was cut"
        }
        _ if error.raw_os_error().is_none() => "its name cannot be resolved or the connection was cut",
        _ => "the connection failed",
    }
}

fn tls_reason(error: &tokio_postgres::Error) -> &'static str {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(reason)) => certificate_reason(reason),
        Some(_) => "the TLS handshake failed",
        None if io.is_some() => "the connection was cut during the TLS handshake",
        None => "the server does not offer TLS",
    }
}

fn certificate_reason(reason: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as Reason;
    match reason {
        // The second and third: an authority of that name is known, and has not signed this.
        Reason::UnknownIssuer
        | Reason::BadSignature
        | Reason::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "no known authority vouches for the server's certificate"
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            "the server's certificate names another host"
        }
        Reason::Expired | Reason::ExpiredContext { .. } => "the server's certificate has expired",
        _ => "the server's certificate is not valid",
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, from_sqlstate};
    use crate::{Advice, StoreError};

    #[test]
    fn every_sqlstate_has_one_advice() {
        for (codes, advice, text) in [
            (&["08006", "08P01", "57P01", "57P02", "57P03"][..], Advice::Retry, "not reachable"),
            (&["25006"], Advice::Retry, "accepts no changes now: it is read-only"),
            (&["40001", "40P01", "55P03", "57014", "53300"], Advice::Retry, "too busy"),
            (&["28P01", "28000", "3D000"], Advice::FixDatabase, "refused the login"),
            (&["53100", "53200"], Advice::FixDatabase, "no room left"),
            (&["42501"], Advice::FixDatabase, "permission denied"),
            (&["42P01", "3F000"], Advice::FixDatabase, "not set up"),
            (&["42703", "42804", "23502", "23514"], Advice::FixDatabase, "differs from what is expected"),
            (&["XX000", "22P02", "23505"], Advice::FixDatabase, "refused the statement"),
        ] {
            for code in codes {
                let error = StoreError::new("testing", from_sqlstate(code, Place::default()));
                assert_eq!(error.advice(), advice, "{code}");
                assert!(error.to_string().contains(text), "{code}: {error}");
            }
        }
    }

    #[test]
    fn a_refusal_names_table_and_constraint() {
        let place = Place { table: Some("qb_items"), constraint: Some("ours"), column: None };
        let error = StoreError::new("testing", from_sqlstate("23505", place));
        assert_eq!(
            error.to_string(),
            "testing: the database refused the statement (SQLSTATE 23505 in qb_items by ours)"
        );
    }
}
