//! Parses a `postgres://` URL into connection options.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::options::{CONNECT_TIMEOUT, ChannelBinding, DatabaseOptions, SslMode, unusable};
use crate::{StoreError, StoreErrorKind};

/// The port of a server if none is given.
const DEFAULT_PORT: u16 = 5432;

impl FromStr for DatabaseOptions {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| unusable("the database URL must begin with postgres://"))?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err(password_refused());
        }
        let (host, port) = host_and_port(address)?;
        let mut parts =
            Parts { host, user: decoded(user)?, database: decoded(database)?, ..Parts::default() };
        if !port.is_empty() {
            parts.port = Some(port_number(port)?);
        }
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parts.set(&decoded(name)?, decoded(value)?)?;
        }
        parts.finish()
    }
}

/// The parts of a URL, before they are known to be sufficient.
#[derive(Default)]
struct Parts {
    host: String,
    port: Option<u16>,
    database: String,
    user: String,
    ssl_mode: Option<SslMode>,
    root_certificate: Option<PathBuf>,
    system_roots: bool,
    channel_binding: Option<ChannelBinding>,
    connect_timeout: Option<Duration>,
}

impl Parts {
    fn set(&mut self, name: &str, value: String) -> Result<(), StoreError> {
        match name {
            "host" => self.host = value,
            "port" => self.port = Some(port_number(&value)?),
            "user" => self.user = value,
            "dbname" => self.database = value,
            "sslmode" => self.set_ssl_mode(&value)?,
            "sslrootcert" if value == "system" => self.system_roots = true,
            "sslrootcert" => self.root_certificate = Some(value.into()),
            "channel_binding" => {
                self.channel_binding = Some(match &*value {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(unusable("channel_binding must be disable, prefer or require")),
                });
            }
            "connect_timeout" => {
                let seconds =
                    value.parse().map_err(|_| unusable("connect_timeout is not a number of seconds"))?;
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "password" | "sslpassword" | "passfile" => return Err(password_refused()),
            // Not echoed: a forgotten `=` or `&` may leave a secret here.
            _ => {
                return Err(unusable(
                    "the database URL has an unknown parameter; the known ones are host, port, user, dbname, \
                     sslmode, sslrootcert, channel_binding and connect_timeout",
                ));
            }
        }
        Ok(())
    }

    fn set_ssl_mode(&mut self, mode: &str) -> Result<(), StoreError> {
        self.ssl_mode = match mode {
            "disable" => Some(SslMode::Disable),
            "allow" | "prefer" => Some(SslMode::Prefer),
            "require" => Some(SslMode::Require),
            "verify-ca" => Some(SslMode::VerifyCa),
            "verify-full" => Some(SslMode::VerifyFull),
            _ => {
                return Err(unusable(
                    "sslmode must be disable, allow, prefer, require, verify-ca or verify-full",
                ));
            }
        };
        Ok(())
    }

    fn finish(self) -> Result<DatabaseOptions, StoreError> {
        for (part, missing) in [
            (&self.host, "the database URL names no host"),
            (&self.database, "the database URL names no database"),
            (&self.user, "the database URL names no user"),
        ] {
            if part.is_empty() || part.contains('\0') {
                return Err(unusable(missing));
            }
        }
        if self.host.contains(',') {
            return Err(unusable("the database URL names several hosts; one is supported"));
        }
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let mut options = DatabaseOptions::new(&self.host, port, &self.database, &self.user);
        // The system's authorities sign certificates for any name, so the name counts there, as in libpq.
        let ssl_mode = if self.system_roots { Some(SslMode::VerifyFull) } else { self.ssl_mode };
        if let Some(mode) = ssl_mode {
            options = options.with_ssl_mode(mode)?;
        }
        options.root_certificate = self.root_certificate.filter(|_| !self.system_roots);
        options.channel_binding = self.channel_binding;
        options.connect_timeout = self.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        Ok(options)
    }
}

fn host_and_port(address: &str) -> Result<(String, &str), StoreError> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(|| unusable("an IPv6 address ends with ]"))?;
        return Ok((host.to_owned(), port.strip_prefix(':').unwrap_or("")));
    }
    let (host, port) = address.split_once(':').unwrap_or((address, ""));
    Ok((decoded(host)?, port))
}

