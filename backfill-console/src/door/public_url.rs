//! The address under which a console is published.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// The address under which a proxy or a container publishes the console, such as `https://backfill.example.com`. It has no
/// path: give the console a host name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    is_https: bool,
    /// Host as browsers send it: with the port, unless it is the one of the scheme.
    host: String,
}

/// A text that is not a usable [`PublicUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPublicUrl;

impl fmt::Display for InvalidPublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a public address is http:// or https://, a host and perhaps a port, without a path")
    }
}

impl std::error::Error for InvalidPublicUrl {}

impl PublicUrl {
    /// Whether browsers reach the console over TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether the address is of the browser's own machine, so that nothing crosses a network.
    pub fn is_local(&self) -> bool {
        let name = self.split().0;
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
            || name == "localhost"
            || name.ends_with(".localhost")
    }

    /// Host as browsers send it, with the port unless it is the one of the scheme.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that browsers connect to.
    pub fn port(&self) -> u16 {
        self.split().1.unwrap_or(if self.is_https { 443 } else { 80 })
    }

    /// The name of the host, and its port unless it is the one of the scheme.
    fn split(&self) -> (&str, Option<u16>) {
        // The end of an IPv6 address, which has brackets, is no port.
        let split = self.host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
        split.map_or((&self.host, None), |(name, port)| (name, Some(port)))
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl)?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(InvalidPublicUrl),
        };
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|_| is_bare).ok_or(InvalidPublicUrl)?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { is_https, host })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_is_a_scheme_and_a_host() {
        let read = |text: &str| text.parse::<PublicUrl>().map(|url| url.to_string());
        assert_eq!(read("https://Backfill.Example.com").unwrap(), "https://backfill.example.com");
        assert_eq!(read("https://backfill.example.com:443/").unwrap(), "https://backfill.example.com");
        assert_eq!(read("http://10.0.0.5:9464").unwrap(), "http://10.0.0.5:9464");
        let local = |text: &str| text.parse::<PublicUrl>().unwrap().is_local();
        for text in ["http://127.0.0.1:9464", "http://[::1]:9464", "http://localhost", "http://x.localhost:1"]
        {
            assert!(local(text), "{text}");
        }
        assert!(!local("http://10.0.0.5:9464") && !local("https://backfill.example.com"));
        let port = |text: &str| text.parse::<PublicUrl>().unwrap().port();
        assert_eq!(
            [port("http://[::1]:9464"), port("http://[::1]"), port("https://x.example")],
            [9464, 80, 443]
        );
        for refused in [
            "backfill.example.com",
            "ftp://backfill.example.com",
            "https://backfill.example.com/console",
            "https://user@backfill.example.com",
            "https://backfill.example.com?x=1",
            "https://",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
