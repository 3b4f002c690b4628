//! A server that does not prove to be the right one is told nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixtures::{CallKind, Shape};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::house::{Ended, House, ended};

/// An authority that exists for one test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(house: &House) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = house.home().join("authority.pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// A server in front of `upstream`, with a certificate; counts what it is told inside the encryption.
    async fn server(
        &self,
        params: CertificateParams,
        vouched: bool,
        upstream: u16,
    ) -> (u16, Arc<AtomicUsize>) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            if vouched { params.signed_by(&key, &self.issuer) } else { params.self_signed(&key) }.unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut inside) = acceptor.accept(stream).await else { continue };
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let mut first = vec![0; 1024];
                    let Ok(length) = inside.read(&mut first).await else { return };
                    count.fetch_add(length, Ordering::Relaxed);
                    let mut upstream = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
                    upstream.write_all(&first[..length]).await.unwrap();
                    drop(copy_bidirectional(&mut inside, &mut upstream).await);
                });
            }
        });
        (port, told)
    }
}

/// A certificate for a name, valid in these years.
fn certificate(name: &str, years: std::ops::Range<i32>) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    params
}

/// A run whose API and token service are at these addresses, trusting the authority.
async fn run(house: &House, authority: &Authority, api: &str, oauth: &str) -> Ended {
    let mut command =
        house.command(&["run", "Invoice", "--from", "2024-01-01", "--to", "2024-02-01", "--force"]);
    command.args(["--api-url", api, "--oauth-url", oauth, "--database", &house.database.url()]);
    // A folder that does not exist: the system's own authorities are not asked.
    command.env("SSL_CERT_FILE", &authority.file).env("SSL_CERT_DIR", house.home().join("none"));
    ended(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_certificate_that_is_vouched_for_valid_and_of_that_name_is_spoken_to() {
    let house = House::new(&Shape::empty()).await;
    let authority = Authority::new(&house);
    let (plain, upstream) = (house.sandbox.url(), house.sandbox.port());
    for (params, vouched, why) in [
        (certificate("localhost", 2020..2090), true, ""),
        (certificate("localhost", 2020..2090), false, "no known authority"),
        (certificate("localhost", 2020..2021), true, "has expired"),
        (certificate("elsewhere.example", 2020..2090), true, "names another host"),
    ] {
        let (port, told) = authority.server(params, vouched, upstream).await;
        let address = format!("https://localhost:{port}");
        house.sandbox.expire_access_tokens();
        let calls = house.sandbox.token_calls();
        if why.is_empty() {
            run(&house, &authority, &address, &address).await.expect(0);
            assert!(told.load(Ordering::Relaxed) > 0, "the good server was spoken to");
            continue;
        }
        let api = run(&house, &authority, &address, &plain).await;
        house.sandbox.expire_access_tokens();
        house.set_secret("QBO_REFRESH_TOKEN", &house.sandbox.current_refresh_token()).await.expect(0);
        let token = run(&house, &authority, &plain, &address).await;
        assert_eq!(told.load(Ordering::Relaxed), 0, "something was said to a server that is not trusted");
        assert!(house.sandbox.token_calls() <= calls + 1);
        for refused in [api, token] {
            let refused = refused.expect(5);
            assert!(refused.error().contains(why), "{}", refused.error());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    use fixtures::{Fault, Rule};
    let house = House::new(&Shape::empty()).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/", listener.local_addr().unwrap());
    for kind in [CallKind::Token, CallKind::Query] {
        house.sandbox.faults().push(Rule::on(kind, Fault::Redirect { to: elsewhere.clone() }).always());
        let refused =
            house.at(&["run", "Invoice", "--from", "2024-01-01", "--to", "2024-02-01", "--force"]).await;
        let refused = refused.expect(5);
        assert!(refused.error().contains("a redirect, which is never followed"), "{}", refused.error());
        assert!(listener.accept().is_err(), "somebody followed");
        house.sandbox.faults().clear();
    }
}
