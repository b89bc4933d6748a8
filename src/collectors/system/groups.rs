//! Which groups are collected, and how often.

use crate::clock::secs;
use std::time::Duration;

/// A group of metrics that is read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// Use and clocks of the cores; by default every second.
    Cpu,
    /// Load averages and uptime; every 5 s.
    Load,
    /// Memory, swap and the control group; every second.
    Memory,
    /// Space by mount; every 15 s.
    Filesystems,
    /// Bytes read and written by device; every 5 s.
    Disks,
    /// Traffic by interface; every second.
    Network,
    /// Sensors; every 15 s.
    Temperatures,
    /// This process, as [`collect_process`](crate::Recall::collect_process); every second.
    Process,
}

impl Group {
    /// All groups.
    pub const ALL: [Group; 8] = [
        Group::Cpu,
        Group::Load,
        Group::Memory,
        Group::Filesystems,
        Group::Disks,
        Group::Network,
        Group::Temperatures,
        Group::Process,
    ];

    fn interval(self) -> Duration {
        match self {
            Self::Cpu | Self::Memory | Self::Network | Self::Process => secs(1),
            Self::Load | Self::Disks => secs(5),
            Self::Filesystems | Self::Temperatures => secs(15),
        }
    }

    /// The collector's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Load => "load",
            Self::Memory => "memory",
            Self::Filesystems => "filesystems",
            Self::Disks => "disks",
            Self::Network => "network",
            Self::Temperatures => "temperatures",
            Self::Process => "process",
        }
    }
}

/// What of the machine is collected; by default all [`Group`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is for `collect_system_with`"]
pub struct SystemConfig(Vec<(Group, Duration)>);

impl Default for SystemConfig {
    fn default() -> Self {
        Self(Group::ALL.map(|group| (group, group.interval())).into())
    }
}

impl SystemConfig {
    /// Nothing but these groups, at their intervals.
    pub fn only(groups: impl IntoIterator<Item = Group>) -> Self {
        let mut config = Self(Vec::new());
        for group in groups {
            config = config.every(group, group.interval());
        }
        config
    }

    /// Reads a group every `interval`, whether it was chosen or not.
    pub fn every(mut self, group: Group, interval: Duration) -> Self {
        self = self.without(group);
        self.0.push((group, interval));
        self
    }

    /// Leaves a group out.
    pub fn without(mut self, group: Group) -> Self {
        self.0.retain(|(other, _)| *other != group);
        self
    }

    pub(super) fn chosen(&self) -> impl Iterator<Item = (Group, Duration)> {
        self.0.iter().copied()
    }
}
