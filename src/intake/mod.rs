//! The entrance for what the facade cannot carry, and what a collector is.

mod collector;
mod fraction;

pub(crate) use self::collector::Outcome;
pub use self::{
    collector::{Cause, CollectError, Collector},
    fraction::FractionalCounter,
};
