//! Translates `sslmode` for the driver and the TLS library.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use super::options::{DatabaseOptions, SslMode};
use crate::StoreErrorKind;

/// The provider is given explicitly: a process-wide default would be the embedding service's to choose.
pub(super) fn config(options: &DatabaseOptions) -> Result<ClientConfig, StoreErrorKind> {
    let unusable = |what: &str| StoreErrorKind::Insecure(what.into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| unusable("TLS is not available"))?;
    let config = match (options.ssl_mode(), &options.root_certificate) {
        // Never used, so it need not trust any authority.
        (SslMode::Disable, _) => builder.with_root_certificates(RootCertStore::empty()),
        // As in libpq: with a file of authorities, `require` checks who signed the server's certificate.
        (SslMode::Prefer | SslMode::Require, None) => {
            let verifier = Lenient { roots: None, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        (SslMode::Prefer | SslMode::Require | SslMode::VerifyCa, Some(file)) => {
            let verifier = Lenient { roots: Some(roots(file)?), provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        // An authority known to the system could sign a certificate for any name, so the name counts there; libpq allows the
        // system's authorities with `verify-full` only.
        (SslMode::VerifyCa | SslMode::VerifyFull, None) => builder
            .with_platform_verifier()
            .map_err(|_| unusable("the system has no list of authorities to trust; give sslrootcert=FILE"))?,
        (SslMode::VerifyFull, Some(file)) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(file)?), provider)
                .build()
                .map_err(|_| unusable("the file of sslrootcert cannot be used"))?;
            builder.with_webpki_verifier(verifier)
        }
    };
    Ok(config.with_no_client_auth())
}

fn roots(file: &Path) -> Result<RootCertStore, StoreErrorKind> {
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(
            |_| StoreErrorKind::Configuration("the file of sslrootcert cannot be read as PEM".into()),
        )?;
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(StoreErrorKind::Configuration("the file of sslrootcert holds no certificate".into()));
    }
    Ok(roots)
}

/// Accepts less than a certificate of the right name. The handshake is still checked: a peer that shows a certificate must hold
/// its key, so binding the login to it (SCRAM-SHA-256-PLUS) proves the peer's identity.
#[derive(Debug)]
struct Lenient {
    /// Authorities of which one must have signed the server's certificate; `None` checks no signature.
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let certificate = ParsedCertificate::try_from(certificate)?;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
