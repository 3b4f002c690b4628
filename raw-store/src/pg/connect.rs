use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, config as driver};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{ChannelBinding, DatabaseOptions, Host, SslMode};
use super::tls;
use crate::{SchemaName, StoreErrorKind};

/// When a silent peer is asked whether it is still there; the driver's default is two hours.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged, as when a cable is pulled.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How long a caller waits for a connection that others use: longer than a page takes, shorter than patience.
const WAIT: Duration = Duration::from_secs(45);

/// What a connection that holds the only copy of something, or a lock for a whole process, asks for beside that: a
/// commit is on the disk of the server when it is answered, whatever the server's or the role's default, and the
/// server finds a host that is gone within a minute, so that its lock is free.
pub(super) const DURABLE: &str = " -c synchronous_commit=on -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=10 \
     -c tcp_keepalives_count=3";

/// Settings of each session. The bounds: a page takes a fraction of a second; whoever takes this long is stuck,
/// or somebody else holds a lock on our tables. The isolation: every guard is a conditional write that reads its
/// row again after a wait. No compilation of queries: on a page it costs more than it saves.
const SESSION: &str = "-c statement_timeout=60s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s \
     -c default_transaction_isolation=read\\ committed -c jit=off -c client_min_messages=warning";

/// How to make connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    /// For everything from the first packet to the end of the login; the driver's own limit ends with the first packet.
    patience: Duration,
}

impl Connector {
    pub(super) fn new(options: &DatabaseOptions, schema: &SchemaName) -> Result<Self, StoreErrorKind> {
        Self::with_settings(options, schema, "")
    }

    /// As [`Connector::new`], with further settings of each session.
    pub(super) fn with_settings(
        options: &DatabaseOptions,
        schema: &SchemaName,
        more: &str,
    ) -> Result<Self, StoreErrorKind> {
        let mut config = Config::new();
        match &options.host {
            Host::Tcp(host) => config.host(&**host),
            Host::Socket(folder) => config.host_path(folder),
        };
        if let Some(password) = &options.password {
            config.password(password.expose());
        }
        config
            .port(options.port)
            .dbname(&*options.database)
            .user(&*options.user)
            .application_name("qbo-backfill")
            .connect_timeout(options.connect_timeout)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .tcp_user_timeout(UNACKNOWLEDGED)
            // The schema's name cannot hold a blank or a backslash, the two characters with a meaning here.
            .options(format!("{SESSION}{more} -c search_path={schema}"))
            .ssl_mode(match options.ssl_mode() {
                SslMode::Disable => driver::SslMode::Disable,
                SslMode::Prefer => driver::SslMode::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => driver::SslMode::Require,
            })
            .channel_binding(match options.channel_binding() {
                ChannelBinding::Disable => driver::ChannelBinding::Disable,
                ChannelBinding::Prefer => driver::ChannelBinding::Prefer,
                ChannelBinding::Require => driver::ChannelBinding::Require,
            });
        let tls = MakeRustlsConnect::new(tls::config(options)?);
        Ok(Self { config, tls, patience: options.connect_timeout })
    }

    pub(super) fn pool(&self, size: usize) -> Result<Pool, StoreErrorKind> {
        // A connection that only looks open is found out by a query before it is lent (`Verified`).
        let recycling_method = RecyclingMethod::Verified;
        let manager =
            Manager::from_config(self.config.clone(), self.tls.clone(), ManagerConfig { recycling_method });
        Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(self.patience))
            .recycle_timeout(Some(self.patience))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| StoreErrorKind::Configuration("the pool of connections cannot be built".into()))
    }

    /// Why the pool gave no connection.
    pub(super) fn refused_by_pool(&self, error: PoolError) -> StoreErrorKind {
        match error {
            PoolError::Backend(error) => self.refused(error),
            error => error.into(),
        }
    }

    /// Why no connection was made. The one right that a login needs is named with the statement that gives it.
    fn refused(&self, error: tokio_postgres::Error) -> StoreErrorKind {
        if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return error.into();
        }
        let quoted = |name: Option<&str>| format!("\"{}\"", name.unwrap_or_default().replace('"', "\"\""));
        let (database, user) = (quoted(self.config.get_dbname()), quoted(self.config.get_user()));
        StoreErrorKind::Lacks(format!("GRANT CONNECT ON DATABASE {database} TO {user}").into())
    }

    /// A connection outside the pool. It ends with its client.
    pub(super) async fn dedicated(&self) -> Result<tokio_postgres::Client, StoreErrorKind> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, connection) = tokio::time::timeout(self.patience, connecting)
            .await
            .map_err(|_| StoreErrorKind::Unavailable("the server did not answer in time".into()))?
            .map_err(|error| self.refused(error))?;
        tokio::spawn(async move {
            if connection.await.is_err() {
                tracing::debug!("a connection outside the pool was cut");
            }
        });
        Ok(client)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A lent connection. It goes back to the pool only when its work has come to a known end; dropped before that,
/// by an error or because the caller's future was dropped, it is closed: it may be in the middle of a
/// transaction, and the next borrower must not inherit that.
#[derive(Debug)]
pub(super) struct Session(Option<Object>);

impl Session {
    pub(super) fn new(object: Object) -> Self {
        Self(Some(object))
    }

    /// Gives the connection back to the pool.
    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Deref for Session {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.0.as_ref().expect("only `done` and `drop` empty a session")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("only `done` and `drop` empty a session")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
