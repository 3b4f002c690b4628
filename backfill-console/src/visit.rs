//! What a handler knows of a request by a person who has signed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use crate::app::App;
use crate::company::{Company, OpenCompany};
use crate::preferences::Preferences;
use crate::session::Session;
use crate::trouble::Trouble;
use crate::views::{Pace, Seen};
use crate::when::When;
use crate::words::{Language, Words};

/// A request, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) app: Arc<App>,
    /// Who looks; `None` on a page for which nobody signs in.
    pub(crate) session: Option<Session>,
    pub(crate) preferences: Preferences,
    /// Path and query of the request.
    pub(crate) address: String,
    /// What the browser has of this page already.
    pub(crate) known: Option<String>,
    /// Seconds since the oldest view was computed of those that the answer shows.
    pub(crate) age_seconds: Arc<AtomicU64>,
}

impl Visit {
    pub(crate) fn language(&self) -> Language {
        self.preferences.language
    }

    pub(crate) fn words(&self) -> &'static Words {
        self.language().words()
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.app.now()
    }

    /// How old the answer is in what it shows of the store.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_secs(self.age_seconds.load(Ordering::Relaxed))
    }

    /// Notes that the answer shows something of this age.
    pub(crate) fn note_age(&self, age: Duration) {
        self.age_seconds.fetch_max(age.as_secs(), Ordering::Relaxed);
    }

    /// Notes that a view of this age shows something that was older already when it was computed, by the store's clock.
    pub(crate) fn note_older(&self, view: Duration, computed_at: OffsetDateTime, older: OffsetDateTime) {
        self.note_age(view + Duration::try_from(computed_at - older).unwrap_or_default());
    }

    /// The name under which an act is recorded.
    pub(crate) fn who(&self) -> String {
        self.session.as_ref().map_or_else(String::new, |session| session.name.to_string())
    }

    /// How times are shown where no company gives a zone.
    pub(crate) fn when(&self, zone: &str) -> When {
        When::new(zone, self.preferences.utc_first, self.language())
    }
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let known = |headers: &HeaderMap| Some(headers.get("if-none-match")?.to_str().ok()?.to_owned());
        Ok(Self {
            app: Arc::clone(app),
            session: parts.extensions.get::<Session>().cloned(),
            preferences: Preferences::of(&parts.headers),
            address: parts.uri.path_and_query().map_or("/", |address| address.as_str()).to_owned(),
            known: known(&parts.headers),
            age_seconds: Arc::default(),
        })
    }
}

/// A request for a page of one company.
#[derive(Clone, Debug)]
pub(crate) struct CompanyVisit {
    pub(crate) visit: Visit,
    pub(crate) company: Arc<Company>,
    pub(crate) when: When,
}

impl CompanyVisit {
    /// Computes a view of the company, at most once a second for all who look at `address`.
    pub(crate) async fn view<T, F>(
        &self,
        address: &str,
        compute: impl FnOnce(Arc<OpenCompany>) -> F,
    ) -> Result<Seen<T>, Trouble>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T, Trouble>>,
    {
        self.paced_view(address, Pace::WATCHED, compute).await
    }

    /// As [`view`](Self::view), at a pace of its own.
    pub(crate) async fn paced_view<T, F>(
        &self,
        address: &str,
        pace: Pace,
        compute: impl FnOnce(Arc<OpenCompany>) -> F,
    ) -> Result<Seen<T>, Trouble>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T, Trouble>>,
    {
        let address = format!("{}/{address}", self.company.profile);
        let computed = async { compute(self.company.store.open().await?).await };
        let seen = self.visit.app.views.once(&address, pace, computed).await?;
        self.visit.note_age(seen.age);
        Ok(seen)
    }

    /// The beginning of the addresses of the company's pages, such as `/c/acme`.
    pub(crate) fn base(&self) -> String {
        format!("/c/{}", self.company.profile)
    }
}

impl FromRequestParts<Arc<App>> for CompanyVisit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Ok(visit) = Visit::from_request_parts(parts, app).await;
        let parameters = RawPathParams::from_request_parts(parts, app).await;
        let parameters = parameters.map_err(IntoResponse::into_response)?;
        let profile = parameters.iter().find(|(name, _)| *name == "profile").map(|(_, profile)| profile);
        let company = profile.and_then(|profile| app.company(profile)).cloned();
        let unknown = || (StatusCode::NOT_FOUND, visit.words().trouble.no_company).into_response();
        let company = company.ok_or_else(unknown)?;
        let when = visit.when(&company.zone);
        Ok(Self { visit, company, when })
    }
}
