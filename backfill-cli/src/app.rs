//! The one page that names concrete types and joins them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use backfill_core::{Engine, EventSink, SharedBudget};
use qbo_auth::{
    ClientId, ClientSecret, Clock, ExposeSecret, OauthEndpoint, RefreshingProvider, SecretName, SystemClock,
    TokenProvider,
};
use qbo_client::{HttpQboClient, HttpQboClientBuilder, QboClient};
use raw_store::{
    CallLedger, CallMonth, DatabaseOptions, PgStore, Store, StoreErrorKind, StoreIdentity, TokenLineage,
};

use crate::config::settings::Settings;
use crate::database::pgpass;
use crate::output::exit::{self, Exit};
use crate::secrets::Secrets;
use crate::secrets::lineage::WitnessedVault;

/// An open database, and what keeps it running.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) store: Arc<PgStore>,
    /// How to reach it, with the password.
    pub(crate) options: DatabaseOptions,
    /// How people reach it with psql while this process runs: a line for a shell.
    #[cfg_attr(not(feature = "demo"), expect(dead_code, reason = "only the demo shows it"))]
    pub(crate) psql: String,
    /// How people look at it at any time.
    pub(crate) look: String,
    #[cfg(feature = "embedded")]
    server: Option<private_postgres::LocalServer>,
}

/// Everything that a run needs.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) engine: Engine,
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: StoreIdentity,
    pub(crate) tokens: Arc<RefreshingProvider>,
    pub(crate) vault: Arc<WitnessedVault>,
    workshop: Workshop,
}

/// What becomes of a schema that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// It is made.
    Made,
    /// Its absence is an error.
    Needed,
}

/// A company that can be called.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) tokens: Arc<RefreshingProvider>,
    pub(crate) identity: StoreIdentity,
    pub(crate) vault: Arc<WitnessedVault>,
    client: HttpQboClientBuilder,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A company and a database, of which engines are made.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) company: Company,
    pub(crate) store: Arc<PgStore>,
    settings: Settings,
    database: Database,
}

/// Joins keys, consent and the company's address. No call is made to QuickBooks.
pub(crate) async fn company(settings: &Settings, secrets: &mut Secrets, seed: u64) -> Result<Company, Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let realm = secrets.realm(settings).await?;
    let environment = secrets.environment(settings).await?;
    let id = secrets.need(SecretName::QboClientId, settings).await?;
    let secret = secrets.need(SecretName::QboClientSecret, settings).await?;
    let secret = ClientSecret::new(secret);
    let vault = secrets.token_vault(settings, clock.now_utc()).await?;
    let vault = Arc::new(WitnessedVault::new(vault, secret.clone()));
    let endpoints = settings.endpoints.over(environment)?;

    let endpoint = OauthEndpoint::new(endpoints.clone(), ClientId::new(id.expose_secret()), secret)
        .map_err(qbo_auth::AuthError::from)?;
    let tokens = Arc::new(RefreshingProvider::new(vault.clone(), Arc::new(endpoint), Arc::clone(&clock)));
    let provider: Arc<dyn TokenProvider> = tokens.clone();
    let client = HttpQboClient::builder(realm.clone(), endpoints, provider, Arc::clone(&clock))
        .rate_policy(settings.rate_policy)
        .seed(seed);
    let identity =
        StoreIdentity { realm_id: realm.as_str().into(), environment: environment.to_string().into() };
    Ok(Company { tokens, identity, vault, client, clock })
}

impl Company {
    /// A client that draws its calls from the budget in a database, with all other processes; without a database from one of
    /// its own.
    pub(crate) fn client(
        &self,
        settings: &Settings,
        store: Option<&Arc<PgStore>>,
    ) -> Result<Arc<dyn QboClient>, Exit> {
        let mut builder = self.client.clone();
        if let (Some(policy), Some(store)) = (settings.rate_policy, store) {
            let ledger: Arc<dyn CallLedger> = store.clone();
            let clock = Arc::clone(&self.clock);
            let budget = SharedBudget::new(Arc::downgrade(&ledger), &policy, settings.monthly_calls, clock);
            builder = builder.budget(Arc::new(budget));
        }
        let client = builder.build().map_err(|error| {
            Exit::new(exit::REFUSED, exit::chain(&error), "check the system's root certificates")
        })?;
        Ok(Arc::new(client))
    }
}

