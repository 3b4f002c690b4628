use std::time::Duration;

use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::connect::{Connector, DURABLE, DatabaseOptions, check_ownership};
use super::version;
use crate::{SchemaName, StoreError, StoreErrorKind};

/// Locks for as long as the connection lives. A lock of its own beside that of the migrations.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('qbo-backfill vault'), hashtext($1))";

const READ: &str = "SELECT sealed, revision FROM sealed_vault";

const CREATE: &str =
    "INSERT INTO sealed_vault (sealed, revision) VALUES ($1, 1) ON CONFLICT (only_one) DO NOTHING";

const REPLACE: &str = "UPDATE sealed_vault SET sealed = $2, revision = revision + 1, changed_at_utc = clock_timestamp() \
     WHERE revision = $1";

/// Proves that a connection, and with it what it holds, still stands.
const STANDS: &str = "SELECT 1";

/// How long the holder of a lock waits for that proof.
const PROOF: Duration = Duration::from_secs(5);

/// Sealed bytes that several hosts share, with a lock over all of them and a revision.
///
/// What is in the bytes is the caller's: whoever has the database has only what nobody can open. Reading and writing
/// have a connection of their own each time, for they are few and far between; whoever waits for the lock keeps one.
#[derive(Debug)]
pub struct SealedRow {
    connector: Connector,
    schema: SchemaName,
    /// The connection that has asked for the lock in vain, and asks again.
    waiting: Mutex<Option<Client>>,
}

/// The lock over a [`SealedRow`]. Held by a connection of its own, and so free when this process ends, however it
/// ends; dropping it unlocks.
#[derive(Debug)]
pub struct SealedRowLock {
    client: Client,
}

impl SealedRowLock {
    /// Whether the connection that holds the lock still stands, as the server says: a connection that was cut far from
    /// here may look open.
    pub async fn is_held(&self) -> bool {
        let proof = tokio::time::timeout(PROOF, self.client.simple_query(STANDS)).await;
        proof.is_ok_and(|answered| answered.is_ok())
    }
}

impl SealedRow {
    /// Prepares the connection; asks nobody yet.
    pub fn new(options: &DatabaseOptions, schema: SchemaName) -> Result<Self, StoreError> {
        let connector = Connector::with_settings(options, &schema, DURABLE)
            .map_err(|kind| StoreError::new("preparing the connection", kind))?;
        Ok(Self { connector, schema, waiting: Mutex::default() })
    }

    /// The bytes and their revision; `None` if there are none yet.
    pub async fn read(&self) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let read = async {
            let row = self.client().await?.query_opt(READ, &[]).await?;
            row.map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()))).transpose()
        };
        read.await.map_err(|kind| self.failed("reading the vault", kind))
    }

    /// Puts the first bytes there; `false` if there are some already.
    pub async fn create(&self, bytes: &[u8]) -> Result<bool, StoreError> {
        let create = async { Ok(self.client().await?.execute(CREATE, &[&bytes]).await? == 1) };
        create.await.map_err(|kind| self.failed("creating the vault", kind))
    }

    /// Replaces the bytes of a revision; `false` if another revision is there.
    pub async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        let replace = async {
            let seen = seen.cast_signed();
            Ok(self.client().await?.execute(REPLACE, &[&seen, &bytes]).await? == 1)
        };
        replace.await.map_err(|kind| self.failed("writing the vault", kind))
    }

    /// Locks without waiting; `None` while another connection holds the lock.
    pub async fn try_lock(&self) -> Result<Option<SealedRowLock>, StoreError> {
        let lock = async {
            let mut waiting = self.waiting.lock().await;
            let client = match waiting.take() {
                Some(client) if !client.is_closed() => client,
                _ => self.client().await?,
            };
            // Not given back after an error: it may hold the lock that nobody was told of.
            let locked: bool = client.query_one(LOCK, &[&self.schema.as_str()]).await?.try_get(0)?;
            if locked {
                return Ok(Some(SealedRowLock { client }));
            }
            *waiting = Some(client);
            Ok(None)
        };
        lock.await.map_err(|kind| self.failed("locking the vault", kind))
    }

    async fn client(&self) -> Result<Client, StoreErrorKind> {
        let client = self.connector.dedicated().await?;
        Box::pin(check_ownership(&self.connector, &client)).await?;
        version::check_version(&client, &self.schema).await?;
        Ok(client)
    }

    fn failed(&self, operation: &str, kind: StoreErrorKind) -> StoreError {
        match kind {
            StoreErrorKind::NotSetUp(_) => {
                StoreError::new(operation, StoreErrorKind::NotSetUp(self.schema.as_str().into()))
            }
            kind => StoreError::new(operation, kind),
        }
    }
}
