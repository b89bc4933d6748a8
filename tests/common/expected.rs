//! What the questions of `tests/questions_model.rs` must answer, computed from lists, as the books define it.

use crate::naive::{Key, Model, Question, Row, Tick, interpolated};
use std::{cell::RefCell, collections::BTreeMap};

/// What gauges had at the ends of ticks, those that history forgot included.
#[derive(Debug, Default)]
pub struct Ends(Vec<(u64, BTreeMap<Key, f64>)>);

impl Ends {
    /// `now` is the end of the tick.
    pub fn push(&mut self, now: u64, gauges: &BTreeMap<Key, f64>) {
        self.0.retain(|(end, _)| *end != now);
        self.0.push((now, gauges.clone()));
    }

    /// What a gauge was before this tick.
    fn before(&self, tick: &Tick, key: Key) -> Option<f64> {
        let older = self.0.iter().filter(|(end, _)| *end < tick.end);
        older.max_by_key(|(end, _)| *end)?.1.get(&key).copied()
    }
}

#[expect(clippy::cast_precision_loss, reason = "small in this test")]
pub fn float(n: u64) -> f64 {
    n as f64
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / float(values.len() as u64))
}

/// Standard deviation of the whole population.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares = values.iter().map(|value| (value - mean).powi(2));
    Some((squares.sum::<f64>() / float(values.len() as u64)).sqrt())
}

/// A point of a line: seconds and value.
type Dot = (f64, f64);

/// Slope by the normal equations, and the probability that is left over by Student's t-test; NaN where rounding decides.
pub fn line(dots: &[Dot]) -> Option<(f64, f64)> {
    let times: Vec<f64> = dots.iter().map(|dot| dot.0).collect();
    let values: Vec<f64> = dots.iter().map(|dot| dot.1).collect();
    let (mean_t, mean_y) = (mean(&times)?, mean(&values)?);
    let sum = |of: &dyn Fn(&Dot) -> f64| dots.iter().map(of).sum::<f64>();
    let tt = sum(&|(t, _)| (t - mean_t).powi(2));
    let ty = sum(&|(t, y)| (t - mean_t) * (y - mean_y));
    let yy = sum(&|(_, y)| (y - mean_y).powi(2));
    if dots.len() < 2 || tt == 0.0 {
        return None;
    }
    let largest = values.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
    let is_flat = yy <= (largest * 1e-9).powi(2);
    let slope = if is_flat { 0.0 } else { ty / tt };
    let left = yy - ty * ty / tt;
    let freedom = dots.len() - 2;
    let confidence = if is_flat || freedom == 0 {
        0.0
    } else if left <= 1e-9 * yy {
        f64::NAN
    } else {
        let t = slope / (left / float(freedom as u64) / tt).sqrt();
        within(t.abs(), freedom)
    };
    Some((slope, confidence))
}

/// Probability that Student's t is between -t and t: Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn within(t: f64, freedom: usize) -> f64 {
    let n = float(freedom as u64);
    let angle = (t / n.sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2;
    let mut term = if odd == 1 { cosine } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    let mut k = 2 + odd;
    while k + 2 <= freedom {
        term *= float(k as u64 - 1) / float(k as u64) * cosine * cosine;
        sum += term;
        k += 2;
    }
    if odd == 1 {
        (angle + sine * sum) * std::f64::consts::FRAC_2_PI
    } else {
        sine * sum
    }
}

/// Middle of a tick, in seconds.
fn middle(tick: &Tick) -> f64 {
    float(tick.start + tick.end) / 2_000.0
}

/// Rates of ticks in which time passed.
fn rates(ticks: &[&Tick], keys: &[Key]) -> Vec<Dot> {
    let ticks = ticks.iter().filter(|tick| tick.end > tick.start);
    let rate = |tick: &&Tick| {
        let by: u64 = keys.iter().filter_map(|key| tick.increments.get(key)).sum();
        let seconds = float(tick.end - tick.start) / 1_000.0;
        (middle(tick), float(by) / seconds)
    };
    ticks.map(rate).collect()
}

fn values(dots: &[Dot]) -> Vec<f64> {
    dots.iter().map(|dot| dot.1).collect()
}

/// Values of gauges at the ends of ticks.
fn ends(ticks: &[&Tick], keys: &[Key]) -> Vec<f64> {
    let each = keys.iter().flat_map(|key| {
        let levels = ticks.iter().filter_map(move |tick| tick.levels.get(key));
        levels.filter_map(|levels| levels.last().copied())
    });
    each.collect()
}

/// Values of histograms, ascending.
fn records(ticks: &[&Tick], keys: &[Key]) -> Vec<f64> {
    let each = ticks.iter().flat_map(|tick| {
        let records = keys.iter().filter_map(move |key| tick.records.get(key));
        records.flatten().copied()
    });
    let mut all: Vec<f64> = each.collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Slope, or the confidence that there is one.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Slope,
    Confidence,
}

impl Side {
    fn of(self, line: (f64, f64)) -> f64 {
        match self {
            Self::Slope => line.0,
            Self::Confidence => line.1,
        }
    }
}

/// The value of rank `ceil(q n)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks of a vector"
)]
fn ranked(all: &[f64], q: f64) -> Option<f64> {
    let rank = (q * float(all.len() as u64)).ceil() as usize;
    all.get(rank.max(1) - 1).copied()
}

impl Model {
    pub fn rate_median(&self, q: &Question) -> Vec<Row> {
        self.rows(q, self.counters(), |ticks, keys| {
            interpolated(values(&rates(ticks, keys)), 0.5)
        })
    }