/// Waits until a single call outside of the shared budget counts no more, as far as QuickBooks' limit of calls a second
/// goes: nobody else knows of it.
pub(crate) async fn let_it_age(clock: &dyn Clock) {
    const SECOND_AND_JOURNEY: Duration = Duration::from_millis(1250);
    clock.sleep(SECOND_AND_JOURNEY).await;
}

/// Joins a company and a database. No call is made to QuickBooks.
pub(crate) async fn workshop(
    settings: &Settings,
    concurrency: NonZeroUsize,
    seed: u64,
    schema: Schema,
) -> Result<Workshop, Exit> {
    let mut secrets = Secrets::open(settings).await?;
    let company = company(settings, &mut secrets, seed).await?;
    let database = open_database(settings, &secrets, concurrency).await?;
    match schema {
        Schema::Made => create_where_missing(&database.store).await?,
        Schema::Needed => database.store.ensure_loadable().await?,
    }
    company.vault.compare(&*database.store).await?;
    let witness: Arc<dyn TokenLineage> = database.store.clone();
    company.vault.tell(Arc::downgrade(&witness));
    let store = Arc::clone(&database.store);
    Ok(Workshop { company, store, settings: settings.clone(), database })
}

impl Workshop {
    /// An engine over a client of its own, and that client.
    pub(crate) fn engine(
        &self,
        sink: impl FnOnce(&Arc<dyn QboClient>) -> Arc<dyn EventSink>,
    ) -> Result<(Engine, Arc<dyn QboClient>), Exit> {
        let client = self.company.client(&self.settings, Some(&self.store))?;
        let (store, clock): (Arc<dyn Store>, _) = (self.store.clone(), Arc::clone(&self.company.clock));
        let engine = Engine::new(Arc::clone(&client), store, clock, sink(&client));
        Ok((engine, client))
    }

    /// Ends cleanly: a token that is being refreshed is kept first.
    pub(crate) async fn close(self) -> Result<(), Exit> {
        let Self { company: Company { tokens, vault, .. }, store, database, .. } = self;
        tokens.shutdown().await;
        // The tokens are safe in the vault; that the database has not seen them yet is made good by the next run.
        if let Err(exit) = vault.compare(&*store).await {
            tracing::warn!(what = exit.what, "the newest consent could not be noted in the database");
        }
        // The connections go before the server does.
        drop(store);
        database.close().await
    }
}

/// Joins a company, a database and a listener. No call is made to QuickBooks.
pub(crate) async fn compose(
    settings: &Settings,
    concurrency: NonZeroUsize,
    seed: u64,
    schema: Schema,
    sink: impl FnOnce(Arc<dyn QboClient>) -> Arc<dyn EventSink>,
) -> Result<Composed, Exit> {
    let workshop = workshop(settings, concurrency, seed, schema).await?;
    let (engine, client) = workshop.engine(|client| sink(Arc::clone(client)))?;
    Ok(Composed {
        engine,
        client,
        store: workshop.store.clone(),
        clock: Arc::clone(&workshop.company.clock),
        identity: workshop.company.identity.clone(),
        tokens: Arc::clone(&workshop.company.tokens),
        vault: Arc::clone(&workshop.company.vault),
        workshop,
    })
}

impl Composed {
    /// Ends cleanly: a token that is being refreshed is kept first.
    pub(crate) async fn close(self) -> Result<(), Exit> {
        let Self { engine, client, store, workshop, .. } = self;
        drop((engine, client, store));
        workshop.close().await
    }

    /// What this month has cost so far, over all processes.
    pub(crate) async fn month(&self) -> Result<CallMonth, Exit> {
        Ok(self.workshop.store.month().await?)
    }

    /// The store, as what it is: it can also be looked over.
    pub(crate) fn database_store(&self) -> &PgStore {
        &self.workshop.store
    }

    /// How people reach the database with psql while this process runs.
    #[cfg(feature = "demo")]
    pub(crate) fn psql(&self) -> &str {
        &self.workshop.database.psql
    }

    /// How people look at the database at any time.
    pub(crate) fn look(&self) -> &str {
        &self.workshop.database.look
    }
}

