//! The style sheet, the script and the icon, under names that change with their content.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use backfill_report::{COLOURS, hex};
use sha2::{Digest as _, Sha256};

use crate::route::Route;

/// A file of the console.
#[derive(Debug)]
struct Asset {
    name: String,
    kind: &'static str,
    text: Cow<'static, str>,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = [COLOURS, include_str!("../assets/console.css")].concat();
    asset("console", "css", "text/css; charset=utf-8", text)
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    asset("console", "js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")));

fn asset(name: &str, ending: &str, kind: &'static str, text: impl Into<Cow<'static, str>>) -> Asset {
    let text = text.into();
    let digest = hex(&Sha256::digest(text.as_bytes()));
    Asset { name: format!("{name}-{}.{ending}", &digest[..12]), kind, text }
}

/// The addresses of the files, for the frame of every page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AssetPaths {
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
    pub(crate) icon: &'static str,
}

impl AssetPaths {
    pub(crate) fn new() -> Self {
        Self { style: &STYLE.name, script: &SCRIPT.name, icon: &ICON.name }
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::open("/assets/{name}", send)]
}

async fn send(Path(name): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    match all.into_iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let headers =
                [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, &*asset.text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    }
}
