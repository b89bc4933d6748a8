//! The machine: CPU, memory, file systems, disks, network, temperatures.
//!
//! [`Recall::collect_system`] records all of it and [the process](crate::process); the functions here give one typed
//! reading each, without recording anything. Names are those of OpenTelemetry's semantic conventions as Prometheus
//! spells them, and this table is a contract:
//!
//! | metric | kind | unit | what it is | group |
//! |---|---|---|---|---|
//! | `system_cpu_usage_ratio` | gauge | 1 | share of all cores' time that was not idle | cpu |
//! | `system_cpu_utilization_ratio{cpu}` | gauge | 1 | the same of one core | cpu |
//! | `system_cpu_frequency_hertz{cpu}` | gauge | Hz | clock of a core, where the system tells | cpu |
//! | `system_cpu_logical_count` | gauge | 1 | cores | cpu |
//! | `system_cpu_load_average_1m` | gauge | 1 | load average of a minute; not on Windows | load |
//! | `system_cpu_load_average_5m` | gauge | 1 | of five minutes | load |
//! | `system_cpu_load_average_15m` | gauge | 1 | of fifteen minutes | load |
//! | `system_uptime_seconds` | gauge | s | time since the machine was started | load |
//! | `system_memory_usage_bytes{state}` | gauge | B | `used` and `available`, which add up to the limit | memory |
//! | `system_memory_limit_bytes` | gauge | B | memory of the machine | memory |
//! | `system_memory_utilization_ratio` | gauge | 1 | share of it that is used | memory |
//! | `system_paging_usage_bytes{state}` | gauge | B | swap: `used` and `free`, where there is any | memory |
//! | `system_cgroup_memory_limit_bytes` | gauge | B | what the control group of the process may use, or one above it that has less, where there is a limit | memory |
//! | `system_cgroup_memory_usage_bytes` | gauge | B | what that group uses, its files in memory included | memory |
//! | `system_filesystem_usage_bytes{device,mountpoint,type,state}` | gauge | B | `used` and `free` to users who are not root | filesystems |
//! | `system_filesystem_utilization_ratio{device,mountpoint,type}` | gauge | 1 | share that is used | filesystems |
//! | `system_filesystem_fullest_ratio` | gauge | 1 | that of the fullest one that can be written to, for alerts | filesystems |
//! | `system_disk_io_bytes_total{device,direction}` | counter | B | `read` and `write`; a device once, however often it is mounted | disks |
//! | `system_network_io_bytes_total{device,direction}` | counter | B | `receive` and `transmit` | network |
//! | `system_network_packets_total{device,direction}` | counter | 1 | packets | network |
//! | `system_network_errors_total{device,direction}` | counter | 1 | packets with errors | network |
//! | `system_network_dropped_total{device,direction}` | counter | 1 | packets that were dropped; Linux only | network |
//! | `hw_temperature_celsius{id}` | gauge | °C | a sensor, where there is one | temperatures |
//!
//! What a system does not tell is missing, not zero. `state`, `direction` and the rest are labels. In a container these are
//! the host's numbers, but for those of the control group. File systems of the network are left out, since a server that is
//! gone would hang the reading.

mod groups;
mod network;
mod read;
mod record;

pub use self::{
    groups::{Group, SystemConfig},
    network::{Interface, Traffic},
    read::{CgroupMemory, Cpu, Disk, Memory},
};

use self::{network::interfaces, read::Reader};
use crate::{
    collectors::{Collecting, process::ProcessGroup},
    error::Error,
    handle::Recall,
    intake::{CollectError, Collector},
};
use parking_lot::{Condvar, Mutex};

