//! Which `Host` may be asked for: the guard against a name of an attacker's that leads to this machine.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Names that are answered for.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    any: bool,
    /// In lower case.
    listed: Vec<Box<str>>,
}

/// The longest name that DNS has.
const LONGEST: usize = 253;

impl Hosts {
    pub(super) fn any() -> Self {
        Self {
            any: true,
            listed: Vec::new(),
        }
    }

    pub(super) fn allow(&mut self, name: &str) -> Result<(), String> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(legal) {
            return Err(format!(
                "the host `{}`: allowed is a name such as `shop.example.org`, without a port",
                name.escape_debug()
            ));
        }
        self.listed.push(plain(name).into());
        Ok(())
    }

    /// Whether a request for `authority`, a name or an address and perhaps a port, is answered.
    pub(super) fn has(&self, authority: &str) -> bool {
        if self.any {
            return true;
        }
        let Some(host) = host_of(authority) else {
            return false;
        };
        let name = plain(host);
        let is_local = name == "localhost" || name.ends_with(".localhost");
        is_local || is_address(host) || self.listed.iter().any(|listed| **listed == *name)
    }
}

/// In lower case, and without the dot that may end a whole name.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Without the port; `None`: it is no authority.
fn host_of(authority: &str) -> Option<&str> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(end);
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_port = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    (!host.is_empty() && is_port).then_some(host)
}

/// An address leads nowhere else, whoever writes it.
fn is_address(host: &str) -> bool {
    let six = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match six {
        Some(six) => six.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_of_loopback_pass_and_others_have_to_be_listed() {
        let mut hosts = Hosts::default();
        hosts.allow("Shop.example.org").unwrap();
        for right in [
            "localhost",
            "LOCALHOST:9100",
            "localhost.",
            "a.localhost:80",
            "127.0.0.1",
            "127.0.0.1:9100",
            "10.1.2.3:1",
            "[::1]",
            "[::1]:9100",
            "[fe80::1]:80",
            "shop.example.org",
            "SHOP.example.org.:443",
        ] {
            assert!(hosts.has(right), "{right}");
        }
        for wrong in [
            "",
            ":80",
            "example.org",
            "127.0.0.1.example.org",
            "localhost.example.org",
            "notlocalhost",
            "127.0.0.1:80@example.org",
            "localhost:80:80",
            "[::1",
            "[::1]x",
            "[evil]",
            "::1",
            "localhost:123456",
            "127.1",
            "0x7f000001",
            "shop.example.org/",
            "localhost, example.org",
            "localhost\0",
            "127.0.0.1 ",
        ] {
            assert!(!hosts.has(wrong), "{wrong}");
            assert!(Hosts::any().has(wrong));
        }
    }
}
