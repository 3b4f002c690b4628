//! The same connection for a libpq program, such as psql.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::Command;

use super::options::{ChannelBinding, DatabaseOptions, SslMode};

/// The variables that decide where, as whom and how securely libpq connects (its manual, 34.15 "Environment Variables").
const CONNECTION: [&str; 32] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLCOMPRESSION",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCERTMODE",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGREQUIREPEER",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGGSSENCMODE",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGGSSDELEGATION",
    "PGCONNECT_TIMEOUT",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
];

impl DatabaseOptions {
    /// Makes a libpq program connect as the store does: to the same server, with the same protection and password.
    ///
    /// Everything is passed through its environment. Arguments would show a password to every user, and a database name with
    /// `=` or `://` in it would be read as an address.
    pub fn tell_libpq(&self, program: &mut Command) {
        for name in CONNECTION {
            program.env_remove(name);
        }
        let (mode, authorities) = self.libpq_protection();
        program
            .env("PGHOST", self.host())
            .env("PGPORT", self.port.to_string())
            .env("PGDATABASE", &*self.database)
            .env("PGUSER", &*self.user)
            .env("PGSSLMODE", mode)
            .env("PGCHANNELBINDING", self.libpq_binding())
            .env("PGCONNECT_TIMEOUT", self.connect_timeout.as_secs().max(1).to_string())
            // Another kind of protection, which our driver does not have.
            .env("PGGSSENCMODE", "disable");
        if let Some(file) = authorities {
            program.env("PGSSLROOTCERT", file);
        }
        if let Some(password) = &self.password {
            // It was given as a text.
            program.env("PGPASSWORD", &*String::from_utf8_lossy(password.expose()));
        }
    }

    /// The address without the password, in a form that this program and libpq read alike.
    pub fn url(&self) -> String {
        let mut url = String::from("postgres://");
        push_encoded(&mut url, &self.user);
        url.push('@');
        let host = self.host();
        let is_socket = host.starts_with('/');
        if host.contains(':') && !is_socket {
            let _ = write!(url, "[{host}]");
        } else {
            push_encoded(&mut url, &host);
        }
        let _ = write!(url, ":{}/", self.port);
        push_encoded(&mut url, &self.database);
        if !is_socket && self.ssl_mode() != SslMode::Disable {
            let (mode, authorities) = self.libpq_protection();
            let _ = write!(url, "?sslmode={mode}");
            if let Some(file) = authorities {
                url.push_str("&sslrootcert=");
                push_encoded(&mut url, &file.to_string_lossy());
            }
            if self.channel_binding() != ChannelBinding::Prefer {
                let _ = write!(url, "&channel_binding={}", self.libpq_binding());
            }
        }
        url
    }

    /// The `sslmode` and `sslrootcert` that mean to libpq what ours mean here: with the system's authorities, the name counts.
    fn libpq_protection(&self) -> (&'static str, Option<&OsStr>) {
        let file = self.root_certificate.as_deref().map(AsRef::as_ref);
        match (self.ssl_mode(), file) {
            (SslMode::Disable, _) => ("disable", None),
            (SslMode::Prefer, file) => ("prefer", file),
            (SslMode::Require, file) => ("require", file),
            (SslMode::VerifyCa, Some(file)) => ("verify-ca", Some(file)),
            (SslMode::VerifyFull, Some(file)) => ("verify-full", Some(file)),
            (SslMode::VerifyCa | SslMode::VerifyFull, None) => ("verify-full", Some(OsStr::new("system"))),
        }
    }

    fn libpq_binding(&self) -> &'static str {
        match self.channel_binding() {
            ChannelBinding::Disable => "disable",
            ChannelBinding::Prefer => "prefer",
            ChannelBinding::Require => "require",
        }
    }
}

/// Encodes all but letters, digits and the four characters that every reader takes literally (RFC 3986, 2.3).
fn push_encoded(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(byte.into());
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::{CONNECTION, DatabaseOptions};

    fn told(options: &DatabaseOptions) -> (Command, BTreeMap<String, Option<String>>) {
        let mut program = Command::new("psql");
        options.tell_libpq(&mut program);
        let text = |value: &std::ffi::OsStr| value.to_str().expect("UTF-8").to_owned();
        let told = program.get_envs().map(|(name, value)| (text(name), value.map(text))).collect();
        (program, told)
    }

    #[test]
    fn a_program_of_libpqs_is_protected_as_the_store_is() {
        for (url, mode, authorities, binding) in [
            ("postgres://a@db.example/d", "verify-full", Some("system"), "prefer"),
            ("postgres://a@db.example/d?sslmode=verify-ca", "verify-full", Some("system"), "prefer"),
            (
                "postgres://a@db.example/d?sslmode=verify-ca&sslrootcert=/a b",
                "verify-ca",
                Some("/a b"),
                "require",
            ),
            (
                "postgres://a@db.example/d?sslmode=verify-full&sslrootcert=/ca.pem&channel_binding=require",
                "verify-full",
                Some("/ca.pem"),
                "require",
            ),
            ("postgres://a@db.example/d?sslmode=require", "require", None, "require"),
            ("postgres://a@localhost/d", "disable", None, "prefer"),
            ("postgres://a@localhost/d?channel_binding=disable", "disable", None, "disable"),
            ("postgres://a@/d?host=/run/pg&sslmode=require", "disable", None, "prefer"),
        ] {
            let (_, told) = told(&url.parse().expect(url));
            assert_eq!(told["PGSSLMODE"].as_deref(), Some(mode), "{url}");
            assert_eq!(told["PGSSLROOTCERT"].as_deref(), authorities, "{url}");
            assert_eq!(told["PGCHANNELBINDING"].as_deref(), Some(binding), "{url}");
        }
    }

    #[test]
    fn names_and_password_are_told_as_they_are_and_never_as_arguments() {
        let options = DatabaseOptions::new("/tmp/$(id) ;", 5433, "host=evil $(id)", "an'a `id`");
        let (program, told) = told(&options.with_password("false p\"ss$(id)"));
        assert_eq!(program.get_args().count(), 0);
        assert_eq!(told["PGHOST"].as_deref(), Some("/tmp/$(id) ;"));
        assert_eq!(told["PGDATABASE"].as_deref(), Some("host=evil $(id)"));
        assert_eq!(told["PGUSER"].as_deref(), Some("an'a `id`"));
        assert_eq!(told["PGPASSWORD"].as_deref(), Some("false p\"ss$(id)"));
        // What the person's own environment says of connections is not for this one.
        assert!(CONNECTION.iter().all(|name| told.contains_key(*name)));
        assert_eq!((&told["PGSERVICE"], &told["PGHOSTADDR"]), (&None, &None));
    }

    #[test]
    fn the_address_is_read_back_as_it_was() {
        for options in [
            DatabaseOptions::new("/run/a b", 5433, "bo/oks?x=1", "ana@home"),
            DatabaseOptions::new("::1", 5432, "d", "a"),
            "postgres://a@db.example/d?sslmode=require".parse().expect("an address"),
            "postgres://a@db.example/d".parse().expect("an address"),
        ] {
            let url = options.url();
            let read: DatabaseOptions = url.parse().expect(&url);
            assert_eq!(read.to_string(), options.to_string());
            let protection = |options: &DatabaseOptions| {
                (options.ssl_mode(), options.channel_binding(), options.root_certificate.clone())
            };
            assert_eq!(protection(&read), protection(&options), "{url}");
            assert!(!url.contains(['\'', ' ', '$', '`', '"']), "{url}");
        }
    }
}
