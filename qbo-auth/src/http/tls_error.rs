//! Why no secure connection could be made, in our own words.

use std::error::Error;

/// The reason why no secure connection could be made; `None` if the connection was lost or refused for another reason.
///
/// The HTTP client does not expose the TLS library's own types, so its fixed messages are compared.
pub fn insecure_reason(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        cause = error.source();
        let text = error.to_string();
        let says = |words: &str| text.contains(words);
        // A connection cut without the TLS close message: the peer had proved its identity before.
        if says("close_notify") {
            return None;
        }
        if says("certificate") || says("TLS") || says("URL scheme is not allowed") {
            return Some(if says("expired") {
                "the server's certificate has expired"
            } else if says("valid for name") {
                "the server's certificate names another host"
            } else if says("certificate") {
                "no known authority vouches for the server's certificate"
            } else {
                "the server does not speak TLS as it should"
            });
        }
    }
    None
}