/// What the cores do, over the next fifth of a second: the call takes so long, since use is a difference.
///
/// # Errors
///
/// When the system does not tell.
///
/// ```
/// let cpu = metrics_recall::system::cpu()?;
/// println!("{:.0} % of {} cores", 100.0 * cpu.usage, cpu.cores.len());
/// # Ok::<(), metrics_recall::Error>(())
/// ```
pub fn cpu() -> Result<Cpu, Error> {
    let mut reader = Reader::new().map_err(said)?;
    let _ = reader.cpu();
    // Nobody calls: this is how long it takes.
    let never = Mutex::new(());
    Condvar::new().wait_for(&mut never.lock(), read::SHORTEST);
    let cpu = reader.cpu();
    cpu.ok_or_else(|| Error::system("the system tells of no cores"))
}

/// Memory, swap, and what the control group may use.
///
/// # Errors
///
/// When the system does not tell.
///
/// ```
/// let memory = metrics_recall::system::memory()?;
/// println!("{} of {} bytes", memory.used_bytes, memory.limit_bytes);
/// # Ok::<(), metrics_recall::Error>(())
/// ```
pub fn memory() -> Result<Memory, Error> {
    Ok(Reader::new().map_err(said)?.memory())
}

/// File systems that are mounted, those of the network left out, with what was read from and written to their devices.
///
/// # Errors
///
/// When the system does not tell.
///
/// ```
/// for disk in metrics_recall::system::disks()? {
///     println!("{}: {} bytes free", disk.mountpoint.display(), disk.available_bytes);
/// }
/// # Ok::<(), metrics_recall::Error>(())
/// ```
pub fn disks() -> Result<Vec<Disk>, Error> {
    read::Disks::new()
        .map(|mut disks| disks.read())
        .map_err(said)
}

/// Network interfaces and what passed them since they are up.
///
/// # Errors
///
/// When the system does not tell.
///
/// ```
/// for interface in metrics_recall::system::network()? {
///     println!("{}: {} bytes received", interface.name, interface.received.bytes);
/// }
/// # Ok::<(), metrics_recall::Error>(())
/// ```
pub fn network() -> Result<Vec<Interface>, Error> {
    interfaces().map_err(said)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn said(error: CollectError) -> Error {
    Error::system(error.to_string())
}

impl Recall {
    /// Records the machine, with the metrics of [`system`](crate::system), and this process, with those of
    /// [`process`](crate::process), for as long as the guard lives. All of it costs less than a thousandth of a core.
    ///
    /// # Errors
    ///
    /// As [`collect`](Recall::collect), and when it is collected already.
    ///
    /// ```
    /// let (_recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// let _collecting = recall.collect_system()?;
    /// recall.tick();
    /// assert!(recall.gauges("system_memory_limit_bytes").current() > Some(0.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn collect_system(&self) -> Result<Collecting, Error> {
        self.collect_system_with(&SystemConfig::default())
    }

    /// As [`collect_system`](Recall::collect_system), some groups only, or at other intervals.
    ///
    /// # Errors
    ///
    /// As [`collect_system`](Recall::collect_system).
    ///
    /// ```
    /// use metrics_recall::{Recall, secs, system::{Group, SystemConfig}};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let config = SystemConfig::default().every(Group::Network, secs(30)).without(Group::Temperatures);
    /// let _collecting = recall.collect_system_with(&config)?;
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn collect_system_with(&self, config: &SystemConfig) -> Result<Collecting, Error> {
        let mut quick: Vec<Box<dyn Collector>> = Vec::new();
        let mut slow: Vec<Box<dyn Collector>> = Vec::new();
        for (group, interval) in config.chosen() {
            match group {
                Group::Process => quick.push(Box::new(ProcessGroup::new(self, interval))),
                // A file system may hang whoever asks for its space.
                Group::Filesystems | Group::Disks => slow.push(record::group(group, interval)),
                _ => quick.push(record::group(group, interval)),
            }
        }
        let mut collecting = Collecting::new(Vec::new());
        for crew in [quick, slow] {
            if !crew.is_empty() {
                collecting.join(self.collect_together(crew)?);
            }
        }
        Ok(collecting)
    }
}
