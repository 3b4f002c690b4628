//! Binds a schema to one company, and checks that binding.

use tokio_postgres::{Client, GenericClient};

use crate::{StoreErrorKind, StoreIdentity};

/// The primary key of the table can only be `true`: of two processes that bind at once, one finds the other's row.
const BIND: &str =
    "INSERT INTO source_identity (realm_id, environment) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Reads the company that the schema is bound to.
const BOUND: &str = "SELECT realm_id, environment FROM source_identity";

/// Binds the schema to a company, or checks that it is bound to this one.
pub(super) async fn bind(client: &Client, identity: &StoreIdentity) -> Result<(), StoreErrorKind> {
    if bound(client).await?.is_none() {
        client.execute(BIND, &[&&*identity.realm_id, &&*identity.environment]).await?;
    }
    check(client, identity).await
}

/// Checks that the schema is bound to this company.
pub(super) async fn check(
    client: &impl GenericClient,
    identity: &StoreIdentity,
) -> Result<(), StoreErrorKind> {
    match bound(client).await? {
        Some(bound) if bound == *identity => Ok(()),
        Some(bound) => Err(StoreErrorKind::OtherCompany { bound, asked: identity.clone() }),
        None => Err(StoreErrorKind::Configuration("the schema is not bound to a company".into())),
    }
}

/// The company that the schema is bound to.
pub(super) async fn bound(client: &impl GenericClient) -> Result<Option<StoreIdentity>, StoreErrorKind> {
    let Some(row) = client.query_opt(BOUND, &[]).await? else {
        return Ok(None);
    };
    let (realm_id, environment): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(StoreIdentity { realm_id: realm_id.into(), environment: environment.into() }))
}