fn port_number(text: &str) -> Result<u16, StoreError> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(unusable("the port of the database URL is not a number from 1 to 65535")),
    }
}

/// Decodes `%XX`.
fn decoded(text: &str) -> Result<String, StoreError> {
    let invalid = || unusable("the database URL has a % without two hexadecimal digits of UTF-8");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or("").as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(invalid)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| invalid())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

fn password_refused() -> StoreError {
    StoreError::new("reading the database URL", StoreErrorKind::PasswordInAddress)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::options::Host;
    use super::{DatabaseOptions, SslMode};

    fn parsed(url: &str) -> DatabaseOptions {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_url_names_server_user_and_database() {
        let options =
            parsed("postgres://ana%20b@db.example:6000/books?sslrootcert=/ca.pem&connect_timeout=3");
        assert_eq!(options.to_string(), "ana b@db.example:6000/books");
        assert_eq!(options.root_certificate.as_deref(), Some(Path::new("/ca.pem")));
        assert_eq!(options.connect_timeout, Duration::from_secs(3));

        let socket = parsed("postgresql:///books?host=%2Frun%2Fpostgres&port=5433&user=ana");
        assert_eq!(socket.host, Host::Socket("/run/postgres".into()));
        assert_eq!((socket.port, socket.user()), (5433, "ana"));
        assert_eq!(parsed("postgres://ana@[::1]/books").to_string(), "ana@[::1]:5432/books");
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for (url, expected) in [
            ("postgres://a@localhost/d", SslMode::Disable),
            ("postgres://a@127.0.0.9/d?sslmode=prefer", SslMode::Prefer),
            ("postgres://a@[::1]/d?sslmode=require", SslMode::Require),
            ("postgres://a@/d?host=/run&sslmode=require", SslMode::Disable),
            ("postgres://a@db.example/d", SslMode::VerifyFull),
            ("postgres://a@db.example/d?sslmode=require", SslMode::Require),
            ("postgres://a@10.0.0.1/d?sslmode=verify-ca", SslMode::VerifyCa),
            ("postgres://a@10.0.0.1/d?sslmode=require&sslrootcert=system", SslMode::VerifyFull),
        ] {
            assert_eq!(parsed(url).ssl_mode(), expected, "{url}");
        }
        for mode in ["disable", "allow", "prefer"] {
            let url = format!("postgres://a@db.example/d?sslmode={mode}");
            let refused = url.parse::<DatabaseOptions>().unwrap_err().to_string();
            assert!(refused.contains("must be encrypted"), "{refused}");
        }
        assert!(DatabaseOptions::new("db.example", 1, "d", "a").with_ssl_mode(SslMode::Disable).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_echoing_it() {
        for url in [
            "mysql://hunter2@h/d",
            "postgres://a:hunter2@h/d",
            "postgres://a:@h/d",
            "postgres://a@h/d?password=hunter2",
            "postgres://a@h/d?hunter2",
            "postgres://a@h/d?sslmode=hunter2",
            "postgres://a@h:hunter2/d",
            "postgres://a@h:0/d",
            "postgres://a@h,hunter2/d",
            "postgres://a@hunter2%zz/d",
            "postgres://a@hunter2%é/d",
            "postgres://a@hunter2%+1/d",
            "postgres://a@hunter2%ff/d",
            "postgres://a@[hunter2/d",
            "postgres://a@hunter2",
            "postgres://hunter2/d",
            "postgres://a@/hunter2",
            "",
        ] {
            let error = url.parse::<DatabaseOptions>().expect_err(url);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
