//! From what was typed to what would be armed.

use std::sync::Arc;

use backfill_core::EntitySpec;
use backfill_report::instant::short;
use raw_store::WindowSelection;

use crate::company::OpenCompany;
use crate::pages::new::asked::{Asked, Context, asked, entities};
use crate::pages::new::beside::Beside;
use crate::pages::new::known::{Known, Logged, failed_span, known, logged};
use crate::pages::new::preview::Ready;
use crate::pages::new::price::Price;
use crate::pages::new::triggers::{NoChain, name_for, triggers};
use crate::pages::new::typed::Typed;
use crate::pages::typed_time::TypedTime;
use crate::trouble::Trouble;
use crate::visit::CompanyVisit;
use crate::words::NewWords;

/// What was typed, written out, and what it comes to.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) typed: Typed,
    pub(super) ready: Result<Box<Ready>, Box<Beside>>,
}

impl Planned {
    /// A form in which nothing was typed yet.
    pub(super) fn blank(typed: Typed) -> Self {
        Self { typed, ready: Err(Box::default()) }
    }
}

/// Understands a form and plans what it asks for. Nothing is armed, and QuickBooks is not called.
pub(super) async fn planned(visit: &CompanyVisit, typed: Typed) -> Result<Planned, Trouble> {
    let open: Arc<OpenCompany> = visit.company.store.open().await?;
    let known = known(&open).await?;
    let words = visit.visit.words();
    let mut typed = typed.written_out(&visit.company.catalog);
    let mut context = Context {
        catalog: &visit.company.catalog,
        times: TypedTime::new(visit, known.now),
        language: visit.visit.language(),
        w: &words.new,
        failed: None,
    };
    let is_unbounded = typed.from.is_empty() && typed.to.is_empty();
    if is_unbounded && typed.what == WindowSelection::Failed.as_str() {
        let axis = typed.by.parse().unwrap_or_default();
        if let Ok((entities, _)) = entities(&typed, &context, axis) {
            let names: Vec<_> = entities.iter().map(EntitySpec::entity_name).collect();
            context.failed = failed_span(&open, &names, axis.as_str()).await?;
        }
        // The range becomes part of the form, so that the form means the same when its button is pressed.
        if let Some(span) = context.failed {
            (typed.from, typed.to) = (short(span.start()), short(span.end()));
            "utc".clone_into(&mut typed.days);
        }
    }
    let ready = match asked(&typed, &context) {
        Ok(asked) => {
            let logged = logged(&open, &asked).await?;
            ready(context.w, &typed, asked, &logged, known)
        }
        Err(beside) => Err(beside),
    };
    Ok(Planned { typed, ready })
}

fn ready(
    w: &NewWords,
    typed: &Typed,
    asked: Asked,
    logged: &Logged,
    known: Known,
) -> Result<Box<Ready>, Box<Beside>> {
    let price = Price::new(&asked, logged, known.now)
        .map_err(|_| Box::new(Beside { chunk: Some(w.too_many.to_owned()), ..Beside::default() }))?;
    // The first of two presses may have begun to read them.
    let is_second_press = known.triggers.iter().any(|one| one.asked.name.as_str() == typed.made);
    if asked.selection == WindowSelection::Failed && asked.is_now && price.windows == 0 && !is_second_press {
        return Err(Box::new(Beside { what: Some(w.none_failed.to_owned()), ..Beside::default() }));
    }
    let wrong_name = || Box::new(Beside { name: Some(w.wrong_name.to_owned()), ..Beside::default() });
    let name = name_for(&asked, &typed.made, &known.triggers).ok_or_else(wrong_name)?;
    let triggers = triggers(&asked, &name).map_err(|problem| match problem {
        NoChain::TooLong => {
            Box::new(Beside { every: Some(w.chain_too_long.to_owned()), ..Beside::default() })
        }
        NoChain::NameTooLong => {
            Box::new(Beside { name: Some(w.chain_name_too_long.to_owned()), ..Beside::default() })
        }
    })?;
    Ok(Box::new(Ready { asked, name, triggers, price, known }))
}
