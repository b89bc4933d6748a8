//! What gauges did over a window, point by point.

use super::{
    aggregation::Aggregation,
    answer::{Answer, Bucket, Stats, Trend},
    line::{self, Dot},
    question::{Cut, Question, Reading, Steps, or_nothing},
    sample::GaugeSample,
    scatter::{quantile, std_dev},
    selection::{Member, Missing},
    shape::{Answers, Rows},
};
use crate::{
    codec::{gauges, gauges::times, rows::MOST_ROWS, segment::Row},
    history::{Piece, Reach, Source},
    ledger::Full,
    model::{MetricKind, frame::SeriesId},
    util::layout,
};
use std::ops::Range;

/// What one gauge did in one point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    last: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Sum and number of the values at the ends of its ticks.
    pub(super) sum: f64,
    pub(super) count: u64,
}

impl Level {
    /// A gauge that kept its value for so many ticks; NaN: it had none.
    fn held(value: f64, ticks: u32) -> Self {
        let count = if value.is_nan() { 0 } else { u64::from(ticks) };
        Self {
            last: value,
            min: value,
            max: value,
            sum: times(value, count),
            count,
        }
    }
}

/// What gauges did over some points.
#[derive(Default)]
pub(super) struct Levels {
    count: u64,
    sum: f64,
    /// Sum of the means of the points, each times the share of its time in [`Levels::whole`], and of these shares.
    weighted: f64,
    time: f64,
    /// At least the nanoseconds of all points of all gauges, and a power of two, so that shares are exact.
    whole: f64,
    /// Extremes of the values at the ends of ticks, and of all.
    ends: Option<(f64, f64)>,
    extremes: Option<(f64, f64)>,
    /// What all gauges together changed by, if any has a value.
    change: Option<f64>,
    /// Nanoseconds of all points.
    covered_ns: u64,
    /// A point of these is several ticks.
    is_coarse: bool,
    /// Means of the points with their ticks, as many as there was made room for: none, unless a quantile is asked for.
    samples: Vec<(f64, u32)>,
    /// Of each point: twice its middle, the sum of the gauges' means, and its ticks; none, unless a line is asked for.
    sums: Vec<(u128, f64, u32)>,
}

/// What a question needs beside sums and extremes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// All values.
    Samples,
    /// The sum of all gauges in each point.
    Sums,
}

impl Levels {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    fn new(covered_ns: u64, points: usize, members: usize, need: Need) -> Self {
        let whole_ns = u128::from(covered_ns) * members as u128;
        let room = |wanted: Need, n: usize| if need == wanted { n } else { 0 };
        Self {
            whole: whole_ns.max(1).next_power_of_two() as f64,
            covered_ns,
            samples: Vec::with_capacity(room(Need::Samples, points * members)),
            sums: Vec::with_capacity(room(Need::Sums, points)),
            ..Self::default()
        }
    }

