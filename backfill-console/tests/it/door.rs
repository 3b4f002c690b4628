//! What may come in, for every route of the console.

use std::sync::Arc;

use backfill_console::{Console, Listener, sign_in_path};
use qbo_auth::{Clock as _, SecretString, SystemClock};

use crate::browser::{send, send_over};
use crate::invented::{self, HOSTILE, KEY, PAYLOAD_MARK, SECRET_MARK};
use crate::served::Served;

/// Routes for which nobody signs in.
const OPEN: [&str; 6] = ["/enter", "/leave", "/healthz", "/metrics", "/assets/{name}", "/callback"];

/// An address of a route.
fn address(path: &str) -> String {
    path.replace("{profile}", "acme")
        .replace("{entity}", "invoices")
        .replace("runs/{id}", "runs/20261129T050000Z-0a1b2c3d")
        .replace("secrets/{name}", "secrets/QBO_CLIENT_SECRET")
        .replace("triggers/{name}", "triggers/febrero_2026")
        .replace("{id}", "1")
        .replace("{name}", "x")
}

/// A console that has every route.
async fn with_documents() -> Served {
    let (console, invented) = invented::full(Arc::new(SystemClock::new())).await;
    Served::new(Console { documents: true, ..console }, invented).await
}

#[tokio::test]
async fn every_route_refuses_other_hosts_sites_and_methods() {
    let served = with_documents().await;
    let (cookie, own) = (served.sign_in().await, served.host());
    for (method, path) in Console::routes(false, true) {
        let path = address(path);
        for (host, site, origin, expected) in [
            ("evil.example", "same-origin", "", Some(421)),
            ("127.0.0.1", "same-origin", "", Some(421)),
            (&*own, "same-site", "", Some(403)),
            (&*own, "cross-site", "", Some(403)),
            (&*own, "none", "", Some(403)),
            (&*own, "", "", Some(403)),
            (&*own, "", "null", Some(403)),
            (&*own, "", "http://127.0.0.1:1", Some(403)),
        ] {
            let mut headers = vec![("host", host), ("cookie", &*cookie)];
            headers.extend((!site.is_empty()).then_some(("sec-fetch-site", site)));
            headers.extend((!origin.is_empty()).then_some(("origin", origin)));
            let answer = send(served.port, method, &path, &headers, "").await;
            // A page is only looked at: it may be opened from anywhere.
            let expected = if method == "GET" && expected == Some(403) { None } else { expected };
            match expected {
                Some(status) => assert_eq!(answer.status, status, "{method} {path} {host} {site} {origin}"),
                None => assert!(
                    ![403, 421].contains(&answer.status) || path == "/callback",
                    "{method} {path} {host} {site}"
                ),
            }
            for name in
                ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"]
            {
                assert!(answer.header(name).is_some(), "{method} {path} has no {name}");
            }
        }
        for other in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "SOMETHING"] {
            let headers = [("host", &*own), ("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
            let answer = send(served.port, other, &path, &headers, "").await;
            assert_eq!(answer.status, 405, "{other} {path}");
        }
    }
}

#[tokio::test]
async fn without_a_session_only_the_open_routes_answer() {
    let served = with_documents().await;
    let own = served.host();
    for (method, path) in Console::routes(false, true) {
        for cookie in ["", "qbo-console-1=x", &*format!("qbo-console-{}={}", served.port, "0".repeat(64))] {
            let headers = [
                ("host", &*own),
                ("cookie", cookie),
                ("sec-fetch-site", "same-origin"),
                ("x-forwarded-user", "root"),
            ];
            let answer = send(served.port, method, &address(path), &headers, "").await;
            match (OPEN.contains(&path), method) {
                (true, _) => assert_ne!(answer.status, 401, "{method} {path}"),
                (false, "GET") => {
                    assert_eq!(answer.status, 303, "{method} {path}");
                    assert!(answer.header("location").unwrap().starts_with("/enter"), "{path}");
                }
                (false, _) => assert_eq!(answer.status, 401, "{method} {path}"),
            }
        }
    }
}

#[tokio::test]
async fn a_console_that_only_shows_has_no_route_that_changes_anything() {
    let changing: Vec<_> =
        Console::routes(true, true).into_iter().filter(|(method, _)| *method != "GET").collect();
    assert_eq!(changing, [("POST", "/enter"), ("POST", "/leave")]);
    let (console, invented) = invented::empty(Arc::new(SystemClock::new())).await;
    let served = Served::new(Console { look_only: true, ..console }, invented).await;
    let cookie = served.sign_in().await;
    for (method, path) in Console::routes(false, false).into_iter().filter(|route| !changing.contains(route))
    {
        if method == "POST" {
            let answer = served.post(&address(path), &cookie, "value=x").await;
            assert!([404, 405].contains(&answer.status), "{path} {}", answer.status);
        }
    }
    assert!(served.invented.shelf.set.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_answer_holds_a_secret_or_a_document_and_foreign_text_stays_text() {
    let served = Served::full().await;
    let cookie = served.sign_in().await;
    let mut seen_hostile = false;
    for (method, path) in Console::routes(false, false) {
        let paths = [address(path), format!("{}?year=2025&day=2025-03-14&lang=xx", address(path))];
        for path in paths {
            let answer = match method {
                "GET" => served.get(&path, &cookie).await,
                _ if path.starts_with("/leave") => continue,
                _ => {
                    served
                        .post(&path, &cookie, &format!("value={SECRET_MARK}&name=op1&key={SECRET_MARK}"))
                        .await
                }
            };
            let whole = format!("{}{}", answer.head, answer.body);
            for mark in [PAYLOAD_MARK, SECRET_MARK, KEY] {
                assert!(!whole.contains(mark), "{method} {path} shows {mark}");
            }
            assert!(!whole.contains("<script>alert") && !whole.contains('\u{202e}'), "{method} {path}");
            seen_hostile |= whole.contains("&#60;script&#62;alert") || whole.contains("&lt;script&gt;alert");
        }
    }
    assert!(seen_hostile, "no page shows the text {HOSTILE:?}");
    let set = served.invented.shelf.set.lock().unwrap();
    assert!(set.contains_key("QBO_CLIENT_SECRET"), "the secret was not replaced");
}

#[tokio::test]
async fn a_link_signs_in_once_and_wrong_keys_are_counted() {
    let served = Served::full().await;
    let key = SecretString::from(KEY.to_owned());
    let path = sign_in_path(&key, &"op1".parse().unwrap(), SystemClock::new().now_utc()).unwrap();
    let answer = served.get(&path, "").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert!(cookie.starts_with(&format!("qbo-console-{}=", served.port)), "{cookie}");
    assert_eq!(served.get("/c/acme/", &answer.cookie()).await.status, 200);
    assert_eq!(served.get(&path, "").await.status, 403);
    let left = served.post("/leave", &answer.cookie(), "").await;
    assert_eq!(left.status, 303);
    assert_eq!(served.get("/c/acme/", &answer.cookie()).await.status, 303);
    for _ in 0..10 {
        assert_eq!(served.post("/enter", "", "name=op1&key=wrong").await.status, 403);
    }
    assert_eq!(served.post("/enter", "", &format!("name=op1&key={KEY}")).await.status, 429);
    let large = format!("name=op1&key={}", "x".repeat(20_000));
    assert_eq!(served.post("/enter", "", &large).await.status, 413);
}

#[cfg(unix)]
#[tokio::test]
async fn over_a_unix_socket_the_proxy_names_the_person() {
    let (console, _invented) = invented::empty(Arc::new(SystemClock::new())).await;
    let console = Console { public_url: Some("https://backfill.example.com".parse().unwrap()), ..console };
    let path = std::env::temp_dir().join(format!("console-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let task = tokio::spawn(console.serve(Listener::Unix(listener), shutdown));
    for (host, users, expected) in [
        ("backfill.example.com", &["op1"][..], 200),
        ("backfill.example.com", &[], 303),
        ("backfill.example.com", &["op1", "op2"], 303),
        ("backfill.example.com", &["<b>"], 303),
        ("127.0.0.1", &["op1"], 421),
    ] {
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let mut headers = vec![("host", host)];
        headers.extend(users.iter().map(|user| ("x-forwarded-user", *user)));
        let answer = send_over(stream, "GET", "/c/acme/company", &headers, "").await;
        assert_eq!(answer.status, expected, "{host} {users:?}");
    }
    drop(stop);
    task.await.unwrap().unwrap();
    std::fs::remove_file(&path).unwrap();
}
