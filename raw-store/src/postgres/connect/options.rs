//! The connection options of a database, and the rules for securing the connection.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{StoreError, StoreErrorKind};

/// Time limit for making one connection; the driver itself would wait for ever.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a lease lasts without a heartbeat. Far longer than a page takes, so that only a process that is frozen or cut off
/// loses it; short enough for others to wait for.
pub(in crate::postgres) const LEASE_TIME: Duration = Duration::from_mins(1);

/// Connections of one store, in addition to the one that holds its leases: a few pages commit at once.
const POOL_SIZE: usize = 4;

/// How the connection is protected: libpq's words and meanings (its manual, 34.19 "SSL Support").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Plain text; accepted for a server on this machine only.
    Disable,
    /// TLS if the server offers it; accepted for a server on this machine only.
    Prefer,
    /// TLS with any certificate; with `sslrootcert`, the same as [`SslMode::VerifyCa`].
    Require,
    /// TLS with a certificate from an authority in `sslrootcert`, for any host name. Without `sslrootcert`, the same as
    /// [`SslMode::VerifyFull`]. For a server on another machine, this mode and [`SslMode::Require`] bind the login to the
    /// connection (SCRAM-SHA-256-PLUS), so that no third party can sit in between: stricter than libpq.
    VerifyCa,
    /// TLS with a certificate from a known authority that names the host.
    VerifyFull,
}

/// Whether the login is bound to the TLS connection that carries it (SCRAM-SHA-256-PLUS), so that no third party between here
/// and the server can pass it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never bind the login.
    Disable,
    /// Bind the login if the server offers it.
    Prefer,
    /// Always bind the login: no other way of logging in is accepted.
    Require,
}

/// Which database to connect to, and how.
///
/// Built from parts with [`new`](Self::new) or parsed from a URL:
/// `postgres://user@host:port/database?sslmode=…&sslrootcert=FILE&channel_binding=…&connect_timeout=SECONDS`; `host` (or the
/// directory of a socket), `port`, `user` and `dbname` may be given as parameters instead. All parts are percent-decoded. A
/// password in the URL is refused: URLs end up in shell histories, logs and process lists.
///
/// `sslmode`: for this machine (loopback, socket) the default is no TLS; for any other machine it is `verify-full`, and
/// `disable`, `allow` and `prefer` are refused because they permit plain text. `allow` is read as `prefer`.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) database: Box<str>,
    pub(super) user: Box<str>,
    pub(super) password: Option<Password>,
    pub(super) ssl_mode: Option<SslMode>,
    pub(super) root_certificate: Option<PathBuf>,
    pub(super) channel_binding: Option<ChannelBinding>,
    pub(super) connect_timeout: Duration,
    pub(in crate::postgres) pool_size: usize,
    pub(in crate::postgres) lease_time: Duration,
    /// Who waits for the answers, and whether they may change anything.
    pub(super) access: Access,
}

/// What the sessions of a store are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// For programs that load: a statement may take a minute.
    #[default]
    Loading,
    /// For people who look at pages and act on them: a statement may take five seconds.
    Viewing,
    /// As `Viewing`, and no statement can write, whatever the role may do.
    ReadOnly,
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name or an address.
    Tcp(Box<str>),
    /// The directory of a Unix socket.
    Socket(PathBuf),
}

/// A password: never printed, and overwritten when dropped.
#[derive(Clone)]
pub(super) struct Password(Vec<u8>);