/// Opens the database that settings or secrets name, otherwise the private one.
pub(crate) async fn open_database(
    settings: &Settings,
    secrets: &Secrets,
    connections: NonZeroUsize,
) -> Result<Database, Exit> {
    let Some(options) = database_options(settings, secrets).await? else {
        return private_database(settings, connections).await;
    };
    // Of the characters that a shell gives a meaning, only those between parameters are left in an address.
    let psql = format!("psql '{}'", options.url());
    let store = connect(options.clone(), settings, connections).await?;
    Ok(Database {
        store,
        options,
        look: psql.clone(),
        psql,
        #[cfg(feature = "embedded")]
        server: None,
    })
}

/// How to reach the database that settings or secrets name, with its password; `None` if none is named.
pub(crate) async fn database_options(
    settings: &Settings,
    secrets: &Secrets,
) -> Result<Option<DatabaseOptions>, Exit> {
    let options = match &settings.database {
        Some(url) => Some(url.parse::<DatabaseOptions>()?),
        None => from_secrets(secrets).await?,
    };
    let Some(options) = options else { return Ok(None) };
    let password = match secrets.find(SecretName::PgPassword).await? {
        Some(password) => Some(password),
        None => settings.passfile.as_deref().and_then(|file| pgpass::find(file, &options)),
    };
    Ok(Some(match password {
        Some(password) => options.with_password(password.expose_secret()),
        None => options,
    }))
}

async fn connect(
    options: DatabaseOptions,
    settings: &Settings,
    connections: NonZeroUsize,
) -> Result<Arc<PgStore>, Exit> {
    // One more for reading the log while every pipeline lands a page.
    let options = options.with_pool_size(connections.get() + 1);
    #[cfg(feature = "points")]
    let options = crate::failpoints::with_lease_time(options);
    Ok(Arc::new(PgStore::connect(options, settings.schema.clone()).await?))
}

/// The database that the secrets describe, if they do.
async fn from_secrets(secrets: &Secrets) -> Result<Option<DatabaseOptions>, Exit> {
    let mut parts = Vec::new();
    for name in [SecretName::PgHost, SecretName::PgPort, SecretName::PgDatabase, SecretName::PgUser] {
        parts.push(secrets.find(name).await?.map(|value| value.expose_secret().trim().to_owned()));
    }
    let [host, port, database, user] = parts.as_slice() else {
        return Ok(None);
    };
    let Some(host) = host else { return Ok(None) };
    let port = port
        .as_deref()
        .unwrap_or("5432")
        .parse()
        .map_err(|_| Exit::usage("PG_PORT is not a port", "qbo-backfill secrets set PG_PORT"))?;
    let (Some(database), Some(user)) = (database, user) else {
        return Err(Exit::usage(
            "PG_HOST is set, PG_DATABASE or PG_USER is not",
            "qbo-backfill secrets set PG_DATABASE and PG_USER",
        ));
    };
    Ok(Some(DatabaseOptions::new(host, port, database, user)))
}

#[cfg(feature = "embedded")]
async fn private_database(settings: &Settings, connections: NonZeroUsize) -> Result<Database, Exit> {
    use crate::database::private;
    let database = &settings.private.database;
    let server = private::start(&settings.private).await?;
    let options = private::options(&server, database);
    let store = connect(options.clone(), settings, connections).await?;
    Ok(Database {
        store,
        options,
        psql: server.psql_line(database),
        look: private::look(&server, database),
        server: Some(server),
    })
}

#[cfg(not(feature = "embedded"))]
#[expect(clippy::unused_async, reason = "with the server it waits")]
async fn private_database(_: &Settings, _: NonZeroUsize) -> Result<Database, Exit> {
    Err(Exit::usage("no database is named", "name one with --database postgres://user@host/db"))
}

/// A schema that is not there at all is created; one that is older than this program is not touched.
pub(crate) async fn create_where_missing(store: &PgStore) -> Result<(), Exit> {
    match store.ensure_loadable().await {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind, StoreErrorKind::NotSetUp(_)) => {
            Ok(store.migrate().await.map(drop)?)
        }
        Err(error) => Err(error.into()),
    }
}

impl Database {
    /// Ends the private server, if this process started it.
    #[cfg_attr(not(feature = "embedded"), expect(clippy::unused_async, reason = "with the server it waits"))]
    pub(crate) async fn close(self) -> Result<(), Exit> {
        #[cfg(feature = "embedded")]
        if let Some(server) = self.server {
            drop(self.store);
            server.stop().await?;
        }
        Ok(())
    }
}
