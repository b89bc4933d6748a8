//! From readings to metrics: one collector a group.

use super::{
    Group,
    network::{Interface, Traffic, interfaces},
    read::{Cpu, Disk, Disks, Memory, Reader},
};
use crate::intake::{CollectError, Collector};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use std::{collections::BTreeSet, time::Duration};
use sysinfo::{Components, System};

/// A collector of one group.
struct Recorded {
    group: Group,
    interval: Duration,
    is_described: bool,
    read: Read,
}

/// What a group keeps between two readings, made by the first.
enum Read {
    Unread,
    Cpu(Reader),
    Memory(Reader),
    Disks(Disks),
    Components(Components),
}

pub(super) fn group(group: Group, interval: Duration) -> Box<dyn Collector> {
    Box::new(Recorded {
        group,
        interval,
        is_described: false,
        read: Read::Unread,
    })
}

impl Collector for Recorded {
    fn name(&self) -> &'static str {
        self.group.as_str()
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        if !std::mem::replace(&mut self.is_described, true) {
            describe(self.group);
        }
        if matches!(self.read, Read::Unread) {
            self.read = match self.group {
                Group::Cpu => Read::Cpu(Reader::new()?),
                Group::Memory => Read::Memory(Reader::new()?),
                Group::Filesystems | Group::Disks => Read::Disks(Disks::new()?),
                Group::Temperatures => Read::Components(Components::new()?),
                Group::Load | Group::Network | Group::Process => Read::Unread,
            };
        }
        match (&mut self.read, self.group) {
            (Read::Cpu(reader), _) => {
                // Of the first reading there is no difference yet.
                if let Some(cpu) = reader.cpu() {
                    record_cpu(&cpu);
                }
            }
            (Read::Memory(reader), _) => record_memory(&reader.memory()),
            (Read::Disks(disks), Group::Disks) => record_io(&disks.read()),
            (Read::Disks(disks), _) => record_space(&disks.read()),
            (Read::Components(components), _) => record_temperatures(components),
            (Read::Unread, Group::Load) => record_load()?,
            (Read::Unread, _) => interfaces()?.iter().for_each(record_interface),
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn float(n: u64) -> f64 {
    n as f64
}

/// A share of what there may be none of.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn record_cpu(cpu: &Cpu) {
    gauge!("system_cpu_usage_ratio").set(cpu.usage);
    gauge!("system_cpu_logical_count").set(cpu.cores.len() as f64);
    for (n, (usage, hertz)) in cpu.cores.iter().zip(&cpu.frequencies).enumerate() {
        gauge!("system_cpu_utilization_ratio", "cpu" => n.to_string()).set(*usage);
        if *hertz > 0 {
            gauge!("system_cpu_frequency_hertz", "cpu" => n.to_string()).set(float(*hertz));
        }
    }
}

fn record_load() -> Result<(), CollectError> {
    // Windows has none.
    if let Ok(load) = System::load_average() {
        gauge!("system_cpu_load_average_1m").set(load.one);
        gauge!("system_cpu_load_average_5m").set(load.five);
        gauge!("system_cpu_load_average_15m").set(load.fifteen);
    }
    gauge!("system_uptime_seconds").set(float(System::uptime()?));
    Ok(())
}

fn record_memory(memory: &Memory) {
    gauge!("system_memory_usage_bytes", "state" => "used").set(float(memory.used_bytes));
    gauge!("system_memory_usage_bytes", "state" => "available").set(float(memory.available_bytes));
    gauge!("system_memory_limit_bytes").set(float(memory.limit_bytes));
    if let Some(share) = share(memory.used_bytes, memory.limit_bytes) {
        gauge!("system_memory_utilization_ratio").set(share);
    }
    if memory.swap_limit_bytes > 0 {
        let free = memory
            .swap_limit_bytes
            .saturating_sub(memory.swap_used_bytes);
        gauge!("system_paging_usage_bytes", "state" => "used").set(float(memory.swap_used_bytes));
        gauge!("system_paging_usage_bytes", "state" => "free").set(float(free));
    }
    if let Some(cgroup) = memory.cgroup {
        gauge!("system_cgroup_memory_limit_bytes").set(float(cgroup.limit_bytes));
        gauge!("system_cgroup_memory_usage_bytes").set(float(cgroup.used_bytes));
    }
}

fn record_space(disks: &[Disk]) {
    let mut fullest = None;
    for disk in disks {
        // Of pseudo file systems.
        let used = disk.total_bytes - disk.available_bytes;
        let Some(share) = share(used, disk.total_bytes) else {
            continue;
        };
        let labels = || {
            [
                ("device", disk.device.clone()),
                ("mountpoint", disk.mountpoint.display().to_string()),
                ("type", disk.kind.clone()),
            ]
        };
        let with = |state: &str| {
            let state = ("state", state.to_owned());
            let labels: Vec<_> = labels().into_iter().chain([state]).collect();
            gauge!("system_filesystem_usage_bytes", &labels)
        };
        with("used").set(float(used));
        with("free").set(float(disk.available_bytes));
        gauge!("system_filesystem_utilization_ratio", &labels()).set(share);
        // An image is full from the first day, and nobody can make room in it.
        if !disk.is_read_only {
            fullest = Some(share.max(fullest.unwrap_or(0.0)));
        }
    }
    if let Some(fullest) = fullest {
        gauge!("system_filesystem_fullest_ratio").set(fullest);
    }
}

fn record_io(disks: &[Disk]) {
    let mut seen = BTreeSet::new();
    for disk in disks {
        // Each mount of a device tells what all of them did; one that never did anything is none.
        let is_first = seen.insert(&disk.device);
        if !is_first || (disk.read_bytes == 0 && disk.written_bytes == 0) {
            continue;
        }
        let with = |direction: &'static str| counter!("system_disk_io_bytes_total", "device" => disk.device.clone(), "direction" => direction);
        with("read").absolute(disk.read_bytes);
        with("write").absolute(disk.written_bytes);
    }
}

fn record_interface(interface: &Interface) {
    for (direction, traffic) in [
        ("receive", interface.received),
        ("transmit", interface.transmitted),
    ] {
        let device = &interface.name;
        let Traffic {
            bytes,
            packets,
            errors,
            dropped,
        } = traffic;
        macro_rules! count {
            ($name:literal, $value:expr) => {
                counter!($name, "device" => device.clone(), "direction" => direction)
                    .absolute($value);
            };
        }
        count!("system_network_io_bytes_total", bytes);
        count!("system_network_packets_total", packets);
        count!("system_network_errors_total", errors);
        if let Some(dropped) = dropped {
            count!("system_network_dropped_total", dropped);
        }
    }
}

fn record_temperatures(components: &mut Components) {
    components.refresh(true);
    for component in components.iter() {
        let id = component.id().unwrap_or(component.label()).to_owned();
        if let Some(celsius) = component.temperature().filter(|t| t.is_finite()) {
            gauge!("hw_temperature_celsius", "id" => id).set(f64::from(celsius));
        }
    }
}

/// What is said of a metric: its group, its name, its unit, and what it is. Counters end in `_total`.
type Described = (Group, &'static str, Option<Unit>, &'static str);

const DESCRIBED: &[Described] = &[
    (
        Group::Cpu,
        "system_cpu_usage_ratio",
        None,
        "Share of all cores' time that was not idle.",
    ),
    (
        Group::Cpu,
        "system_cpu_utilization_ratio",
        None,
        "Share of a core's time that was not idle.",
    ),
    (
        Group::Cpu,
        "system_cpu_frequency_hertz",
        None,
        "Clock of a core.",
    ),
    (Group::Cpu, "system_cpu_logical_count", None, "Cores."),
    (
        Group::Load,
        "system_cpu_load_average_1m",
        None,
        "Load average of a minute.",
    ),
    (
        Group::Load,
        "system_cpu_load_average_5m",
        None,
        "Load average of five minutes.",
    ),
    (
        Group::Load,
        "system_cpu_load_average_15m",
        None,
        "Load average of fifteen minutes.",
    ),
    (
        Group::Load,
        "system_uptime_seconds",
        Some(Unit::Seconds),
        "Time since the machine was started.",
    ),
    (
        Group::Memory,
        "system_memory_usage_bytes",
        Some(Unit::Bytes),
        "Memory by state; the states add up to the limit.",
    ),
    (
        Group::Memory,
        "system_memory_limit_bytes",
        Some(Unit::Bytes),
        "Memory of the machine.",
    ),
    (
        Group::Memory,
        "system_memory_utilization_ratio",
        None,
        "Share of the machine's memory that is used.",
    ),
    (
        Group::Memory,
        "system_paging_usage_bytes",
        Some(Unit::Bytes),
        "Swap by state.",
    ),
    (
        Group::Memory,
        "system_cgroup_memory_limit_bytes",
        Some(Unit::Bytes),
        "Memory that the control group may use.",
    ),
    (
        Group::Memory,
        "system_cgroup_memory_usage_bytes",
        Some(Unit::Bytes),
        "Memory that the control group uses.",
    ),
    (
        Group::Filesystems,
        "system_filesystem_usage_bytes",
        Some(Unit::Bytes),
        "Space of a file system by state.",
    ),
    (
        Group::Filesystems,
        "system_filesystem_utilization_ratio",
        None,
        "Share of a file system's space that is used.",
    ),
    (
        Group::Filesystems,
        "system_filesystem_fullest_ratio",
        None,
        "Share that is used of the fullest file system that can be written to.",
    ),
    (
        Group::Disks,
        "system_disk_io_bytes_total",
        Some(Unit::Bytes),
        "Bytes read from and written to a device.",
    ),
    (
        Group::Network,
        "system_network_io_bytes_total",
        Some(Unit::Bytes),
        "Bytes that passed an interface.",
    ),
    (
        Group::Network,
        "system_network_packets_total",
        None,
        "Packets that passed an interface.",
    ),
    (
        Group::Network,
        "system_network_errors_total",
        None,
        "Packets with errors.",
    ),
    (
        Group::Network,
        "system_network_dropped_total",
        None,
        "Packets that were dropped.",
    ),
    (
        Group::Temperatures,
        "hw_temperature_celsius",
        None,
        "Temperature of a sensor.",
    ),
];

fn describe(group: Group) {
    for (_, name, unit, what) in DESCRIBED.iter().filter(|described| described.0 == group) {
        match (name.ends_with("_total"), *unit) {
            (true, Some(unit)) => describe_counter!(*name, unit, *what),
            (true, None) => describe_counter!(*name, *what),
            (false, Some(unit)) => describe_gauge!(*name, unit, *what),
            (false, None) => describe_gauge!(*name, *what),
        }
    }
}
