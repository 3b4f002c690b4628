//! Binds the address of the console.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use backfill_console::{Listener, OWN_HOST, PublicUrl};
use tokio::net::{UnixListener, UnixStream};

use crate::args::console::ListenAddress;
use crate::output::exit::Exit;
use crate::service::bind_address;

/// Only this user and group may connect: whoever can, may say in a header who they are.
const SOCKET_MODE: u32 = 0o660;

/// Refuses an address at which others could read along or reach the console.
pub(super) fn check(wanted: &ListenAddress, public_url: Option<&PublicUrl>) -> Result<(), Exit> {
    if let Some(url) = public_url.filter(|url| !url.is_https() && !url.is_local()) {
        return Err(Exit::usage(
            format!("--public-url {url} would send the key, secrets and documents as plain text"),
            "publish the console by a proxy with TLS, and name its address: https://…",
        ));
    }
    match wanted {
        ListenAddress::Tcp(address) if !address.ip().is_loopback() && public_url.is_none() => {
            Err(Exit::usage(
                format!("--listen {address} would open the console to other machines"),
                "listen at 127.0.0.1, or say with --public-url under which address a proxy or a container publishes it",
            ))
        }
        ListenAddress::Tcp(_) | ListenAddress::Unix(_) => Ok(()),
    }
}

/// Binds the address, and returns it as browsers see it; `None` for a socket without a public address.
pub(super) async fn bind(
    wanted: &ListenAddress,
    public_url: Option<&PublicUrl>,
) -> Result<(Listener, Option<String>), Exit> {
    let published = public_url.map(ToString::to_string);
    match wanted {
        ListenAddress::Tcp(address) => {
            let (listener, bound) = bind_address(*address).await?;
            let own = format!("http://{OWN_HOST}:{}", bound.port());
            Ok((Listener::Tcp(listener), published.or(Some(own))))
        }
        ListenAddress::Unix(path) => Ok((Listener::Unix(socket(path).await?), published)),
    }
}

/// Binds a socket for a reverse proxy. A socket that a killed console has left is replaced.
async fn socket(path: &Path) -> Result<UnixListener, Exit> {
    let refused = |error: std::io::Error| {
        Exit::usage(
            format!("--listen unix:{}: {error}", path.display()),
            "name a path in a folder that this user may write to",
        )
    };
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        if UnixStream::connect(path).await.is_ok() {
            return Err(Exit::usage(
                format!("--listen unix:{}: another process listens there", path.display()),
                "stop that process, or name another path",
            ));
        }
        std::fs::remove_file(path).map_err(refused)?;
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE)).map_err(refused)?;
    Ok(listener)
}
