//! Questions and their answers.
//!
//! A question is plain data, a [`Selection`]: which series, over which window, by which labels. It reaches the store
//! through one trait, `Ask`, so this module knows neither live cells nor the handle. A selection has two type
//! parameters that users never write: what is asked about, and in which shape the answer comes.

mod aggregation;
mod answer;
mod ask;
mod counted;
mod gauge_walk;
mod label_names;
mod leaves;
mod leveled;
mod levels;
mod line;
mod matcher;
mod measure;
mod meter;
mod pile;
mod pile_shape;
mod piled;
mod question;
mod questions;
mod ranks;
mod ruled;
mod sample;
mod samples;
mod scatter;
mod selection;
mod shape;
mod sides;
mod standing;
mod watch;

pub use self::{
    aggregation::Aggregation,
    answer::{Answer, Bucket, Direction, Stats, Trend},
    label_names::LabelNames,
    measure::Measure,
    meter::Meter,
    sample::{CounterSample, GaugeSample, HistogramSample},
    samples::{One, Sampled, Series},
    selection::Selection,
    shape::{
        Counters, Every, EveryBy, Gauges, Histograms, Kind, Live, Now, NowBy, Over, OverBy, Point,
        Read, Rule, RuleOver, Shape, Steps, Window,
    },
    watch::Watch,
};
pub(crate) use self::{
    ask::{Ask, Found, Member, Membership, Missing, Query, Range, Sum, Values},
    matcher::{Matcher, Wanted},
    measure::Term,
    ruled::{Ruled, Shift, ask_for_rule},
    standing::Standings,
    watch::Watched,
};

use crate::model::Timestamp;

/// Buckets that may be asked for.
const MOST_BUCKETS: usize = 10_000;

/// Puts the coverage of each step into its numbers.
fn with_coverage(
    stats: Vec<Option<Stats>>,
    coverage: &mut dyn Iterator<Item = (Timestamp, f64)>,
) -> Vec<Option<Stats>> {
    let shares = coverage.map(|(_, share)| share);
    let both = stats.into_iter().zip(shares);
    both.map(|(stats, coverage)| Some(Stats { coverage, ..stats? }))
        .collect()
}
