//! What passed the network interfaces.
//!
//! Linux tells all of it in one file. The library for the rest reads a dozen files an interface, and has no drops.

use crate::intake::CollectError;

/// A network interface, and what passed it since it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// As the system calls it: `eth0`, `lo`.
    pub name: String,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub transmitted: Traffic,
}

/// What passed an interface in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes, headers included.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets that were dropped; `None`: the system does not tell.
    pub dropped: Option<u64>,
}

#[cfg(target_os = "linux")]
pub(super) fn interfaces() -> Result<Vec<Interface>, CollectError> {
    let text = std::fs::read_to_string("/proc/net/dev")?;
    // Two lines are a heading.
    let lines = text.lines().skip(2);
    let interfaces: Option<Vec<_>> = lines.map(parse).collect();
    interfaces
        .ok_or_else(|| CollectError::decode("/proc/net/dev has other columns than Linux gives"))
}

/// `name: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop ..`
#[cfg(target_os = "linux")]
fn parse(line: &str) -> Option<Interface> {
    let (name, rest) = line.rsplit_once(':')?;
    let fields: Option<Vec<u64>> = rest.split_whitespace().map(|n| n.parse().ok()).collect();
    let fields = fields?;
    let traffic = |from: usize| {
        Some(Traffic {
            bytes: *fields.get(from)?,
            packets: *fields.get(from + 1)?,
            errors: *fields.get(from + 2)?,
            dropped: Some(*fields.get(from + 3)?),
        })
    };
    Some(Interface {
        name: name.trim().to_owned(),
        received: traffic(0)?,
        transmitted: traffic(8)?,
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn interfaces() -> Result<Vec<Interface>, CollectError> {
    let networks = sysinfo::Networks::new_with_refreshed_list()?;
    let traffic = |bytes, packets, errors| Traffic {
        bytes,
        packets,
        errors,
        dropped: None,
    };
    let all = networks.iter().map(|(name, data)| Interface {
        name: name.to_string_lossy().into_owned(),
        received: traffic(
            data.total_received(),
            data.total_packets_received(),
            data.total_errors_on_received(),
        ),
        transmitted: traffic(
            data.total_transmitted(),
            data.total_packets_transmitted(),
            data.total_errors_on_transmitted(),
        ),
    });
    Ok(all.collect())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_with_colons_are_whole() {
        let line = " eth0:1: 100 2 3 4 5 6 7 8 200 20 30 40 0 0 0 0";
        let interface = parse(line).unwrap();
        assert_eq!(interface.name, "eth0:1");
        assert_eq!(interface.received.dropped, Some(4));
        assert_eq!(
            (interface.transmitted.bytes, interface.transmitted.errors),
            (200, 30)
        );
        assert_eq!(parse("lo: 1 2 3"), None);
        assert_eq!(parse("lo: 1 2 3 x 5 6 7 8 9 10 11 12"), None);
    }
}
