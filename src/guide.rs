//! A book about the store: how to begin, what its words mean, recipes, tests, costs and limits.
//!
//! Read [`first_steps`] and [`concepts`]; look things up in the others.

#[doc = include_str!("../docs/guide/first_steps.md")]
pub mod first_steps {}
#[doc = include_str!("../docs/guide/concepts.md")]
pub mod concepts {}
#[doc = include_str!("../docs/guide/cookbook.md")]
pub mod cookbook {}
#[doc = include_str!("../docs/guide/costs.md")]
pub mod costs {}
#[doc = include_str!("../docs/guide/limits.md")]
pub mod limits {}
#[doc = include_str!("../docs/guide/comparison.md")]
pub mod comparison {}
#[doc = include_str!("../docs/guide/from_prometheus_exporter.md")]
pub mod from_prometheus_exporter {}
#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}
#[doc = include_str!("../docs/guide/features.md")]
pub mod features {}
