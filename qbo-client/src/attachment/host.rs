//! The host that keeps the files.

use std::time::Duration;

use bytes::Bytes;
use qbo_auth::http::insecure_reason;
use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode, Url, redirect};

use super::link::FileLink;
use crate::http::BuildError;

/// Time limit for a connection, TLS included, and for the head of an answer.
const CONNECT: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(60);

/// Time limit without a byte of the content.
const STALL: Duration = Duration::from_secs(30);

/// How often a request is redirected before it is given up. Storage services redirect once, to another region.
const MOST_REDIRECTS: usize = 3;

/// Fetches files by their links.
///
/// It sends a link and nothing else: no access token, no cookie, no address of a page before. Redirects are followed at most
/// three times, and only over HTTPS.
#[derive(Clone, Debug)]
pub struct FileHost {
    http: Client,
    is_local: bool,
}

/// The content of a file, in parts.
#[derive(Debug)]
pub struct FileBody(Response);

/// Why a file could not be fetched. No variant holds anything of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The link is not an address that may be used.
    #[error("the link is not an HTTPS address")]
    NotALink,
    /// No connection was made, or it broke before the content was complete.
    #[error("the connection to the file's host failed")]
    Connection,
    /// The host did not answer in time, or stopped sending.
    #[error("the file's host did not answer in time")]
    Timeout,
    /// The host could not prove its identity.
    #[error("the file's host cannot prove its identity: {0}")]
    Insecure(&'static str),
    /// The host does not accept the link (status 400, 401, 403, 404 or 410), as it does when 15 minutes have passed.
    #[error("the file's host does not accept the link (status {0})")]
    LinkRefused(u16),
    /// The host redirects too often, or to an address that may not be used.
    #[error("the file's host redirects too often, or to an address that is not HTTPS")]
    Redirect,
    /// The host answered with another status.
    #[error("the file's host answered with status {0}")]
    Status(u16),
}

impl FileError {
    /// Whether the same link may work later.
    pub fn may_pass(self) -> bool {
        match self {
            Self::Connection | Self::Timeout => true,
            Self::Status(status) => status >= 500 || status == 429,
            _ => false,
        }
    }
}

impl FileHost {
    /// Creates a client for files. `is_local` allows plain HTTP to a loopback address, for an emulator.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if TLS cannot be set up.
    pub fn new(is_local: bool) -> Result<Self, BuildError> {
        let mut builder = Client::builder()
            .user_agent(concat!("qbo-backfill/", env!("CARGO_PKG_VERSION")))
            .https_only(!is_local)
            .connect_timeout(CONNECT)
            .read_timeout(STALL)
            // Followed here, so that each target is checked and no header comes along.
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never());
        if is_local {
            builder = builder.no_proxy().tls_certs_only([]);
        }
        Ok(Self { http: builder.build().map_err(BuildError)?, is_local })
    }

    /// Requests a file, and returns when its content begins.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the content cannot be had by this link now.
    pub async fn open(&self, link: &FileLink) -> Result<FileBody, FileError> {
        let mut url = Url::parse(link.expose()).map_err(|_| FileError::NotALink)?;
        if !self.may_use(&url) {
            return Err(FileError::NotALink);
        }
        for _ in 0..=MOST_REDIRECTS {
            let sent = tokio::time::timeout(HEAD, self.http.get(url.clone()).send()).await;
            let response = sent.map_err(|_| FileError::Timeout)?.map_err(|error| lost(&error))?;
            match response.status() {
                StatusCode::OK => return Ok(FileBody(response)),
                status if status.is_redirection() => url = self.target(&url, &response)?,
                status => return Err(refused(status.as_u16())),
            }
        }
        Err(FileError::Redirect)
    }

    fn target(&self, from: &Url, response: &Response) -> Result<Url, FileError> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let target = location.and_then(|location| from.join(location).ok());
        target.filter(|target| self.may_use(target)).ok_or(FileError::Redirect)
    }

    /// HTTPS, without a user; plain HTTP on this machine alone, for an emulator.
    fn may_use(&self, url: &Url) -> bool {
        let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let is_allowed = url.scheme() == "https" || (self.is_local && url.scheme() == "http" && is_loopback);
        is_allowed && url.username().is_empty() && url.password().is_none()
    }
}

impl FileBody {
    /// The length of the content in bytes, if the host states it.
    pub fn length(&self) -> Option<u64> {
        self.0.content_length()
    }

    /// The next part of the content; `None` at its end. A host that states the length and then sends less is an error.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the connection breaks or stands still.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FileError> {
        self.0.chunk().await.map_err(|error| lost(&error))
    }
}

fn refused(status: u16) -> FileError {
    match status {
        400 | 401 | 403 | 404 | 410 => FileError::LinkRefused(status),
        other => FileError::Status(other),
    }
}

fn lost(error: &reqwest::Error) -> FileError {
    match insecure_reason(error) {
        Some(reason) => FileError::Insecure(reason),
        None if error.is_timeout() => FileError::Timeout,
        None => FileError::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_safe_addresses_are_used() {
        let (far, near) = (FileHost::new(false).unwrap(), FileHost::new(true).unwrap());
        for link in [
            "http://files.example/1",
            "ftp://127.0.0.1/1",
            "/v3/download/1",
            "https://u:p@files.example/1",
            "",
        ] {
            let link = FileLink::new(link);
            assert_eq!(far.open(&link).await.err(), Some(FileError::NotALink), "{}", link.expose());
            assert_eq!(near.open(&link).await.err(), Some(FileError::NotALink), "{}", link.expose());
        }
        let local = FileLink::new("http://127.0.0.1:9/1");
        assert_eq!(far.open(&local).await.err(), Some(FileError::NotALink));
        assert_eq!(near.open(&local).await.err(), Some(FileError::Connection));
    }
}