    /// Adds to the sum of the point at `place`; points come in order, once for each gauge.
    fn add_to_point(&mut self, place: usize, level: Level, row: Row) {
        if place >= self.sums.len() && self.sums.len() < self.sums.capacity() {
            let middle = u128::from(row.start_ns) + u128::from(row.end_ns);
            // NaN: no gauge has a value there.
            self.sums.push((middle, f64::NAN, row.ticks));
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a point has fewer ticks than 2^53"
        )]
        if level.count > 0
            && let Some((_, sum, _)) = self.sums.get_mut(place)
        {
            let mean = level.sum / level.count as f64;
            *sum = if sum.is_nan() { mean } else { *sum + mean };
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a point is shorter than 2^53 ns, and has fewer ticks"
    )]
    fn add(&mut self, level: Level, ns: u64, is_coarse: bool) {
        self.is_coarse |= is_coarse;
        if level.count > 0 {
            let share = ns as f64 / self.whole;
            let (mean, ends) = match level.count {
                1 => (level.sum, (level.sum, level.sum)),
                n => (level.sum / n as f64, (level.min, level.max)),
            };
            self.count += level.count;
            self.sum += level.sum;
            self.weighted += mean * share;
            self.time += share;
            self.ends = Some(stretch(self.ends, ends.0, ends.1));
            if self.samples.len() < self.samples.capacity() {
                let ticks = u32::try_from(level.count).unwrap_or(u32::MAX);
                self.samples.push((mean, ticks));
            }
        }
        if level.min <= level.max {
            self.extremes = Some(stretch(self.extremes, level.min, level.max));
        }
    }

    pub(super) fn min(&self) -> Option<f64> {
        self.extremes.map(|e| e.0)
    }

    pub(super) fn max(&self) -> Option<f64> {
        self.extremes.map(|e| e.1)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0).then_some(self.sum)
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
    pub(super) fn avg(&self) -> Option<f64> {
        let (least, most) = self.ends?;
        let mean = if self.time > 0.0 {
            self.weighted / self.time
        } else {
            self.sum / self.count as f64
        };
        // Sums round: the mean of a constant would come back as its neighbour.
        Some(mean.clamp(least, most))
    }

    fn quantile(&mut self, q: f64) -> Option<f64> {
        quantile(&mut self.samples, q)
    }

    fn std_dev(&self) -> Option<f64> {
        std_dev(|| self.samples.iter().copied())
    }

    pub(super) fn change(&self) -> Option<f64> {
        self.change
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is a float")]
    pub(super) fn rate(&self) -> Option<f64> {
        let change = self.change.filter(|_| self.covered_ns > 0)?;
        Some(change / (self.covered_ns as f64 / 1e9))
    }

    fn trend(&self) -> Option<Trend> {
        let sums = self.sums.iter().filter(|(_, sum, _)| !sum.is_nan());
        let dots = sums.map(|(middle, sum, ticks)| {
            let seconds = line::seconds(*middle);
            (seconds, *sum, f64::from(*ticks))
        });
        let dots: Vec<Dot> = dots.collect();
        line::through(&dots)
    }

    fn stats(&mut self, coverage: f64) -> Option<Stats> {
        Some(Stats {
            count: self.count,
            sum: self.sum()?,
            min: self.min()?,
            max: self.max()?,
            avg: self.avg()?,
            median: self.quantile(0.5)?,
            std_dev: self.std_dev()?,
            p90: self.quantile(0.9)?,
            p95: self.quantile(0.95)?,
            p99: self.quantile(0.99)?,
            coverage,
        })
    }

    /// `n` ranges of equal width from the least to the greatest value at the end of a tick.
    #[expect(clippy::cast_precision_loss, reason = "there are few buckets")]
    fn buckets(&self, n: usize) -> Option<Vec<Bucket>> {
        let values = || self.samples.iter().map(|sample| sample.0);
        let low = values().reduce(f64::min)?;
        let high = values().reduce(f64::max)?;
        // Halves, so that no difference is too large.
        let width = (high / 2.0 - low / 2.0) / n as f64 * 2.0;
        let n = if width > 0.0 { n } else { 1 };
        let bound = |at: usize| {
            if at == n {
                high
            } else {
                low + width * at as f64
            }
        };
        let mut buckets: Vec<Bucket> = (0..n)
            .map(|at| Bucket {
                from: bound(at),
                to: bound(at + 1),
                count: 0,
            })
            .collect();
        for (value, times) in &self.samples {
            let at = buckets.partition_point(|bucket| bucket.to < *value);
            if let Some(bucket) = buckets.get_mut(at) {
                bucket.count += u64::from(*times);
            }
        }
        Some(buckets)
    }

    #[expect(clippy::cast_precision_loss, reason = "an answer is a float")]
    fn reading(&mut self, aggregation: Aggregation) -> Option<Reading> {
        let exact = |value: Option<f64>| Some(Reading::exact(value?));
        match aggregation {
            Aggregation::Min => exact(self.min()),
            Aggregation::Max => exact(self.max()),
            Aggregation::Avg => exact(self.avg()),
            Aggregation::Sum => exact(self.sum()),
            Aggregation::Count => exact(Some(self.count as f64)),
            Aggregation::Change => exact(self.change()),
            Aggregation::Rate => exact(self.rate()),
            Aggregation::Trend => exact(self.trend().map(|trend| trend.slope)),
            Aggregation::StdDev => Some(exact(self.std_dev())?.partial_if(self.is_coarse)),
            other => Some(exact(self.quantile(other.quantile()?))?.partial_if(self.is_coarse)),
        }
    }

    fn is_nothing(&self) -> bool {
        self.count == 0 && self.extremes.is_none()
    }
}

