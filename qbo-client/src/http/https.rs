//! [`Transport`] over HTTPS.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use qbo_auth::AccessToken;
use qbo_auth::http::{BodyError, Inflating, http_date, insecure_reason};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, redirect};

use super::{Call, Received, Transport, TransportError};
use crate::query::{MINOR_VERSION, instant};

/// Time limit for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// Time limit for one attempt as a whole. QBO cuts its own work at 120 s.
const TOTAL: Duration = Duration::from_secs(130);

/// Time limit without a byte, once the body has begun.
const STALL: Duration = Duration::from_secs(30);

/// The largest body that is read, decompressed. A page of 1000 large invoices is a tenth of it.
pub(crate) const LARGEST_BODY: usize = 64 << 20;

/// Sends requests for one company over HTTPS.
#[derive(Debug)]
pub(crate) struct Https {
    http: Client,
    company: String,
}

impl Https {
    /// `company` is the company's URL; `secure` refuses anything but HTTPS.
    pub(crate) fn new(company: String, secure: bool, connections: usize) -> Result<Self, reqwest::Error> {
        let mut builder = Client::builder()
            .user_agent(concat!("qbo-backfill/", env!("CARGO_PKG_VERSION")))
            .https_only(secure)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_max_idle_per_host(connections)
            // A redirect would carry the token to another host; a hidden retry would be an uncounted call.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never());
        if !secure {
            // This machine only: there is no proxy in between, and plain HTTP needs no root certificates.
            builder = builder.no_proxy().tls_certs_only([]);
        }
        Ok(Self { http: builder.build()?, company })
    }
}

#[async_trait]
impl Transport for Https {
    async fn send<'a>(&self, call: Call<'a>, token: &AccessToken) -> Result<Received, TransportError> {
        let request = match call {
            Call::Query { text, include } => self
                .http
                .post(format!("{}/query", self.company))
                // In the URL, because the body is the statement (as Intuit's PHP SDK sends it).
                .query(&include.map(|include| [("include", include.as_str())]))
                .header(CONTENT_TYPE, "application/text")
                .body(text.to_owned()),
            Call::Changes { entity, since } => self
                .http
                .get(format!("{}/cdc", self.company))
                .query(&[("entities", entity.as_str()), ("changedSince", &instant(since))]),
            Call::Report(report) => self
                .http
                .get(format!("{}/reports/{}", self.company, report.name()))
                .query(&report.parameters()),
        };
        let request = request
            .query(&[("minorversion", MINOR_VERSION)])
            .header(ACCEPT, "application/json")
            // Decompressed here and not by the HTTP client, which knows one spelling of the header.
            .header(ACCEPT_ENCODING, "gzip")
            .bearer_auth(token.expose());
        let response = request.send().await.map_err(|error| lost(&error))?;
        let headers = response.headers();
        let mut received = Received {
            status: response.status().as_u16(),
            retry_after: header(headers, RETRY_AFTER.as_str()),
            intuit_tid: header(headers, "intuit_tid").and_then(|tid| transaction_id(&tid)),
            date: header(headers, DATE.as_str()).and_then(|date| http_date(&date)),
            body: Bytes::new(),
        };
        received.body = body(response).await?;
        Ok(received)
    }
}

async fn body(mut response: reqwest::Response) -> Result<Bytes, TransportError> {
    // Without compression the length is known; the buffer is then filled without growing.
    let expected = response.content_length().unwrap_or(0).min(LARGEST_BODY as u64);
    let mut body = Inflating::new(LARGEST_BODY, usize::try_from(expected).unwrap_or(0));
    loop {
        let chunk =
            tokio::time::timeout(STALL, response.chunk()).await.map_err(|_| TransportError::Timeout)?;
        match chunk.map_err(|error| lost(&error))? {
            None => return Ok(body.finish().map_err(unreadable)?.into()),
            Some(chunk) => body.push(&chunk).map_err(unreadable)?,
        }
    }
}

fn unreadable(error: BodyError) -> TransportError {
    match error {
        BodyError::TooLarge => TransportError::TooLarge,
        // The same as a connection that breaks in the middle.
        BodyError::Damaged => TransportError::Connection,
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Intuit's transaction ids are letters, digits and dashes; anything else is not worth printing.
fn transaction_id(text: &str) -> Option<Box<str>> {
    let sound = text.len() <= 80 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (sound && !text.is_empty()).then(|| text.into())
}

/// A TLS failure does not go away by repeating the request, and must never lead to a weaker connection.
fn lost(error: &reqwest::Error) -> TransportError {
    match insecure_reason(error) {
        Some(reason) => TransportError::Insecure(reason),
        // A connection that takes too long to open says nothing about the page.
        None if error.is_timeout() && !error.is_connect() => TransportError::Timeout,
        None => TransportError::Connection,
    }
}