    pub fn rate_deviation(&self, q: &Question) -> Vec<Row> {
        self.rows(q, self.counters(), |ticks, keys| {
            deviation(&values(&rates(ticks, keys)))
        })
    }

    pub fn rate_trend(&self, q: &Question, side: Side) -> Vec<Row> {
        self.rows(q, self.counters(), |ticks, keys| {
            line(&rates(ticks, keys)).map(|line| side.of(line))
        })
    }

    fn gauge_rows(&self, q: &Question, of: impl Fn(&[&Tick], &[Key]) -> Option<f64>) -> Vec<Row> {
        let keys = self.gauges.keys().copied().collect();
        self.rows(q, keys, |ticks, keys| {
            (!ends(ticks, keys).is_empty()).then(|| of(ticks, keys))?
        })
    }

    pub fn gauge_median(&self, q: &Question) -> Vec<Row> {
        self.gauge_rows(q, |ticks, keys| interpolated(ends(ticks, keys), 0.5))
    }

    pub fn gauge_deviation(&self, q: &Question) -> Vec<Row> {
        self.gauge_rows(q, |ticks, keys| deviation(&ends(ticks, keys)))
    }

    pub fn gauge_change(&self, q: &Question, all: &Ends) -> Vec<Row> {
        self.gauge_rows(q, |ticks, keys| changed(ticks, keys, all))
    }

    pub fn gauge_rate(&self, q: &Question, all: &Ends) -> Vec<Row> {
        self.gauge_rows(q, |ticks, keys| {
            let ms: u64 = ticks.iter().map(|tick| tick.end - tick.start).sum();
            let by = changed(ticks, keys, all)?;
            (ms > 0).then(|| 1_000.0 * by / float(ms))
        })
    }

    pub fn gauge_trend(&self, q: &Question, side: Side) -> Vec<Row> {
        self.gauge_rows(q, |ticks, keys| {
            let dots = ticks.iter().filter_map(|tick| {
                let now = ends(&[tick], keys);
                (!now.is_empty()).then(|| (middle(tick), now.iter().sum()))
            });
            line(&dots.collect::<Vec<Dot>>()).map(|line| side.of(line))
        })
    }

    fn histogram_rows(
        &self,
        q: &Question,
        of: impl Fn(&[&Tick], &[Key]) -> Option<f64>,
    ) -> Vec<Row> {
        self.rows(q, self.histograms.iter().copied().collect(), of)
    }

    pub fn record_median(&self, q: &Question) -> Vec<Row> {
        self.histogram_rows(q, |ticks, keys| ranked(&records(ticks, keys), 0.5))
    }

    pub fn record_trend(&self, q: &Question, side: Side) -> Vec<Row> {
        self.histogram_rows(q, |ticks, keys| {
            let dots = ticks.iter().filter_map(|tick| {
                let mean = mean(&records(&[tick], keys))?;
                Some((middle(tick), mean))
            });
            line(&dots.collect::<Vec<Dot>>()).map(|line| side.of(line))
        })
    }

    /// All values of histograms in the window, ascending; `None`: nobody answers.
    pub fn all_records(&self, q: &Question) -> Option<Vec<f64>> {
        self.all(q, self.histograms.iter().copied().collect(), records)
    }

    /// All values of gauges at the ends of ticks in the window.
    pub fn all_ends(&self, q: &Question) -> Option<Vec<f64>> {
        self.all(q, self.gauges.keys().copied().collect(), ends)
    }

    fn all(
        &self,
        q: &Question,
        keys: Vec<Key>,
        of: impl Fn(&[&Tick], &[Key]) -> Vec<f64>,
    ) -> Option<Vec<f64>> {
        let found = RefCell::new(None);
        self.rows(q, keys, |ticks, keys| {
            found.replace(Some(of(ticks, keys)));
            None
        });
        found.into_inner()
    }

    /// Share of the window that ticks cover; `None`: none does.
    pub fn coverage(&self, q: &Question) -> Option<f64> {
        // What is asked of does not matter, so any one key will do.
        let (name, labels) = (q.name, 0);
        let everything = Question {
            filter: crate::naive::Filter::All,
            by: Vec::new(),
            step: None,
            ..q.clone()
        };
        let share = RefCell::new(None);
        let (from, to) = self.bounds(q)?;
        self.rows(&everything, vec![Key { name, labels }], |ticks, _| {
            let covered: u64 = ticks.iter().map(|tick| tick.end - tick.start).sum();
            let first = ticks.iter().map(|tick| tick.start).min().unwrap_or(0);
            let first = i64::try_from(first).unwrap_or(i64::MAX);
            let from = match q.window {
                crate::naive::Window::All => first,
                _ => from,
            };
            let asked = u64::try_from(to - from).unwrap_or(0);
            let part = if asked > 0 {
                float(covered) / float(asked)
            } else {
                1.0
            };
            share.replace(Some(part.min(1.0)));
            None
        });
        share.into_inner()
    }
}

/// What gauges changed by: from what they were before the window, or from their first value in it.
fn changed(ticks: &[&Tick], keys: &[Key], all: &Ends) -> Option<f64> {
    let of = |key: &Key| {
        let here = ends(ticks, &[*key]);
        let before = ticks.first().and_then(|tick| all.before(tick, *key));
        let from = before.or(here.first().copied())?;
        Some(here.last()? - from)
    };
    let each: Vec<f64> = keys.iter().filter_map(of).collect();
    (!each.is_empty()).then(|| each.iter().sum())
}
