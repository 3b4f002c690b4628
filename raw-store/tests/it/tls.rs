//! Protected connections, to a server that has a certificate of its own.

#![cfg(feature = "pg")]

use std::path::{Path, PathBuf};

use fixtures::{TempDatabase, TempPostgres};
use raw_store::{DatabaseOptions, PgStore, SchemaName};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::connection;

/// What is said of a login that the server would not bind to the connection.
const UNBOUND: &str =
    "the server does not bind the login to the connection, so that another server could be in between";

/// How long a server may take to read its settings again.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// An authority and what it vouches for, as PEM files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file, folder: folder.to_owned() }
    }

    /// Key and certificate for a host, until the first day of a year.
    fn certificate(&self, host: &str, until: i32) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let files = ["key", "crt"].map(|kind| self.folder.join(format!("{host}-{until}.{kind}")));
        std::fs::write(&files[0], key.serialize_pem()).unwrap();
        std::fs::write(&files[1], params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        files.into()
    }
}

/// Gives the server a key and a certificate. They are written by the server itself, so that they are its own.
async fn protect(database: &TempDatabase, key: &Path, certificate: &Path) {
    let owner = connection(database).await;
    for (file, name) in [(key, "server.key"), (certificate, "server.crt")] {
        let text = std::fs::read_to_string(file).unwrap();
        owner
            .batch_execute(&format!(
                "COPY (SELECT unnest(string_to_array('{text}', chr(10)))) TO PROGRAM 'umask 077; cat > {name}'"
            ))
            .await
            .unwrap();
    }
    owner.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    owner.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
    let is_on = async || {
        let row = connection(database).await.query_one("SHOW ssl", &[]).await.unwrap();
        row.get::<_, &str>(0) == "on"
    };
    soon(async { while !is_on().await {} }).await;
}

/// Waits for the server to get to something; not for ever.
async fn soon(waiting: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, waiting).await.expect("the server never got to it");
}

#[tokio::test]
async fn every_mode_asks_for_what_libpq_says_it_does() {
    let folder = std::env::temp_dir().join(format!("raw-store-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let server = TempPostgres::start().await.unwrap();
    if server.server().is_none() {
        return;
    }
    let database = server.database().await;
    let (ours, theirs) = (Authority::new(&folder, "ours"), Authority::new(&folder, "theirs"));
    let connect = async |host: &str, parameters: String| {
        let (port, name, user) = (database.port(), database.name(), database.user());
        let options: DatabaseOptions =
            format!("postgres://{user}@{host}:{port}/{name}?{parameters}").parse().unwrap();
        let connected =
            PgStore::connect(options.with_password(database.password()), SchemaName::default()).await;
        connected.map(drop).map_err(|error| error.kind.to_string())
    };
    let mode = |mode: &str, root: Option<&Path>| {
        let root = root.map_or_else(String::new, |file| format!("&sslrootcert={}", file.display()));
        format!("sslmode={mode}{root}")
    };
    let insecure = |why: &str| Err(format!("no secure connection to the database ({why})"));
    let (unknown, foreign) = (
        "no known authority vouches for the server's certificate",
        "the server's certificate names another host",
    );
    let root = Some(ours.file.as_path());

    let (key, certificate) = ours.certificate("localhost", 2090);
    protect(&database, &key, &certificate).await;
    for (host, parameters, expected) in [
        ("localhost", mode("verify-full", root), Ok(())),
        ("127.0.0.1", mode("verify-full", root), insecure(foreign)),
        ("localhost", mode("verify-full", Some(&theirs.file)), insecure(unknown)),
        ("localhost", mode("verify-full", None), insecure(unknown)),
        ("127.0.0.1", mode("verify-ca", root), Ok(())),
        ("127.0.0.1", mode("verify-ca", Some(&theirs.file)), insecure(unknown)),
        ("localhost", mode("verify-ca", None), insecure(unknown)),
        ("127.0.0.1", mode("require", None), Ok(())),
        ("127.0.0.1", mode("require", root), Ok(())),
        ("127.0.0.1", mode("require", Some(&theirs.file)), insecure(unknown)),
        ("127.0.0.1", mode("prefer", None), Ok(())),
        ("127.0.0.1", mode("disable", None), Ok(())),
        ("localhost", format!("{}&channel_binding=require", mode("verify-full", root)), Ok(())),
        ("127.0.0.1", "sslmode=require&channel_binding=require".into(), Ok(())),
        ("127.0.0.1", "sslmode=disable&channel_binding=require".into(), insecure(UNBOUND)),
    ] {
        assert_eq!(connect(host, parameters.clone()).await, expected, "{host} {parameters}");
    }
    assert!(
        connect("localhost", mode("verify-full", Some(&key)))
            .await
            .unwrap_err()
            .contains("holds no certificate")
    );
    let missing = folder.join("missing");
    assert!(
        connect("localhost", mode("verify-full", Some(&missing)))
            .await
            .unwrap_err()
            .contains("cannot be read")
    );

    let (key, certificate) = ours.certificate("localhost", 2021);
    protect(&database, &key, &certificate).await;
    let expired = "the server's certificate has expired";
    for strict in ["verify-full", "verify-ca", "require"] {
        // The server takes a new certificate when it gets to it.
        soon(async { while connect("localhost", mode(strict, root)).await == Ok(()) {} }).await;
        assert_eq!(connect("localhost", mode(strict, root)).await, insecure(expired), "{strict}");
    }

    server.stop().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A server that says no to the question for TLS; gives what it is told after that.
async fn without_tls() -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = [0; 8];
        stream.read_exact(&mut question).await.unwrap();
        assert_eq!(question, [0, 0, 0, 8, 4, 210, 22, 47], "the request for TLS");
        stream.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    });
    (port, told)
}

