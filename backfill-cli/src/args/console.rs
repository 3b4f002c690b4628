//! The arguments of `console`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use backfill_console::{PersonName, PublicUrl};
use clap::{Args, Subcommand};

/// Where browsers see a console that nobody has told otherwise.
pub(crate) const USUAL_ADDRESS: &str = "http://qbo-backfill.localhost:9464";

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  qbo-backfill console\n  qbo-backfill console --profiles all --look-only\n  \
    qbo-backfill console link --as op1\n\n\
    The printed link signs one person in, once, within two minutes; `console link` makes another one. The key that\n\
    signs links also signs in by the form; it is in console.key in the data folder, or a mounted secret named\n\
    qbo-console-key."
)]
pub(crate) struct ConsoleArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ConsoleCommand>,
    /// Address to listen at: a loopback address, or `unix:/PATH` for a reverse proxy
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    pub(crate) listen: ListenAddress,
    /// Address under which browsers reach the console through a proxy or a container; allows any listening address
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<PublicUrl>,
    /// Profiles to show and work for, or `all` [default: the profile of --profile]
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "profile")]
    pub(crate) profiles: Vec<String>,
    /// Only show: no page can change anything, no worker runs, and the database sessions are read only
    #[arg(long)]
    pub(crate) look_only: bool,
    /// Offer the documents of records, which hold personal data; each look is recorded
    #[arg(long)]
    pub(crate) documents: bool,
    /// Start no worker in this process: triggers wait for another one
    #[arg(long)]
    pub(crate) no_worker: bool,
    #[command(flatten)]
    pub(crate) key: ConsoleKeyArgs,
}

#[cfg(feature = "demo")]
impl ConsoleArgs {
    /// A console for one person at this machine, at any free port if another program has the usual one.
    pub(crate) fn of_demo(key: PathBuf) -> Self {
        let usual = SocketAddr::from(([127, 0, 0, 1], 9464));
        let is_free = std::net::TcpListener::bind(usual).is_ok();
        let listen = if is_free { usual } else { SocketAddr::from(([127, 0, 0, 1], 0)) };
        Self {
            command: None,
            listen: ListenAddress::Tcp(listen),
            public_url: None,
            profiles: Vec::new(),
            look_only: false,
            documents: true,
            no_worker: false,
            key: ConsoleKeyArgs { console_key_file: Some(key) },
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ConsoleKeyArgs {
    /// File with the key to sign in with [default: console.key in the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) console_key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsoleCommand {
    /// Print a link that signs a person in, once, within two minutes
    Link {
        /// Name under which the person's acts are recorded [default: the name of this user]
        #[arg(long = "as", value_name = "NAME", value_parser = person)]
        name: Option<PersonName>,
        /// Address of the console, as browsers see it
        #[arg(long, value_name = "URL", default_value = USUAL_ADDRESS)]
        at: PublicUrl,
    },
}

/// Where a console listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err("give an absolute path after unix:".into())
            };
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| "give an address and a port, such as 127.0.0.1:9464, or unix:/PATH".into())
    }
}

fn person(text: &str) -> Result<PersonName, String> {
    text.parse().map_err(|error: backfill_console::InvalidPersonName| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_listens_at_an_address_or_a_socket() {
        assert!(matches!("127.0.0.1:9464".parse(), Ok(ListenAddress::Tcp(_))));
        assert_eq!("unix:/run/x.sock".parse(), Ok(ListenAddress::Unix("/run/x.sock".into())));
        for wrong in ["9464", "unix:x.sock", "localhost", ""] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }
}
