//! Typed readings of the machine.

use crate::{intake::CollectError, util::machine::memory_group};
use std::{path::PathBuf, time::Duration};
use sysinfo::{CpuRefreshKind, DiskRefreshKind, MINIMUM_CPU_UPDATE_INTERVAL, System};

/// Nobody may ask for the use of cores more often.
pub(super) const SHORTEST: Duration = MINIMUM_CPU_UPDATE_INTERVAL;

/// What the cores do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cpu {
    /// Share of all cores' time that was not idle, 0 to 1.
    pub usage: f64,
    /// The same of each core.
    pub cores: Vec<f64>,
    /// Clock of each core in hertz; 0 where the system does not tell.
    pub frequencies: Vec<u64>,
}

/// Memory of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// All of it.
    pub limit_bytes: u64,
    /// What can be had without swapping.
    pub available_bytes: u64,
    /// The rest.
    pub used_bytes: u64,
    /// All of the swap; 0: there is none.
    pub swap_limit_bytes: u64,
    /// What is used of it.
    pub swap_used_bytes: u64,
    /// What the control group of this process may use, or one above it that has less, if any is limited.
    pub cgroup: Option<CgroupMemory>,
}

/// Memory of a control group, which a container or a service has. Linux only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupMemory {
    /// What it may use.
    pub limit_bytes: u64,
    /// What it uses, its files in memory included.
    pub used_bytes: u64,
}

/// A file system that is mounted, and its device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// As in `/dev/sda1`; several file systems may have the same.
    pub device: String,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// As in `ext4`.
    pub kind: String,
    /// Nothing can be written to it.
    pub is_read_only: bool,
    /// All of its space.
    pub total_bytes: u64,
    /// What is free to users who are not root.
    pub available_bytes: u64,
    /// Read from the device since the machine was started.
    pub read_bytes: u64,
    /// Written to the device.
    pub written_bytes: u64,
}

/// Keeps what differences are made of.
pub(super) struct Reader {
    system: System,
    has_cpu: bool,
}

impl Reader {
    pub(super) fn new() -> Result<Self, CollectError> {
        Ok(Self {
            system: System::new()?,
            has_cpu: false,
        })
    }

    /// `None` the first time: use is a difference.
    pub(super) fn cpu(&mut self) -> Option<Cpu> {
        let kind = CpuRefreshKind::nothing().with_usage().with_frequency();
        let is_first = !std::mem::replace(&mut self.has_cpu, true);
        if is_first {
            self.system.refresh_cpu_list(kind);
            return None;
        }
        self.system.refresh_cpu_specifics(kind);
        let cpus = self.system.cpus();
        let share = |percent: f32| f64::from(percent) / 100.0;
        (!cpus.is_empty()).then(|| Cpu {
            usage: share(self.system.global_cpu_usage()),
            cores: cpus.iter().map(|cpu| share(cpu.usage())).collect(),
            frequencies: cpus.iter().map(|cpu| cpu.frequency() * 1_000_000).collect(),
        })
    }

    pub(super) fn memory(&mut self) -> Memory {
        self.system.refresh_memory();
        let system = &self.system;
        let limit_bytes = system.total_memory();
        let available_bytes = system.available_memory().min(limit_bytes);
        // Without a limit of its own, a group may use what the machine has.
        let cgroup = memory_group().map(|group| CgroupMemory {
            limit_bytes: group.limit as u64,
            used_bytes: group.used as u64,
        });
        Memory {
            limit_bytes,
            available_bytes,
            used_bytes: limit_bytes - available_bytes,
            swap_limit_bytes: system.total_swap(),
            swap_used_bytes: system.used_swap(),
            cgroup: cgroup.filter(|group| group.limit_bytes < limit_bytes),
        }
    }
}

/// All file systems.
pub(super) struct Disks(sysinfo::Disks);

impl Disks {
    pub(super) fn new() -> Result<Self, CollectError> {
        Ok(Self(sysinfo::Disks::new()?))
    }

    pub(super) fn read(&mut self) -> Vec<Disk> {
        let kind = DiskRefreshKind::nothing().with_storage().with_io_usage();
        self.0.refresh_specifics(true, kind);
        let all = self.0.iter().map(|disk| {
            let usage = disk.usage();
            Disk {
                device: disk.name().to_string_lossy().into_owned(),
                mountpoint: disk.mount_point().to_owned(),
                kind: disk.file_system().to_string_lossy().into_owned(),
                is_read_only: disk.is_read_only(),
                total_bytes: disk.total_space(),
                available_bytes: disk.available_space().min(disk.total_space()),
                read_bytes: usage.total_read_bytes,
                written_bytes: usage.total_written_bytes,
            }
        });
        all.collect()
    }
}
