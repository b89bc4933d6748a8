//! Questions and their answers.
//!
//! A question is plain data, a [`Selection`]: which series, over which window, by which labels. It reaches the store
//! through one trait, `Ask`, so this module knows neither live cells nor the handle. A selection has two type
//! parameters that users never write: what is asked about, and in which shape the answer comes.

mod counted;
mod evaluate;
mod levels;
mod pile;
mod piled;
mod questions;
mod selection;
mod shape;

pub(crate) use self::selection::{Ask, Found, Member, Query, Sum, Values};
pub use self::{
    selection::{LabelNames, Selection},
    shape::{
        Counters, Every, EveryBy, Gauges, Histograms, Kind, Live, Now, NowBy, Over, OverBy, Point,
        Shape, Steps, Window,
    },
};