/// Extremes that take in another pair.
fn stretch(extremes: Option<(f64, f64)>, min: f64, max: f64) -> (f64, f64) {
    extremes.map_or((min, max), |(low, high)| (low.min(min), high.max(max)))
}

/// One gauge over the points of a segment, unpacked; in front of them, what it was before.
#[derive(Debug)]
pub(super) struct Unpacked {
    columns: [[f64; MOST_ROWS]; 4],
    count: [u64; MOST_ROWS],
}

impl Unpacked {
    pub(super) fn new() -> Self {
        Self {
            columns: [[0.0; MOST_ROWS]; 4],
            count: [0; MOST_ROWS],
        }
    }

    fn read(&mut self, chunk: &[u8], n: usize, is_coarse: bool) {
        let [last, min, max, sum] = &mut self.columns;
        let columns = [last, min, max, sum].map(|column| column.get_mut(..=n));
        let [Some(last), Some(min), Some(max), Some(sum)] = columns else {
            return;
        };
        if is_coarse {
            let count = self.count.get_mut(..=n).unwrap_or_default();
            gauges::read_coarse(chunk, [last, min, max, sum], count);
        } else {
            gauges::read(chunk, last, min, max);
            for ((sum, count), last) in sum.iter_mut().zip(&mut self.count).zip(last) {
                *count = u64::from(!last.is_nan());
                *sum = times(*last, *count);
            }
        }
    }

    /// The value before row `row`.
    fn before(&self, row: usize) -> Option<f64> {
        let [last, ..] = &self.columns;
        last.get(row).copied()
    }

    fn level(&self, row: usize) -> Option<Level> {
        let [last, min, max, sum] = &self.columns;
        Some(Level {
            last: *last.get(row + 1)?,
            min: *min.get(row + 1)?,
            max: *max.get(row + 1)?,
            sum: *sum.get(row + 1)?,
            count: *self.count.get(row + 1)?,
        })
    }
}

/// The value of a gauge before a point: what it was before its next change, or what it is, if there is none. Where ticks
/// are missing, nothing is known of changes: then it is what the last change made it, if that one is known.
pub(super) fn value_before(
    reach: &Reach<'_>,
    point: usize,
    member: &Member,
    unpacked: &mut Unpacked,
) -> f64 {
    let rest = point..reach.len();
    let mut hint = 0;
    let mut end = None;
    for piece in reach.over(&rest) {
        let rows = piece.rows_of(&rest);
        if is_behind_gap(piece, &rows, end) {
            return value_after(reach, point, member, unpacked);
        }
        end = last_end(piece, &rows);
        match piece.source {
            Source::Frame(kept) => {
                if let Some((point, _)) = kept.frame.gauge(member.id, &mut hint) {
                    return point.prev;
                }
            }
            Source::Segment(segment) => {
                if let Some(chunk) = segment.chunk(MetricKind::Gauge, member.id) {
                    unpacked.read(chunk, segment.axis.len(), piece.is_coarse);
                    return unpacked.before(rows.start).unwrap_or(f64::NAN);
                }
            }
        }
    }
    member.values.held
}

/// What the last change before a point made of a gauge, if no tick is missing since; NaN: that is not known.
fn value_after(reach: &Reach<'_>, point: usize, member: &Member, unpacked: &mut Unpacked) -> f64 {
    let mut start = reach.row(point).map(|row| row.start_ns);
    let before = 0..point;
    for piece in reach.over(&before).iter().rev() {
        let rows = piece.rows_of(&before);
        if last_end(piece, &rows) != start {
            break;
        }
        start = piece.row(rows.start).map(|row| row.start_ns);
        match piece.source {
            Source::Frame(kept) => {
                if let Some((point, _)) = kept.frame.gauge(member.id, &mut 0) {
                    return point.last;
                }
            }
            Source::Segment(segment) => {
                if let Some(chunk) = segment.chunk(MetricKind::Gauge, member.id) {
                    unpacked.read(chunk, segment.axis.len(), piece.is_coarse);
                    return unpacked.before(rows.end).unwrap_or(f64::NAN);
                }
            }
        }
    }
    f64::NAN
}

