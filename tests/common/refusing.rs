//! An address that refuses connections. A port that was free a moment ago may be somebody's by now.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// Nobody listens there, and nobody can for as long as the socket lives, which holds the port.
pub fn address() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
