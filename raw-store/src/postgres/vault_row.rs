//! The row that holds a sealed vault shared by several hosts, with its lock and its revision.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::connect::{Connector, DURABLE, DatabaseOptions, check_ownership};
use super::version;
use crate::{SchemaName, StoreError, StoreErrorKind};

/// Held as long as the connection lives. A lock of its own beside that of the migrations.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('qbo-backfill vault'), hashtext($1))";

const READ: &str = "SELECT sealed, revision FROM sealed_vault";

const CREATE: &str =
    "INSERT INTO sealed_vault (sealed, revision) VALUES ($1, 1) ON CONFLICT (only_one) DO NOTHING";

const REPLACE: &str = "UPDATE sealed_vault SET sealed = $2, revision = revision + 1, changed_at_utc = clock_timestamp() \
     WHERE revision = $1";

/// Proves that a connection, and with it the lock that it holds, still exists.
const STANDS: &str = "SELECT 1";

/// How long the holder of a lock waits for that proof.
const PROOF: Duration = Duration::from_secs(5);

/// Sealed bytes that several hosts share, with a lock over all of them and a revision.
///
/// The contents are the caller's: the database holds only bytes that cannot be opened without the caller's key. Each read and
/// write opens a connection of its own, because they are few and far between; a caller that waits for the lock keeps one
/// connection.
#[derive(Debug)]
pub struct SealedRow {
    connector: Connector,
    schema: SchemaName,
    /// The connection that has tried the lock in vain, and tries again.
    waiting: Mutex<Option<Client>>,
}

/// The lock over a [`SealedRow`]. A connection of its own holds it, so it is free when this process ends, however it ends.
/// Dropping it unlocks.
#[derive(Debug)]
pub struct SealedRowLock {
    client: Client,
}

impl SealedRowLock {
    /// Asks the server whether the connection that holds the lock still exists: a connection that was cut at a distance may
    /// look open from here.
    pub async fn is_held(&self) -> bool {
        let proof = tokio::time::timeout(PROOF, self.client.simple_query(STANDS)).await;
        proof.is_ok_and(|answered| answered.is_ok())
    }
}

impl SealedRow {
    /// Prepares the options; makes no connection yet.
    pub fn new(options: &DatabaseOptions, schema: SchemaName) -> Result<Self, StoreError> {
        let connector = Connector::with_settings(options, &schema, DURABLE)
            .map_err(|kind| StoreError::new("preparing the connection", kind))?;
        Ok(Self { connector, schema, waiting: Mutex::default() })
    }

    /// Reads the bytes and their revision; `None` if there are none yet.
    pub async fn read(&self) -> Result<Option<(Vec<u8>, u64)>, StoreError> {
        let read = async {
            let row = self.client().await?.query_opt(READ, &[]).await?;
            row.map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()))).transpose()
        };
        read.await.map_err(|kind| self.failed("reading the vault", kind))
    }

    /// Stores the first bytes; `false` if there are some already.
    pub async fn create(&self, bytes: &[u8]) -> Result<bool, StoreError> {
        let create = async { Ok(self.client().await?.execute(CREATE, &[&bytes]).await? == 1) };
        create.await.map_err(|kind| self.failed("creating the vault", kind))
    }

    /// Replaces the bytes if their revision is still `seen`; `false` if it is another one.
    pub async fn replace(&self, seen: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        let replace = async {
            let seen = seen.cast_signed();
            Ok(self.client().await?.execute(REPLACE, &[&seen, &bytes]).await? == 1)
        };
        replace.await.map_err(|kind| self.failed("writing the vault", kind))
    }

    /// Tries the lock without waiting; `None` while another connection holds it.
    pub async fn try_lock(&self) -> Result<Option<SealedRowLock>, StoreError> {
        let lock = async {
            let mut waiting = self.waiting.lock().await;
            let client = match waiting.take() {
                Some(client) if !client.is_closed() => client,
                _ => self.client().await?,
            };
            // Not kept after an error: it may hold a lock that was never reported.
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
