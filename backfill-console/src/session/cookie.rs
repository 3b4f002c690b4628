//! The cookie that carries a session.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use crate::door::Origin;
use crate::session::sessions::LASTS;

/// Name of the cookie. The port is part of it, because a browser sends the cookies of one port to all ports of a host. Over
/// TLS, the prefix makes browsers refuse one that another host of the same domain sets.
pub(crate) fn session_cookie_name(origin: &Origin) -> String {
    let prefix = if origin.is_https { "__Host-" } else { "" };
    format!("{prefix}qbo-console-{}", origin.port())
}

/// The header that sets the session's cookie, or removes it if there is no token.
pub(crate) fn session_cookie(origin: &Origin, token: Option<&str>) -> String {
    let name = session_cookie_name(origin);
    let secure = if origin.is_https { "; Secure" } else { "" };
    let seconds = if token.is_some() { LASTS.whole_seconds() } else { 0 };
    let token = token.unwrap_or_default();
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// The value of a cookie that was sent.
pub(crate) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).next()
}
