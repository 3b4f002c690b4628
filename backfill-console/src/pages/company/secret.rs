//! Replacing a secret.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use qbo_auth::{ExposeSecret as _, SecretName};
use serde::Deserialize;

use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::trouble::{nothing_page, trouble_page};
use crate::record::{Act, record};
use crate::secret_text::SecretText;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage {
    frame: Frame,
    base: String,
    name: String,
    title: String,
    /// Age and fingerprint of the value that is replaced.
    old: Option<(String, String)>,
    problem: Option<&'static str>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Entered {
    value: SecretText,
}

/// Asks for the new value.
pub(super) async fn ask(visit: CompanyVisit, Path((_, name)): Path<(String, String)>) -> Response {
    match settable(&visit, &name) {
        Some(name) => form(&visit, &name, StatusCode::OK, None).await,
        None => unknown(&visit),
    }
}

/// Stores the new value.
pub(super) async fn replace(
    visit: CompanyVisit,
    Path((_, name)): Path<(String, String)>,
    Form(entered): Form<Entered>,
) -> Response {
    let words = visit.visit.words();
    let Some(name) = settable(&visit, &name) else { return unknown(&visit) };
    let value = entered.value.into_secret();
    if value.expose_secret().is_empty() {
        return form(&visit, &name, StatusCode::UNPROCESSABLE_ENTITY, Some(words.company.empty_value)).await;
    }
    let Some(shelf) = &visit.company.secrets else { return unknown(&visit) };
    let set = shelf.set(&name, value).await;
    // The store may be away: a secret is replaced all the same, because it may be what is missing.
    if let Ok(open) = visit.company.store.open().await {
        let act = Act {
            event: "secret replaced",
            detail: Some(name.to_string()),
            is_refused: set.is_err(),
            ..Act::default()
        };
        drop(record(&visit, &open, act).await);
    }
    visit.visit.app.views.refresh();
    match set {
        Ok(()) => (StatusCode::SEE_OTHER, [(LOCATION, format!("{}/company", visit.base()))]).into_response(),
        Err(problem) => trouble_page(&visit, Area::Company, words.company.title, &Trouble::Closed(problem)),
    }
}

/// The secret of a name, if a person may set it.
fn settable(visit: &CompanyVisit, name: &str) -> Option<SecretName> {
    let shelf = visit.company.secrets.as_ref().filter(|_| !visit.visit.app.look_only)?;
    shelf.names().into_iter().find(|own| own.to_string() == name)
}

fn unknown(visit: &CompanyVisit) -> Response {
    let words = visit.visit.words();
    let back = (format!("{}/company", visit.base()), words.company.title.to_owned());
    nothing_page(visit, Area::Company, words.company.no_such_secret, vec![back])
}

async fn form(
    visit: &CompanyVisit,
    name: &SecretName,
    status: StatusCode,
    problem: Option<&'static str>,
) -> Response {
    let words = visit.visit.words();
    let stored = match &visit.company.secrets {
        Some(shelf) => shelf.list().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let old = stored.into_iter().find(|info| info.name == *name);
    let title = (words.company.replace_title)(&name.to_string());
    let template = SecretPage {
        frame: Frame::of(visit, Area::Company, &title, Every::Never),
        base: visit.base(),
        name: name.to_string(),
        title,
        old: old.map(|info| {
            (visit.when.ago(info.changed_at, visit.visit.now()), info.fingerprint.unwrap_or_default())
        }),
        problem,
    };
    page(&visit.visit, status, &template)
}
