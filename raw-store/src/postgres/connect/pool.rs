//! Opens connections and pools them: keep-alive, time limits, and the checks on every new session.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError,
    RecyclingMethod, Runtime,
};
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket, config as driver};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{Access, ChannelBinding, DatabaseOptions, Host, SslMode};
use super::session::{AT_LOGIN, READ_ONLY, Terms, Unfit};
use super::tls;
use crate::{SchemaName, StoreErrorKind};

/// Idle time after which a silent peer is probed; the driver's default is two hours.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged, as when a cable is pulled.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How long a caller waits for a connection that others use: longer than a page takes, shorter than a caller would wait.
const WAIT: Duration = Duration::from_secs(45);

/// Makes connections.
#[derive(Clone)]
pub(in crate::postgres) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    terms: Terms,
    between: Arc<Between>,
    /// Limit from the first packet to the end of the login; the driver's own limit ends with the first packet.
    patience: Duration,
}

/// What is known about the path to the server.
#[derive(Debug, Default)]
struct Between {
    /// Whether the startup options of the login arrive; unknown before the first connection.
    arrives: OnceLock<bool>,
    /// Whether a pooler refuses a login with startup options.
    refuses: AtomicBool,
}

impl Connector {
    pub(in crate::postgres) fn new(
        options: &DatabaseOptions,
        schema: &SchemaName,
    ) -> Result<Self, StoreErrorKind> {
        Self::with_settings(options, schema, &[])
    }

    /// As [`Connector::new`], with further settings of each session.
    pub(in crate::postgres) fn with_settings(
        options: &DatabaseOptions,
        schema: &SchemaName,
        more: &'static [(&'static str, &'static str)],
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
            .options(AT_LOGIN)
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
        let terms = match options.access {
            Access::Loading => Terms::new(schema, more),
            Access::Viewing => Terms::new(schema, more).for_readers(),
            Access::ReadOnly => Terms::new(schema, READ_ONLY).for_readers(),
        };
        let between = Arc::default();
        Ok(Self { config, tls, terms, between, patience: options.connect_timeout })
    }

    /// Whether no pooler between here and the server drops the startup options of the login; checked with the first connection.
    pub(in crate::postgres) fn is_direct(&self) -> bool {
        self.between.arrives.get().copied().unwrap_or(false)
    }

    /// Opens a bare connection. If a pooler refuses startup options, none are sent.
    async fn open(&self) -> Result<(Client, Way), tokio_postgres::Error> {
        let silent = || {
            let mut config = self.config.clone();
            config.options("");
            config
        };
        if self.between.refuses.load(Ordering::Relaxed) {
            return silent().connect(self.tls.clone()).await;
        }
        match self.config.connect(self.tls.clone()).await {
            Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => {
                let opened = silent().connect(self.tls.clone()).await?;
                self.between.refuses.store(true, Ordering::Relaxed);
                Ok(opened)
            }
            opened => opened,
        }
    }

    /// Makes a session of a connection.
    async fn settle(&self, client: &Client) -> Result<(), Unfit> {
        let asks = self.between.arrives.get().is_none();
        if let Some(arrives) = self.terms.agree(client, asks).await? {
            self.between.arrives.get_or_init(|| arrives);
        }
        Ok(())
    }

    pub(in crate::postgres) fn pool(&self, size: usize) -> Result<Pool, StoreErrorKind> {
        // A connection that only looks open is detected by a query before it is lent (`Verified`).
        let recycling_method = RecyclingMethod::Verified;
        let manager =
            Manager::from_connect(self.config.clone(), self.clone(), ManagerConfig { recycling_method });
        let connector = self.clone();
        let settle = Hook::async_fn(move |client: &mut ClientWrapper, _| {
            let connector = connector.clone();
            Box::pin(async move {
                connector.settle(client).await.map_err(|unfit| match unfit {
                    Unfit::Driver(error) => HookError::Backend(error),
                    Unfit::Terms(what) => HookError::message(what),
                })
            })
        });
        Pool::builder(manager)
            .post_create(settle)
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(self.patience))
            .recycle_timeout(Some(self.patience))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| StoreErrorKind::Configuration("the pool of connections cannot be built".into()))
    }

    /// Why the pool gave no connection.
    pub(in crate::postgres) fn refused_by_pool(&self, error: PoolError) -> StoreErrorKind {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                self.refused(error)
            }
            PoolError::PostCreateHook(HookError::Message(what)) => StoreErrorKind::Session(what.into()),
            error => error.into(),
        }
    }

    /// Why no connection was made. The one privilege that a login needs is named with the statement that grants it.
    fn refused(&self, error: tokio_postgres::Error) -> StoreErrorKind {
        if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return error.into();
        }
        let quoted = |name: Option<&str>| format!("\"{}\"", name.unwrap_or_default().replace('"', "\"\""));
        let (database, user) = (quoted(self.config.get_dbname()), quoted(self.config.get_user()));
        StoreErrorKind::Lacks(format!("GRANT CONNECT ON DATABASE {database} TO {user}").into())
    }

    /// A connection outside the pool. It ends with its client.
    pub(in crate::postgres) async fn dedicated(&self) -> Result<Client, StoreErrorKind> {
        let settled = Box::pin(async {
            let (client, connection) = self.open().await?;
            tokio::spawn(carry(connection));
            self.settle(&client).await?;
            Ok(client)
        });
        let settled: Result<Client, Unfit> = tokio::time::timeout(self.patience, settled)
            .await
            .map_err(|_| StoreErrorKind::Unavailable("the server did not answer in time".into()))?;
        settled.map_err(|unfit| match unfit {
            Unfit::Driver(error) => self.refused(error),
            Unfit::Terms(what) => StoreErrorKind::Session(what.into()),
        })
    }
}

/// The driver's connection, which has to be polled.
type Way = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

async fn carry(connection: Way) {
    if connection.await.is_err() {
        tracing::debug!("a connection was cut");
    }
}

/// Connects for the pool.
impl Connect for Connector {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>>
    {
        Box::pin(async move {
            let (client, connection) = self.open().await?;
            Ok((client, tokio::spawn(carry(connection))))
        })
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A borrowed connection. It returns to the pool only when its work has come to a known end. If it is dropped before that, by
/// an error or because the caller's future was dropped, it is closed: it may be in the middle of a transaction, and the next
/// borrower must not inherit that.
#[derive(Debug)]
pub(in crate::postgres) struct Session(Option<Object>);

impl Session {
    pub(in crate::postgres) fn new(object: Object) -> Self {
        Self(Some(object))
    }

    /// Returns the connection to the pool.
    pub(in crate::postgres) fn done(mut self) {
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
