//! The one page that joins a company: its vault, its tokens, its limits, its schema, an engine.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use backfill_core::{Engine, SharedBudget};
use qbo_auth::{
    ClientId, ClientSecret, Clock, ExposeSecret as _, OauthEndpoint, RealmId, RefreshingProvider, SecretName,
    SystemClock,
};
use qbo_client::{HttpQboClient, RatePolicy};
use raw_store::{CallLedger, DatabaseOptions, PgStore, StoreErrorKind, StoreIdentity};

use crate::roster::Roster;
use crate::vaults;

/// How many questions to one company may be under way. A fleet gets its speed from many companies at a time.
pub(crate) const QUESTIONS: usize = 2;

/// A company that can be read, for as long as one job takes.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) engine: Engine,
    pub(crate) identity: StoreIdentity,
    tokens: Arc<RefreshingProvider>,
    store: Arc<PgStore>,
}

impl Company {
    /// Joins it. No call is made to QuickBooks.
    pub(crate) async fn open(roster: &Roster, realm: &str) -> anyhow::Result<Self> {
        let realm: RealmId = realm.parse()?;
        let member =
            roster.companies.get(&realm).ok_or_else(|| anyhow!("the roster has no such company"))?.clone();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());

        let vault = vaults::of_company(roster, &realm)?;
        let id = vaults::need(roster, Some(&vault), SecretName::QboClientId).await?;
        let secret = vaults::need(roster, Some(&vault), SecretName::QboClientSecret).await?;
        let (id, secret) = (ClientId::new(id.expose_secret()), ClientSecret::new(secret));
        let endpoint = OauthEndpoint::new(member.endpoints.clone(), id, secret)?;
        let tokens =
            Arc::new(RefreshingProvider::new(Arc::new(vault), Arc::new(endpoint), Arc::clone(&clock)));

        // One more than there are questions: the log is read while pages land.
        let options = database(roster).await?.with_pool_size(QUESTIONS + 1);
        let store = Arc::new(PgStore::connect(options, member.schema).await?);
        match store.ensure_loadable().await {
            Err(error) if matches!(error.kind, StoreErrorKind::NotSetUp(_)) => store.migrate().await?,
            result => result?,
        }

        // The limits are the company's, whoever asks: a worker that was killed a moment ago has used some of them.
        let ledger: Arc<dyn CallLedger> = store.clone();
        let own = Arc::clone(&clock);
        let budget = SharedBudget::new(Arc::downgrade(&ledger), &RatePolicy::QBO, member.monthly_calls, own);
        let client =
            HttpQboClient::builder(realm.clone(), member.endpoints, tokens.clone(), Arc::clone(&clock))
                .budget(Arc::new(budget))
                .build()?;
        let engine = Engine::new(Arc::new(client), store.clone(), clock, Arc::new(()));
        let identity = StoreIdentity {
            realm_id: realm.as_str().into(),
            environment: member.environment.to_string().into(),
        };
        Ok(Self { engine, identity, tokens, store })
    }

    /// Ends cleanly: a token that is being refreshed is kept first.
    pub(crate) async fn close(self) {
        let Self { engine, tokens, store, .. } = self;
        drop(engine);
        tokens.shutdown().await;
        drop(store);
    }
}

/// How the database is reached.
pub(crate) async fn database(roster: &Roster) -> anyhow::Result<DatabaseOptions> {
    let options: DatabaseOptions = roster.database.parse().context("the roster's database")?;
    Ok(match vaults::find(roster, None, SecretName::PgPassword).await? {
        Some(password) => options.with_password(password.expose_secret()),
        None => options,
    })
}
