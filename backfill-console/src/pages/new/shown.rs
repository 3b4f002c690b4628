//! The page with the form and its preview.

use askama::Template;
use axum::extract::RawForm;
use axum::http::StatusCode;
use axum::response::Response;

use crate::pages::answer::page;
use crate::pages::frame::{Area, Every, Frame};
use crate::pages::new::beside::Beside;
use crate::pages::new::form::Form;
use crate::pages::new::planned::{Planned, planned};
use crate::pages::new::preview::Preview;
use crate::pages::new::typed::Typed;
use crate::pages::trouble::trouble_page;
use crate::visit::CompanyVisit;

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage {
    frame: Frame,
    base: String,
    form: Form,
    beside: Box<Beside>,
    preview: Option<Preview>,
    /// Why nothing was armed, if the button was pressed.
    refusal: Option<&'static str>,
}

/// Shows the form, and beneath it what it would arm.
pub(super) async fn show(visit: CompanyVisit, RawForm(form): RawForm) -> Response {
    let typed = Typed::read(&form);
    // What was made for an earlier preview does not count for this one.
    let typed = Typed { made: String::new(), seen: String::new(), ..typed };
    if typed.is_blank() {
        let planned = Planned::blank(typed.written_out(&visit.company.catalog));
        return answer(&visit, StatusCode::OK, planned, None);
    }
    match planned(&visit, typed).await {
        Ok(planned) => {
            let is_wrong = planned.ready.is_err();
            let status = if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            answer(&visit, status, planned, None)
        }
        Err(trouble) => trouble_page(&visit, Area::Elsewhere, visit.visit.words().new.title, &trouble),
    }
}

/// Answers with the form, and with what it comes to or a sentence beside each field that cannot be used.
pub(super) fn answer(
    visit: &CompanyVisit,
    status: StatusCode,
    planned: Planned,
    refusal: Option<&'static str>,
) -> Response {
    let Planned { typed, ready } = planned;
    let (preview, beside) = match ready {
        Ok(ready) => (Some(Preview::new(visit, &typed, &ready)), Box::default()),
        Err(beside) => (None, beside),
    };
    let template = NewPage {
        frame: Frame::of(visit, Area::Elsewhere, visit.visit.words().new.title, Every::Never),
        base: visit.base(),
        form: Form::new(visit, &typed, beside.is_below_more()),
        beside,
        preview,
        refusal,
    };
    page(&visit.visit, status, &template)
}
