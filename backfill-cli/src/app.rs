//! Composes the program: this is the only file that names concrete types.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use backfill_core::{Engine, EventSink, SharedBudget};
use qbo_auth::{
    ClientId, ClientSecret, Clock, ExposeSecret, OauthEndpoint, RefreshingProvider, SecretName, SystemClock,
    TokenProvider,
};
use qbo_client::{CallBudget, CallCap, HttpQboClient, HttpQboClientBuilder, LocalBudget, QboClient};
use raw_store::{
    Access, CallLedger, CallMonth, DatabaseOptions, PgStore, Store, StoreErrorKind, StoreIdentity,
    TokenLineage,
};

use crate::config::settings::Settings;
use crate::output::exit::{self, Exit};
use crate::secrets::Secrets;
use crate::secrets::database::database_options;
use crate::secrets::lineage::CheckedVault;

/// An open database, and the private server if one runs.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) store: Arc<PgStore>,
    /// The connection options, with the password.
    pub(crate) options: DatabaseOptions,
    /// A shell command that opens psql while this process runs.
    #[cfg_attr(not(feature = "demo"), expect(dead_code, reason = "only the demo shows it"))]
    pub(crate) psql: String,
    /// A shell command that opens psql at any time.
    pub(crate) look: String,
    #[cfg(feature = "embedded")]
    server: Option<private_postgres::LocalServer>,
}

/// Everything that a run needs.
#[derive(Debug)]
pub(crate) struct RunApp {
    pub(crate) engine: Engine,
    pub(crate) client: Arc<dyn QboClient>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity: StoreIdentity,
    pub(crate) tokens: Arc<RefreshingProvider>,
    pub(crate) vault: Arc<CheckedVault>,
    workshop: App,
}

/// What to do if the schema does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Create it.
    Made,
    /// Return an error.
    Needed,
}

/// A company that can be called.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) tokens: Arc<RefreshingProvider>,
    pub(crate) identity: StoreIdentity,
    pub(crate) vault: Arc<CheckedVault>,
    client: HttpQboClientBuilder,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A company and a database, from which engines are built.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) company: Company,
    pub(crate) store: Arc<PgStore>,
    settings: Settings,
    database: Database,
}

/// Combines keys, consent and endpoints of a company, without calling QuickBooks.
pub(crate) async fn company(settings: &Settings, secrets: &mut Secrets, seed: u64) -> Result<Company, Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let realm = secrets.realm(settings).await?;
    let environment = secrets.environment(settings).await?;
    let id = secrets.need(SecretName::QboClientId, settings).await?;
    let secret = secrets.need(SecretName::QboClientSecret, settings).await?;
    let secret = ClientSecret::new(secret);
    let vault = secrets.token_vault(settings, clock.now_utc()).await?;
    let vault = Arc::new(CheckedVault::new(vault, secret.clone()));
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
    /// Builds a client. It shares the call budget in the database with all other processes; without a database it has a budget
    /// of its own.
    pub(crate) fn client(
        &self,
        settings: &Settings,
        store: Option<&Arc<PgStore>>,
    ) -> Result<Arc<dyn QboClient>, Exit> {
        let mut builder = self.client.clone();
        if let Some(store) = store
            && settings.rate_policy.is_some()
        {
            builder = builder.budget(self.budget(settings, store));
        }
        build(builder)
    }

    /// The budget of calls that all processes of the company share.
    fn budget(&self, settings: &Settings, store: &Arc<PgStore>) -> Arc<dyn CallBudget> {
        let clock = Arc::clone(&self.clock);
        let Some(policy) = settings.rate_policy else { return Arc::new(LocalBudget::new(None, clock)) };
        let ledger: Arc<dyn CallLedger> = store.clone();
        Arc::new(SharedBudget::new(Arc::downgrade(&ledger), &policy, settings.monthly_calls, clock))
    }
}

fn build(builder: HttpQboClientBuilder) -> Result<Arc<dyn QboClient>, Exit> {
    let client = builder.build().map_err(|error| {
        Exit::new(exit::REFUSED, exit::chain(&error), "check the system's root certificates")
    })?;
    Ok(Arc::new(client))
}

/// Waits until a call outside the shared budget no longer counts towards QuickBooks' limit of calls per second, because
/// other processes do not know of it.
pub(crate) async fn let_it_age(clock: &dyn Clock) {
    const SECOND_AND_JOURNEY: Duration = Duration::from_millis(1250);
    clock.sleep(SECOND_AND_JOURNEY).await;
}

/// Combines a company and a database, without calling QuickBooks.
pub(crate) async fn workshop(
    settings: &Settings,
    concurrency: NonZeroUsize,
    seed: u64,
    schema: Schema,
) -> Result<App, Exit> {
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
    Ok(App { company, store, settings: settings.clone(), database })
}

