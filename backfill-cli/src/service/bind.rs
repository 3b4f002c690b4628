//! Binds the address of `--listen`.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::output::exit::Exit;

/// Binds an address, and returns it with the port that it has got.
pub(crate) async fn bind_address(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Exit> {
    let refused = |error: std::io::Error| {
        Exit::usage(
            format!("--listen {address}: {error}"),
            "use another port, or stop the process that uses this one",
        )
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
