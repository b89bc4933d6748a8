//! Small tools without any idea of metrics.

pub(crate) mod bits;
pub(crate) mod hash;
pub(crate) mod layout;
#[cfg(not(loom))]
pub(crate) mod near;
pub(crate) mod order;
pub(crate) mod recent;
pub(crate) mod sum;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod text;
#[cfg(not(loom))]
pub(crate) mod thread;
