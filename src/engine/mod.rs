//! What moves the data: the tick, the worker that calls it, and the report about both.

mod answers;
mod asked;
mod attached;
mod core;
mod durations;
mod expose;
mod forget;
mod health;
mod holds;
mod info;
mod life;
mod reader;
mod report;
mod room;
mod schedule;
mod snapshot;
mod strange;
mod summary;
mod tick;
mod unknown;
mod values;
mod vitals;
mod watches;
mod worker;

#[cfg(feature = "http")]
pub(crate) use self::{
    attached::Attached,
    summary::{Unit, short, time},
};
pub(crate) use self::{
    core::Core,
    forget::{Fate, Whose},
    schedule::{Charge, Crew},
    tick::TURN,
};
pub use self::{
    health::Health,
    info::{Memory, MetricInfo, Retention},
    reader::{Frame, Reader},
    report::{
        HealthAlerts, HealthLevel, HealthMemory, HealthOffender, HealthReport, HealthSamples,
        HealthSeries, HealthTicks,
    },
    room::Freed,
    schedule::CollectorStatus,
    snapshot::Snapshot,
    summary::Summary,
    tick::Tick,
    values::{SeriesValue, Value},
};