/// Whether these rows start later than what is before them ends.
fn is_behind_gap(piece: &Piece<'_>, rows: &Range<usize>, end: Option<u64>) -> bool {
    end.is_some() && end != piece.row(rows.start).map(|row| row.start_ns)
}

fn last_end(piece: &Piece<'_>, rows: &Range<usize>) -> Option<u64> {
    piece.row(rows.end.checked_sub(1)?).map(|row| row.end_ns)
}

/// Calls `f` with what one gauge did in each point of one piece; `value` is what it was before, and is afterwards.
pub(super) fn each_level(
    piece: &Piece<'_>,
    id: SeriesId,
    value: &mut f64,
    hint: &mut usize,
    unpacked: &mut Unpacked,
    mut f: impl FnMut(Level, Row),
) {
    let chunk = match piece.source {
        Source::Frame(_) => None,
        Source::Segment(segment) => segment.chunk(MetricKind::Gauge, id),
    };
    if let (Source::Segment(segment), Some(chunk)) = (piece.source, chunk) {
        unpacked.read(chunk, segment.axis.len(), piece.is_coarse);
    }
    for at in piece.rows.clone() {
        let Some(row) = piece.row(at) else {
            continue;
        };
        let change = match piece.source {
            Source::Frame(kept) => kept.frame.gauge(id, hint).map(|(point, total)| {
                let held = Level::held(point.last, row.ticks);
                let (sum, count) = total.map_or((held.sum, held.count), |t| (t.sum, t.count));
                Level {
                    min: point.min,
                    max: point.max,
                    sum,
                    count,
                    ..held
                }
            }),
            Source::Segment(_) => chunk.and_then(|_| unpacked.level(at)),
        };
        let level = change.unwrap_or_else(|| Level::held(*value, row.ticks));
        *value = level.last;
        f(level, row);
    }
}

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
            levels.change = Some(levels.change.unwrap_or(0.0) + (to - self.from));
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

/// Calls `f` for each of these points: with what a gauge was before it, what it did in it, when that was, and whether it is
/// one of a coarse tier.
fn walk(
    cut: &Cut<'_>,
    points: &Range<usize>,
    member: &Member,
    unpacked: &mut Unpacked,
    mut f: impl FnMut(f64, Level, Row, bool),
) {
    let mut value = value_before(&cut.reach, points.start, member, unpacked);
    let mut before = value;
    let mut hint = 0;
    let mut point = points.start;
    let mut end = None;
    for piece in cut.reach.over(points) {
        let piece = Piece {
            rows: piece.rows_of(points),
            ..piece.clone()
        };
        if is_behind_gap(&piece, &piece.rows, end) {
            value = value_before(&cut.reach, point, member, unpacked);
            before = value;
        }
        end = last_end(&piece, &piece.rows);
        let add = |level: Level, row: Row| {
            f(before, level, row, piece.is_coarse);
            before = level.last;
            point += 1;
        };
        each_level(&piece, member.id, &mut value, &mut hint, unpacked, add);
    }
}

/// Calls `f` with what a gauge did in each of these points.
pub(super) fn each_gauge_sample(
    cut: &Cut<'_>,
    points: &Range<usize>,
    member: &Member,
    mut f: impl FnMut(GaugeSample),
) -> Result<(), Full> {
    let _room = cut.scratch.beside(size_of::<Unpacked>())?;
    let mut unpacked = Box::new(Unpacked::new());
    walk(cut, points, member, &mut unpacked, |_, level, _, _| {
        f(GaugeSample::new(level.last, level.min, level.max));
    });
    Ok(())
}