impl Password {
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the overwriting, whose result is not read.
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl DatabaseOptions {
    /// Builds the options from their parts. A `host` that starts with `/` is the directory of a Unix socket.
    pub fn new(host: &str, port: u16, database: &str, user: &str) -> Self {
        Self {
            host: Host::from(host),
            port,
            database: database.into(),
            user: user.into(),
            password: None,
            ssl_mode: None,
            root_certificate: None,
            channel_binding: None,
            connect_timeout: CONNECT_TIMEOUT,
            pool_size: POOL_SIZE,
            lease_time: LEASE_TIME,
            access: Access::default(),
        }
    }

    /// Sets the user's password. It is never printed, and is overwritten when the options are dropped.
    pub fn with_password(self, password: &str) -> Self {
        Self { password: Some(Password(password.as_bytes().to_vec())), ..self }
    }

    /// Sets how the connection is protected.
    ///
    /// # Errors
    ///
    /// `Configuration` for plain text to another machine.
    pub fn with_ssl_mode(self, mode: SslMode) -> Result<Self, StoreError> {
        if matches!(mode, SslMode::Disable | SslMode::Prefer) && !self.host.is_local() {
            return Err(unusable("the connection to another machine must be encrypted: sslmode=verify-full"));
        }
        Ok(Self { ssl_mode: Some(mode), ..self })
    }

    /// Sets a PEM file with the authorities to trust, in place of the system's.
    pub fn with_root_certificate(self, file: impl Into<PathBuf>) -> Self {
        Self { root_certificate: Some(file.into()), ..self }
    }

    /// Sets whether the login is bound to the connection; for the default see [`DatabaseOptions::channel_binding`].
    pub fn with_channel_binding(self, binding: ChannelBinding) -> Self {
        Self { channel_binding: Some(binding), ..self }
    }

    /// Sets how long a lease outlives a process that is frozen or cut off; default one minute.
    pub fn with_lease_time(self, time: Duration) -> Self {
        Self { lease_time: time, ..self }
    }

    /// Sets how many connections the store may use at once, at least one. One more holds its leases, and one asks for calls.
    pub fn with_pool_size(self, connections: usize) -> Self {
        Self { pool_size: connections.max(1), ..self }
    }

    /// Sets what the sessions are for.
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The host's name or address, or the directory of its socket.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Tcp(host) => host.to_string(),
            Host::Socket(folder) => folder.display().to_string(),
        }
    }

    /// The port, which is also part of the socket's name in its directory.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user to connect as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How the connection will be protected. A socket does not leave this machine, so TLS is not used there.
    pub fn ssl_mode(&self) -> SslMode {
        if let Host::Socket(_) = self.host {
            return SslMode::Disable;
        }
        self.ssl_mode.unwrap_or(if self.host.is_local() { SslMode::Disable } else { SslMode::VerifyFull })
    }

    /// Whether the login will be bound to the connection: as set; otherwise where the server offers it, and always for another
    /// machine whose name is not verified, because the holder of any certificate of the same authority could sit in between.
    pub fn channel_binding(&self) -> ChannelBinding {
        let is_named = match self.ssl_mode() {
            SslMode::VerifyFull => true,
            // Without a file of authorities the system's are used, and those only to verify a name.
            SslMode::VerifyCa => self.root_certificate.is_none(),
            SslMode::Disable | SslMode::Prefer | SslMode::Require => false,
        };
        match self.channel_binding {
            _ if !is_named && !self.host.is_local() => ChannelBinding::Require,
            Some(asked) => asked,
            None => ChannelBinding::Prefer,
        }
    }

    /// Whether a password was given.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

/// Formats the options as `user@host:port/database`.
impl fmt::Display for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, user, .. } = self;
        write!(f, "{user}@{host}:{port}/{database}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) if host.contains(':') => write!(f, "[{host}]"),
            Self::Tcp(host) => f.write_str(host),
            Self::Socket(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl From<&str> for Host {
    fn from(host: &str) -> Self {
        if host.starts_with('/') { Self::Socket(Path::new(host).into()) } else { Self::Tcp(host.into()) }
    }
}

impl Host {
    /// Whether what is sent to this host stays on this machine.
    fn is_local(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Tcp(host) if host.eq_ignore_ascii_case("localhost") => true,
            Self::Tcp(host) => host.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        }
    }
}

/// An error about the address. It never quotes the address.
pub(super) fn unusable(what: &str) -> StoreError {
    StoreError::new("reading the database URL", StoreErrorKind::Configuration(what.into()))
}

#[cfg(test)]
mod tests {
    use super::{ChannelBinding, DatabaseOptions};

    #[test]
    fn the_password_is_never_printed() {
        let options = DatabaseOptions::new("localhost", 5432, "d", "a").with_password("hunter2");
        assert!(!format!("{options} {options:?}").contains("hunter2"));
        assert!(options.has_password());
    }

    #[test]
    fn a_login_to_a_stranger_is_bound_to_its_connection() {
        let check = |url: &str, expected| {
            let options: DatabaseOptions = url.parse().expect(url);
            assert_eq!(options.channel_binding(), expected, "{url}");
        };
        check("postgres://a@db.example/d?sslmode=require", ChannelBinding::Require);
        check("postgres://a@db.example/d?sslmode=require&channel_binding=prefer", ChannelBinding::Require);
        check("postgres://a@db.example/d?sslmode=require&sslrootcert=/ca.pem", ChannelBinding::Require);
        check("postgres://a@db.example/d?sslmode=verify-ca&sslrootcert=/ca.pem", ChannelBinding::Require);
        check("postgres://a@db.example/d?sslmode=verify-ca", ChannelBinding::Prefer);
        check("postgres://a@db.example/d?sslmode=verify-full&sslrootcert=/ca.pem", ChannelBinding::Prefer);
        check("postgres://a@db.example/d", ChannelBinding::Prefer);
        check("postgres://a@db.example/d?channel_binding=require", ChannelBinding::Require);
        check("postgres://a@localhost/d?sslmode=require", ChannelBinding::Prefer);
    }
}
