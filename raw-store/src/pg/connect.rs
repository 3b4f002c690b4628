use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::options::{DatabaseOptions, Host, SslMode};
use crate::{SchemaName, StoreErrorKind};

/// When a silent peer is asked whether it is still there; the driver's default is two hours.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged, as when a cable is pulled.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How long a caller waits for a connection that others use: longer than a page takes, shorter than patience.
const WAIT: Duration = Duration::from_secs(45);

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
}

impl Connector {
    pub(super) fn new(options: &DatabaseOptions, schema: &SchemaName) -> Result<Self, StoreErrorKind> {
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
            .options(format!("{SESSION} -c search_path={schema}"))
            .ssl_mode(match options.ssl_mode() {
                SslMode::Disable => tokio_postgres::config::SslMode::Disable,
                SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
            });
        Ok(Self { config, tls: MakeRustlsConnect::new(tls(options)?) })
    }

    pub(super) fn pool(&self, size: usize) -> Result<Pool, StoreErrorKind> {
        // A connection that only looks open is found out by a query before it is lent (`Verified`).
        let recycling_method = RecyclingMethod::Verified;
        let manager =
            Manager::from_config(self.config.clone(), self.tls.clone(), ManagerConfig { recycling_method });
        Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| StoreErrorKind::Configuration("the pool of connections cannot be built".into()))
    }

    /// A connection outside the pool. It ends with its client.
    pub(super) async fn dedicated(&self) -> Result<tokio_postgres::Client, StoreErrorKind> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            if connection.await.is_err() {
                tracing::debug!("the connection that holds the leases was cut");
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

/// The provider is given explicitly: a process-wide default would be the embedding service's to choose.
fn tls(options: &DatabaseOptions) -> Result<ClientConfig, StoreErrorKind> {
    let unusable = |what: &str| StoreErrorKind::Insecure(what.into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| unusable("TLS is not available"))?;
    let config = match (options.ssl_mode(), &options.root_certificate) {
        // Never used, so it need not trust anybody.
        (SslMode::Disable, _) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        (SslMode::VerifyFull, None) => builder
            .with_platform_verifier()
            .map_err(|_| unusable("the system has no list of authorities to trust; give sslrootcert=FILE"))?
            .with_no_client_auth(),
        (SslMode::VerifyFull, Some(file)) => {
            let mut roots = RootCertStore::empty();
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|_| {
                    StoreErrorKind::Configuration("the file of sslrootcert cannot be read as PEM".into())
                })?;
            if roots.add_parsable_certificates(certificates).0 == 0 {
                return Err(StoreErrorKind::Configuration(
                    "the file of sslrootcert holds no certificate".into(),
                ));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(config)
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
