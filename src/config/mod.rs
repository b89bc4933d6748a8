//! What a user may choose, as plain data; and the checked plan that the store is built from.

mod profile;
mod validate;

pub use profile::MemoryProfile;
pub(crate) use validate::{Config, Plan};
