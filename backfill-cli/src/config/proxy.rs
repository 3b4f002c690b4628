//! Checks the proxies that the environment names. The HTTP client ignores a value that it cannot parse, and would connect
//! without the proxy.

use std::ffi::OsString;
use std::net::IpAddr;

use axum::http::Uri;
use axum::http::uri::Authority;

use crate::output::exit::Exit;

/// Variables that name a proxy. Each is also read in its lower-case spelling.
const PROXIES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/// The variable that names hosts to reach without a proxy.
const EXCEPTIONS: &str = "NO_PROXY";

/// Refuses a proxy that the HTTP client would ignore. The error does not repeat the value, which may hold a password.
pub(crate) fn check(variable: impl Fn(&str) -> Option<OsString>) -> Result<(), Exit> {
    let read = |name: &str| match variable(name).map(OsString::into_string) {
        Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
        None => Ok(None),
        Some(Err(_)) => Err(refusal(name, "it is not UTF-8 text")),
    };
    let both = |name: &str| [name.to_owned(), name.to_ascii_lowercase()];
    for name in PROXIES.into_iter().flat_map(both) {
        if let Some(Err(problem)) = read(&name)?.map(|value| proxy(&value)) {
            return Err(refusal(&name, problem));
        }
    }
    for name in both(EXCEPTIONS) {
        if let Some(Err(problem)) = read(&name)?.map(|value| exceptions(&value)) {
            return Err(refusal(&name, problem));
        }
    }
    Ok(())
}

fn refusal(name: &str, problem: &str) -> Exit {
    let form = if name.eq_ignore_ascii_case(EXCEPTIONS) {
        "a list such as .example.com,10.0.0.0/8"
    } else {
        "an address such as http://proxy.example.com:3128"
    };
    Exit::usage(
        format!("the variable {name} cannot be used: {problem}; no call was made"),
        format!("set {name} to {form}, or unset it"),
    )
}

/// Checks the value of a proxy variable by the rules of the HTTP client.
fn proxy(value: &str) -> Result<(), &'static str> {
    const NO_ADDRESS: &str = "it is not the address of a proxy";
    let uri: Uri = value.parse().map_err(|_| NO_ADDRESS)?;
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err("it names a kind of proxy other than http and https");
    }
    let authority = uri.authority().ok_or(NO_ADDRESS)?.as_str();
    let address = authority.split_once('@').map_or(authority, |(_, address)| address);
    let address: Authority = address.parse().map_err(|_| NO_ADDRESS)?;
    let after_host = address.as_str().strip_prefix(address.host()).unwrap_or_default();
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match after_host.strip_prefix(':') {
        _ if address.host().is_empty() || address.as_str().contains('@') => Err(NO_ADDRESS),
        Some(port) if !is_port(port) => Err("its port is not a number from 1 to 65535"),
        None if !after_host.is_empty() => Err(NO_ADDRESS),
        _ => Ok(()),
    }
}

fn exceptions(value: &str) -> Result<(), &'static str> {
    for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-*:[]/".contains(c) || c.is_alphabetic();
        if entry.contains("://") || !entry.chars().all(is_plain) {
            return Err("one of its entries is not a host, a domain or a network");
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let most = match address.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return Err("one of its entries is not a network"),
            };
            if !bits.parse::<u8>().is_ok_and(|bits| bits <= most) {
                return Err("one of its entries is not a network");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use crate::output::exit::USAGE;

    fn checked(set: &str, value: impl Into<OsString>) -> Result<(), Exit> {
        let value = value.into();
        check(|name| (name == set).then(|| value.clone()))
    }

    #[test]
    fn a_proxy_that_can_be_used_is_let_through_whichever_variable_names_it() {
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            for good in [
                "",
                "http://proxy.example.com:3128",
                "https://proxy.example.com",
                "proxy.example.com:3128",
                "http://10.0.0.1:8080/",
                "http://[::1]:8080",
                "http://user:p%40ss@proxy.example.com:3128",
            ] {
                assert!(checked(name, good).is_ok(), "{name} {good}");
            }
        }
        for name in ["NO_PROXY", "no_proxy"] {
            for good in
                ["", "*", "localhost,.example.com, 10.0.0.0/8,fd00::/8,[::1],192.168.1.1,", "host:8080"]
            {
                assert!(checked(name, good).is_ok(), "{name} {good}");
            }
        }
    }

    #[test]
    fn one_that_would_be_left_out_is_refused_by_its_name_and_never_repeated() {
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            for bad in [
                "http://",
                "http:///canary",
                "http:/canary:8080",
                "http//canary:8080",
                "://canary",
                ":8080",
                "http://:8080",
                "http://canary:port",
                "http://canary:",
                "http://canary:0",
                "http://canary:99999",
                "http://user:p@canary@proxy:8080",
                "http://[::1",
                "http://canary canary:80",
                " http://canary:80",
                "http://canary:80\n",
                "socks5://canary:1080",
                "ftp://canary:21",
                "/canary",
                "canary?x",
            ] {
                let refused = checked(name, bad).expect_err(bad);
                assert_eq!(refused.code, USAGE);
                assert!(refused.what.contains(name), "{}", refused.what);
                assert!(!refused.what.contains("canary") && !refused.next.contains("canary"), "{bad}");
            }
            assert!(checked(name, OsString::from_vec(vec![b'h', 0xff])).is_err());
        }
        for bad in ["http://canary", "10.0.0.0/33", "canary/8", "fd00::/129", "a canary b", "10.0.0.0/x"] {
            for name in ["NO_PROXY", "no_proxy"] {
                assert!(checked(name, bad).unwrap_err().what.contains(name), "{bad}");
            }
        }
    }
}
