//! One route of the console.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};

use crate::app::App;

/// Who may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody who reaches the console.
    Open,
    /// People who have signed in.
    SignedIn,
}

/// One method of one path. Every route of the console is in the list of [`pages`](crate::pages), from which the router is built
/// and which the tests go through.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// Whether it changes something of a company. Such a route does not exist in a console that only shows.
    pub(crate) is_act: bool,
    /// Whether it shows a document. Such a route exists only in a console that may show them.
    pub(crate) shows_document: bool,
    pub(crate) handler: MethodRouter<Arc<App>>,
}

impl Route {
    /// A page for people who have signed in.
    pub(crate) fn page<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        Self {
            method: "GET",
            path,
            access: Access::SignedIn,
            is_act: false,
            shows_document: false,
            handler: get(handler),
        }
    }

    /// Something that a person who has signed in does to a company.
    pub(crate) fn act<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        Self {
            method: "POST",
            path,
            access: Access::SignedIn,
            is_act: true,
            shows_document: false,
            handler: post(handler),
        }
    }

    /// The document of a record, which is asked for by an act, because each look is recorded.
    pub(crate) fn document<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        Self { shows_document: true, ..Self::act(path, handler) }
    }

    /// Whether a console has the route.
    pub(crate) fn is_offered(&self, look_only: bool, documents: bool) -> bool {
        !(look_only && self.is_act) && (documents || !self.shows_document)
    }

    /// Something to read for which nobody signs in.
    pub(crate) fn open<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        Self {
            method: "GET",
            path,
            access: Access::Open,
            is_act: false,
            shows_document: false,
            handler: get(handler),
        }
    }

    /// Signing in or out, which every console has.
    pub(crate) fn sign<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        Self {
            method: "POST",
            path,
            access: Access::Open,
            is_act: false,
            shows_document: false,
            handler: post(handler),
        }
    }
}
