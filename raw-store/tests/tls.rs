//! Protected connections, to a server that has a certificate of its own.

#![cfg(feature = "pg")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use fixtures::{TempDatabase, TempPostgres};
use raw_store::{DatabaseOptions, PgStore, SchemaName};
use support::connection;

/// Makes a certificate for `host`, vouched for by itself; `None` without the `openssl` command.
fn certificate(folder: &Path, host: &str) -> Option<(PathBuf, PathBuf)> {
    let (key, certificate) = (folder.join(format!("{host}.key")), folder.join(format!("{host}.crt")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args([
        "-days",
        "2",
        "-subj",
        &format!("/CN={host}"),
        "-addext",
        &format!("subjectAltName=DNS:{host}"),
    ]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    match openssl.output() {
        Ok(ran) => assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr)),
        Err(_) => return None,
    }
    Some((key, certificate))
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
    while !is_on().await {}
}

#[tokio::test]
async fn only_a_certificate_that_is_vouched_for_and_names_the_host_is_accepted() {
    let folder = std::env::temp_dir().join(format!("raw-store-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let certificates = certificate(&folder, "localhost").zip(certificate(&folder, "elsewhere.example"));
    let server = TempPostgres::start().await.unwrap();
    let (Some(((key, own), (_, other))), Some(_)) = (certificates, server.server()) else {
        return;
    };
    let database = server.database().await;
    protect(&database, &key, &own).await;

    let connect = async |host: &str, parameters: String| {
        let (port, name, user) = (database.port(), database.name(), database.user());
        let options: DatabaseOptions =
            format!("postgres://{user}@{host}:{port}/{name}?{parameters}").parse().unwrap();
        let connected =
            PgStore::connect(options.with_password(database.password()), SchemaName::default()).await;
        connected.map(drop).map_err(|error| error.kind.to_string())
    };
    let root = |file: &Path| format!("sslmode=verify-full&sslrootcert={}", file.display());
    let insecure = |why: &str| Err(format!("no secure connection to the database ({why})"));
    assert_eq!(connect("localhost", root(&own)).await, Ok(()));
    assert_eq!(
        connect("127.0.0.1", root(&own)).await,
        insecure("the server's certificate names another host")
    );
    let unknown = "no known authority vouches for the server's certificate";
    assert_eq!(connect("localhost", root(&other)).await, insecure(unknown));
    assert_eq!(connect("localhost", "sslmode=require".into()).await, insecure(unknown));
    assert!(connect("localhost", root(&key)).await.unwrap_err().contains("holds no certificate"));
    assert!(
        connect("localhost", root(&folder.join("missing"))).await.unwrap_err().contains("cannot be read")
    );

    server.stop().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