impl App {
    /// Builds an engine with its own client, and returns both.
    pub(crate) fn engine(
        &self,
        sink: impl FnOnce(&Arc<dyn QboClient>) -> Arc<dyn EventSink>,
    ) -> Result<(Engine, Arc<dyn QboClient>), Exit> {
        let client = self.company.client(&self.settings, Some(&self.store))?;
        let (store, clock): (Arc<dyn Store>, _) = (self.store.clone(), Arc::clone(&self.company.clock));
        let engine = Engine::new(Arc::clone(&client), store, clock, sink(&client));
        Ok((engine, client))
    }

    /// Builds a client that makes at most so many calls.
    pub(crate) fn capped_client(&self, calls: u64) -> Result<Arc<dyn QboClient>, Exit> {
        let budget = self.company.budget(&self.settings, &self.store);
        build(self.company.client.clone().budget(Arc::new(CallCap::new(budget, calls))))
    }

    /// Closes everything, after storing a token that is being refreshed.
    pub(crate) async fn close(self) -> Result<(), Exit> {
        let Self { company: Company { tokens, vault, .. }, store, database, .. } = self;
        tokens.shutdown().await;
        // The tokens are safe in the vault; the next run records them in the database.
        if let Err(exit) = vault.compare(&*store).await {
            tracing::warn!(what = exit.what, "the newest consent could not be recorded in the database");
        }
        // Close the connections before the server stops.
        drop(store);
        database.close().await
    }
}

/// Combines a company, a database and an event sink, without calling QuickBooks.
pub(crate) async fn compose(
    settings: &Settings,
    concurrency: NonZeroUsize,
    seed: u64,
    schema: Schema,
    sink: impl FnOnce(Arc<dyn QboClient>) -> Arc<dyn EventSink>,
) -> Result<RunApp, Exit> {
    let workshop = workshop(settings, concurrency, seed, schema).await?;
    let (engine, client) = workshop.engine(|client| sink(Arc::clone(client)))?;
    Ok(RunApp {
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

impl RunApp {
    /// Closes everything, after storing a token that is being refreshed.
    pub(crate) async fn close(self) -> Result<(), Exit> {
        let Self { engine, client, store, workshop, .. } = self;
        drop((engine, client, store));
        workshop.close().await
    }

    /// The calls of this month so far, over all processes.
    pub(crate) async fn month(&self) -> Result<CallMonth, Exit> {
        Ok(self.workshop.store.month().await?)
    }

    /// The store with its concrete type, which can also validate rows.
    pub(crate) fn database_store(&self) -> &PgStore {
        &self.workshop.store
    }

    /// A shell command that opens psql on the database while this process runs.
    #[cfg(feature = "demo")]
    pub(crate) fn psql(&self) -> &str {
        &self.workshop.database.psql
    }

    /// A shell command that opens psql on the database at any time.
    pub(crate) fn look(&self) -> &str {
        &self.workshop.database.look
    }
}

/// Opens the database that settings or secrets name, or else the private one.
pub(crate) async fn open_database(
    settings: &Settings,
    secrets: &Secrets,
    connections: NonZeroUsize,
) -> Result<Database, Exit> {
    open_database_for(settings, secrets, connections, Access::Loading).await
}

/// Opens the database like [`open_database`], with sessions for the given use.
pub(crate) async fn open_database_for(
    settings: &Settings,
    secrets: &Secrets,
    connections: NonZeroUsize,
    access: Access,
) -> Result<Database, Exit> {
    let Some(options) = database_options(settings, secrets).await? else {
        return private_database(settings, connections, access).await;
    };
    let options = options.with_access(access);
    // The only characters in the URL that are special to a shell are those between parameters.
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

async fn connect(
    options: DatabaseOptions,
    settings: &Settings,
    connections: NonZeroUsize,
) -> Result<Arc<PgStore>, Exit> {
    // One more connection, to read the log while every pipeline stores a page.
    let options = options.with_pool_size(connections.get() + 1);
    #[cfg(feature = "points")]
    let options = crate::failpoints::with_lease_time(options);
    Ok(Arc::new(PgStore::connect(options, settings.schema.clone()).await?))
}

#[cfg(feature = "embedded")]
async fn private_database(
    settings: &Settings,
    connections: NonZeroUsize,
    access: Access,
) -> Result<Database, Exit> {
    use crate::database::private;
    let database = &settings.private.database;
    let server = private::start(&settings.private).await?;
    let options = private::options(&server, database).with_access(access);
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
async fn private_database(_: &Settings, _: NonZeroUsize, _: Access) -> Result<Database, Exit> {
    Err(Exit::usage("no database is named", "name one with --database postgres://user@host/db"))
}

/// Creates a missing schema. It does not migrate one that is older than this program.
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
    /// Whether this is the private server of this user.
    #[cfg_attr(
        not(feature = "embedded"),
        expect(clippy::unused_self, reason = "only with the server there is one")
    )]
    pub(crate) fn is_private(&self) -> bool {
        #[cfg(feature = "embedded")]
        return self.server.is_some();
        #[cfg(not(feature = "embedded"))]
        return false;
    }

    /// Closes the connections, and stops the private server if this process started it.
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
