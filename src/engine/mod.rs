//! What moves the data: the tick, the worker that calls it, and the report about both.

mod core;
mod expose;
mod forget;
mod health;
mod info;
mod room;
mod strange;
mod summary;
mod tick;
mod values;
mod vitals;
mod worker;

pub(crate) use self::{
    core::Core,
    forget::{Fate, Whose},
    worker::Worker,
};
pub use self::{
    health::Health,
    info::{Memory, MetricInfo, Retention},
    room::Freed,
    summary::Summary,
    tick::Tick,
    values::{SeriesValue, Value},
};
