//! Sockets that are listened at: bound in the caller's thread, so that what is wrong with an address is the call's error.

use crate::error::Error;
use socket2::SockRef;
#[cfg(unix)]
use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};
use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

/// Connections that may wait to be taken. Of more than that the system drops the first packet, and the client tries again
/// after a second; the standard library asks for 128, which a storm fills in no time.
const BACKLOG: i32 = 1024;

/// A socket, and where it is.
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, SocketFile),
}

/// A socket that the current runtime looks after.
pub(super) enum Socket {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, SocketFile),
}

impl Listener {
    /// In the context of a runtime.
    pub(super) fn into_socket(self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(listener) => Socket::Tcp(tokio::net::TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Self::Unix(listener, file) => {
                Socket::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        })
    }
}

/// Binds the first of the addresses that can be.
pub(super) fn tcp(addr: impl ToSocketAddrs) -> Result<(Listener, SocketAddr), Error> {
    let addresses: Vec<SocketAddr> = match addr.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(e) => {
            return Err(Error::invalid(format!(
                "that is no address to serve at: {e}; allowed is a host and a port, as in `127.0.0.1:9100`"
            )));
        }
    };
    let bound = TcpListener::bind(&*addresses).and_then(|listener| {
        // Listened to again, it has a longer queue.
        SockRef::from(&listener).listen(BACKLOG)?;
        listener.set_nonblocking(true)?;
        let at = listener.local_addr()?;
        Ok((Listener::Tcp(listener), at))
    });
    bound.map_err(|e| refused(&list(&addresses), &e))
}

fn list(addresses: &[SocketAddr]) -> String {
    let shown: Vec<_> = addresses
        .iter()
        .take(4)
        .map(|at| format!("`{at}`"))
        .collect();
    match shown.as_slice() {
        [] => "no address at all".to_owned(),
        shown => shown.join(", "),
    }
}

/// Says what to do about it.
fn refused(place: &str, e: &io::Error) -> Error {
    let advice = match e.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program, or another store of this one, listens there: port 0 is any free one"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 may need a privilege, and a file needs a directory that may be written"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; allowed are addresses of this machine, as in `127.0.0.1` or `0.0.0.0`"
        }
        _ => "",
    };
    Error::system(format!("cannot listen at {place}: {e}{advice}"))
}

/// The file of a socket, which is removed with this.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number: a file of that name may be another's by then.
    identity: Option<(u64, u64)>,
}

#[cfg(unix)]
impl SocketFile {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // If it cannot be removed, the next one to listen there replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a Unix domain socket that only this user may open.
#[cfg(unix)]
pub(super) fn unix(path: &Path) -> Result<Listener, Error> {
    let bound = UnixListener::bind(path).or_else(|e| {
        if e.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        } else {
            Err(e)
        }
    });
    let made = bound.and_then(|listener| {
        let file = SocketFile::new(path);
        SockRef::from(&listener).listen(BACKLOG)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Listener::Unix(listener, file))
    });
    made.map_err(|e| refused(&format!("`{}`", path.display()), &e))
}

/// Whether there is a socket that nobody listens at.
#[cfg(unix)]
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refuses =
        || UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    is_socket && refuses()
}
