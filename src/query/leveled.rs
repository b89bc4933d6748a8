//! What gauges did over a window: that of all of a group added up, step by step.

use super::{
    aggregation::Aggregation,
    answer::{Answer, Bucket, Stats, Trend},
    ask::{Member, Missing},
    gauge_walk::{Level, Unpacked, walk},
    levels::{Levels, Need},
    line::Dot,
    question::{Cut, Question, Steps, or_nothing},
    shape::{Answers, Rows},
};
use crate::{ledger::Full, util::layout};

impl Question<'_> {
    pub(super) fn live_values(&self) -> Answers<f64> {
        or_nothing(self.live_rows(|sum| sum.now))
    }

    pub(super) fn levels<T>(&self, ask: impl Fn(&Levels) -> Option<T>) -> Answers<T> {
        or_nothing(self.rows(|members, cut| leveled(members, cut, Need::Nothing, &|l| ask(l))))
    }

    pub(super) fn level_quantiles(&self, q: f64) -> Answers<f64> {
        self.samples(|levels| levels.quantile(q))
    }

    pub(super) fn level_deviations(&self) -> Answers<f64> {
        self.samples(|levels| levels.std_dev())
    }

    pub(super) fn level_buckets(&self, n: usize) -> Answers<Vec<Bucket>> {
        if n == 0 || n > super::MOST_BUCKETS {
            self.from.odd(self.query);
            return Answers(Vec::new());
        }
        self.samples(|levels| levels.buckets(n))
    }

    pub(super) fn level_trends(&self) -> Answers<Trend> {
        or_nothing(
            self.rows(|members, cut| leveled(members, cut, Need::Sums, &|levels| levels.trend())),
        )
    }

    pub(super) fn level_stats(&self) -> Answers<Stats> {
        or_nothing(self.rows(|members, cut| {
            let mut coverage = cut.coverage();
            let stats = leveled(members, cut, Need::Samples, &|levels| levels.stats(0.0))?;
            Ok(super::with_coverage(stats, &mut coverage))
        }))
    }

    fn samples<T>(&self, ask: impl Fn(&mut Levels) -> Option<T>) -> Answers<T> {
        or_nothing(self.rows(|members, cut| leveled(members, cut, Need::Samples, &ask)))
    }

    /// What was asked of gauges over a window, as data.
    pub(super) fn gauge_answers(&self, aggregation: Aggregation) -> Result<Rows<Answer>, Missing> {
        let need = match aggregation {
            Aggregation::Trend => Need::Sums,
            Aggregation::StdDev => Need::Samples,
            other if other.quantile().is_some() => Need::Samples,
            _ => Need::Nothing,
        };
        self.answers(|members, cut| leveled(members, cut, need, &|l| l.reading(aggregation)))
    }
}

fn leveled<T>(
    members: &[Member],
    cut: &Cut<'_>,
    need: Need,
    ask: &impl Fn(&mut Levels) -> Option<T>,
) -> Result<Vec<Option<T>>, Full> {
    let mut answers = Vec::with_capacity(cut.len());
    for steps in cut.batches() {
        let n = steps.points().len();
        let whole = steps.whole().len();
        let more = match need {
            Need::Nothing => 0,
            Need::Samples => layout::vec::<(f64, u32)>(whole * members.len()),
            Need::Sums => layout::vec::<(u128, f64, u32)>(whole) + layout::vec::<Dot>(whole),
        };
        let bytes = layout::vec::<Levels>(n) + more + size_of::<Unpacked>();
        let _room = cut.scratch.beside(bytes)?;
        let mut levels = Vec::with_capacity(n);
        levels.extend(steps.points().map(|points| {
            let ns = cut.reach.covered_ns(&points);
            Levels::new(ns, points.len(), members.len(), need)
        }));
        let mut unpacked = Box::new(Unpacked::new());
        for member in members {
            add_member(cut, steps, member, &mut levels, &mut unpacked);
        }
        let some = levels.iter_mut();
        answers.extend(some.map(|l| if l.is_nothing() { None } else { ask(l) }));
    }
    Ok(answers)
}

/// From what a gauge changed in a step to what.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: f64,
    to: f64,
}

impl Way {
    const NONE: Self = Self {
        from: f64::NAN,
        to: f64::NAN,
    };

    /// `before`: what the gauge was before this point; NaN: nothing.
    fn go(&mut self, before: f64, level: Level) {
        if self.from.is_nan() {
            self.from = if before.is_nan() { level.last } else { before };
        }
        if !level.last.is_nan() {
            self.to = level.last;
        }
    }

    /// Adds what the gauge changed by to that of others.
    fn end(self, levels: Option<&mut Levels>) {
        if let Some(levels) = levels.filter(|_| !self.from.is_nan()) {
            let to = if self.to.is_nan() { self.from } else { self.to };
            levels.add_change(to - self.from);
        }
    }
}

/// Adds what one gauge did to each step.
fn add_member(
    cut: &Cut<'_>,
    steps: Steps<'_>,
    member: &Member,
    levels: &mut [Levels],
    unpacked: &mut Unpacked,
) {
    let mut way = Way::NONE;
    let whole = steps.whole();
    let mut point = whole.start;
    let mut steps = steps.points().zip(levels).peekable();
    walk(
        cut,
        &whole,
        member,
        unpacked,
        |before, level, row, is_coarse| {
            while let Some((_, levels)) = steps.next_if(|(step, _)| step.end <= point) {
                std::mem::replace(&mut way, Way::NONE).end(Some(levels));
            }
            if let Some((step, levels)) = steps.peek_mut()
                && step.contains(&point)
            {
                levels.add(level, row.duration_ns(), is_coarse);
                levels.add_to_point(point - step.start, level, row);
                way.go(before, level);
            }
            point += 1;
        },
    );
    way.end(steps.next().map(|(_, levels)| levels));
}
