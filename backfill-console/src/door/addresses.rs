//! The names under which a console may be visited.

use crate::door::public_url::PublicUrl;

/// The console's own host name on this machine. It is apart from `localhost` and `127.0.0.1`, so that other programs there do
/// not see its cookie.
pub const OWN_HOST: &str = "qbo-backfill.localhost";

/// The other names of this machine. Not every browser resolves the console's own.
const LOCAL_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The scheme and host that a request was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) is_https: bool,
    pub(crate) host: String,
}

impl Origin {
    /// The origin as browsers write it into the `Origin` header.
    pub(crate) fn text(&self) -> String {
        format!("{}://{}", if self.is_https { "https" } else { "http" }, self.host)
    }

    /// The console's own address on this machine, if the origin is another name of it: browsers send the cookies of such a name to every
    /// program that has a port there.
    pub(crate) fn apart(&self) -> Option<String> {
        let (name, port) = self.split();
        let is_shared = LOCAL_NAMES.iter().any(|local| local.eq_ignore_ascii_case(name));
        (is_shared && !self.is_https).then(|| format!("http://{OWN_HOST}{port}"))
    }

    /// The port of the origin, which tells apart the cookies of several consoles on one host.
    pub(crate) fn port(&self) -> &str {
        let standard = if self.is_https { "443" } else { "80" };
        self.split().1.strip_prefix(':').unwrap_or(standard)
    }

    /// The name of the host, and its port with the colon before it, if it has one.
    fn split(&self) -> (&str, &str) {
        // The colons of an IPv6 address, which has brackets, begin no port.
        let after_address = self.host.rfind(']').map_or(0, |end| end + 1);
        let colon = self.host[after_address..].find(':').map(|colon| after_address + colon);
        self.host.split_at(colon.unwrap_or(self.host.len()))
    }
}

/// Every origin under which the console may be visited. Other `Host` headers are refused, because a web page can point a name
/// of its own at this machine.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    origins: Vec<Origin>,
    /// Whether the names of this machine are accepted with any port: that of a forwarding process may be another one.
    with_any_port: bool,
}

impl Addresses {
    /// Combines the names of this machine, if the console listens on a port, with the public address. One of this machine is
    /// known by all names, because Intuit sends browsers to `localhost`.
    pub(crate) fn new(port: Option<u16>, public_url: Option<&PublicUrl>) -> Self {
        let public = public_url.map(|url| Origin { is_https: url.is_https(), host: url.host().to_owned() });
        let local = |port: u16| {
            [OWN_HOST].into_iter().chain(LOCAL_NAMES).map(move |name| {
                let host = if port == 80 { name.to_owned() } else { format!("{name}:{port}") };
                Origin { is_https: false, host }
            })
        };
        let published = public_url.filter(|url| url.is_local() && !url.is_https()).map(PublicUrl::port);
        let ports = port.into_iter().chain(published.filter(|published| port != Some(*published)));
        let origins = public.into_iter().chain(ports.flat_map(local)).collect();
        Self { origins, with_any_port: false }
    }

    /// Accepts the names of this machine with any port. There are no cookies that a port could keep apart where only health
    /// and metrics are served, and those who ask often come through a forwarding process.
    pub(crate) fn with_any_port(self) -> Self {
        Self { with_any_port: true, ..self }
    }

    /// The origin that a `Host` header names, if it is one of the console's.
    pub(crate) fn find(&self, host: &str) -> Option<Origin> {
        let known = self.origins.iter().find(|origin| origin.host.eq_ignore_ascii_case(host)).cloned();
        known.or_else(|| {
            let name = match host.rsplit_once(':') {
                Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                    name
                }
                _ => host,
            };
            let is_local = LOCAL_NAMES.iter().any(|local| local.eq_ignore_ascii_case(name));
            (self.with_any_port && is_local).then(|| Origin { is_https: false, host: host.to_owned() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_part_of_the_name() {
        let addresses = Addresses::new(Some(9464), None);
        for host in ["qbo-backfill.localhost:9464", "127.0.0.1:9464", "LOCALHOST:9464", "[::1]:9464"] {
            assert_eq!(addresses.find(host).unwrap().port(), "9464", "{host}");
        }
        for host in ["127.0.0.1", "127.0.0.1:9465", "evil.example:9464", "localhost.evil.example:9464", ""] {
            assert_eq!(addresses.find(host), None, "{host}");
        }
        assert!(Addresses::new(Some(80), None).find("localhost").is_some());
    }

    #[test]
    fn a_name_that_other_programs_share_leads_to_the_own_one() {
        let apart = |host: &str| Origin { is_https: false, host: host.to_owned() }.apart();
        for host in ["127.0.0.1:9464", "LOCALHOST:9464", "[::1]:9464"] {
            assert_eq!(apart(host).unwrap(), "http://qbo-backfill.localhost:9464", "{host}");
        }
        assert_eq!(apart("[::1]").unwrap(), "http://qbo-backfill.localhost");
        for host in ["qbo-backfill.localhost:9464", "backfill.example.com"] {
            assert_eq!(apart(host), None, "{host}");
        }
    }

    #[test]
    fn health_is_told_through_any_port_of_this_machine() {
        let addresses = Addresses::new(Some(9464), None).with_any_port();
        for host in ["127.0.0.1", "localhost:80", "[::1]:1", "[::1]"] {
            assert!(addresses.find(host).is_some(), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9464",
            "127.0.0.1.evil.example",
            "localhost:",
            "127.0.0.2:9464",
        ] {
            assert_eq!(addresses.find(host), None, "{host}");
        }
    }

    #[test]
    fn a_container_is_known_by_the_port_at_which_this_machine_publishes_it() {
        let url = "http://127.0.0.1:19464".parse().unwrap();
        let addresses = Addresses::new(Some(9464), Some(&url));
        for host in ["127.0.0.1:19464", "localhost:19464", "qbo-backfill.localhost:19464", "127.0.0.1:9464"] {
            assert!(addresses.find(host).is_some(), "{host}");
        }
        for host in ["console:9464", "console:19464", "172.18.0.2:9464", "localhost:29464"] {
            assert_eq!(addresses.find(host), None, "{host}");
        }
    }

    #[test]
    fn behind_a_proxy_only_the_public_address_is_known() {
        let url = "https://backfill.example.com".parse().unwrap();
        let addresses = Addresses::new(None, Some(&url));
        let origin = addresses.find("backfill.example.com").unwrap();
        assert_eq!((origin.text().as_str(), origin.port()), ("https://backfill.example.com", "443"));
        assert_eq!(addresses.find("127.0.0.1"), None);
    }
}