#[tokio::test]
async fn a_server_that_offers_no_tls_is_told_nothing_more() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let (port, told) = without_tls().await;
        let options: DatabaseOptions =
            format!("postgres://loader@127.0.0.1:{port}/books?sslmode={mode}").parse().unwrap();
        let refused =
            PgStore::connect(options.with_password("fake-1"), SchemaName::default()).await.unwrap_err();
        assert!(refused.to_string().contains("does not offer TLS"), "{refused}");
        assert!(told.await.unwrap().is_empty(), "{mode}");
    }
}

/// A server that says how it wants the password (PostgreSQL's manual, 55.7: 3 is clear text, 5 is MD5 with a salt);
/// gives what it is told after that.
async fn wanting(how: &'static [u8]) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).await.unwrap();
        let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut startup).await.unwrap();
        let length = u32::try_from(4 + how.len()).unwrap().to_be_bytes();
        stream.write_all(&[b"R", &length[..], how].concat()).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    });
    (port, told)
}

#[tokio::test]
async fn a_server_that_wants_a_password_it_could_pass_on_does_not_get_it() {
    for how in [&[0, 0, 0, 3][..], &[0, 0, 0, 5, 1, 2, 3, 4]] {
        let (port, told) = wanting(how).await;
        let address =
            format!("postgres://loader@127.0.0.1:{port}/books?sslmode=disable&channel_binding=require");
        let options: DatabaseOptions = address.parse().unwrap();
        PgStore::connect(options.with_password("fake-1"), SchemaName::default()).await.unwrap_err();
        assert!(told.await.unwrap().is_empty(), "{how:?}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let options: DatabaseOptions =
        format!("postgres://nobody@127.0.0.1:{port}/none?connect_timeout=1").parse().unwrap();
    let row = raw_store::SealedRow::new(&options, SchemaName::default()).unwrap();
    let connected = PgStore::connect(options, SchemaName::default()).await;
    for error in [connected.map(drop).unwrap_err(), row.read().await.unwrap_err()] {
        assert!(error.to_string().contains("did not answer in time"), "{error}");
    }
    silent.abort();
}
