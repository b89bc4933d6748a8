//! One gauge over the points of a chunk: its last value in each, least and greatest ones, and in coarse tiers also the
//! sum and the number of the values that the point was made of.
//!
//! All values are packed as integers of one space (`codec::floats`): decimals if they all are, else floats by their order.
//!
//! Layout: no bytes if the gauge is absent all the time. Else, in bits: the space; the points in which it is there
//! (`codec::rows`, as all sets), which are the rows; of the rows behind the first, some that include all in which the last value is not the one before;
//! the last values in the first and these (`codec::ints`, as all columns). Then, for least and for greatest values, the rows in which
//! they are not the last value, and how far they are from it. In coarse tiers, the numbers of values of all rows; the rows in
//! which the sum is not the last value times their number; and these sums (`codec::floats`). An empty set has no column behind it.
//!
//! Decoders accept any bytes, and never panic; nonsense comes out as some values. All NaNs are one.

use super::bits::{Reader, Writer};
use super::floats::{self, Space, is_same};
use super::ints::{self, Column};
use super::rows::{self, MOST_ROWS, Rows};

/// Points of a chunk, at most 128, by column. NaN: the gauge is absent, which it must be in all three.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points<'a> {
    pub(crate) last: &'a [f64],
    pub(crate) min: &'a [f64],
    pub(crate) max: &'a [f64],
    /// In coarse tiers: sum and number of values.
    pub(crate) totals: Option<(&'a [f64], &'a [u64])>,
}

/// How a chunk will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    space: Space,
    /// Points that are rows.
    present: Rows,
    /// Points whose last value is written.
    changed: Rows,
    last: ints::Plan,
    /// Points whose least, or greatest, value is not the last one.
    apart: [(Rows, ints::Plan); 2],
    /// Points whose sum is not the last value.
    totals: Option<(Rows, floats::Plan, ints::Plan)>,
    bits: usize,
}

/// What is not absent of a chunk, opened; columns are still packed.
#[derive(Clone, Copy, Debug)]
struct Opened<'a> {
    space: Space,
    present: Rows,
    reader: Reader<'a>,
}

impl Plan {
    /// Looks at a chunk.
    pub(crate) fn new(points: &Points) -> Self {
        let n = points.last.len();
        let present = present(points);
        let m = rows::count(present);
        let apart =
            [points.min, points.max].map(|extremes| differing(points.last, extremes, present));
        let changed = changed(points.last, present);
        let space = space(points, changed, apart);
        let mut column = [0; MOST_ROWS];
        let last = ints::Plan::new(integers(points.last, changed, space, &mut column));
        let mut bits = Space::BITS
            + rows::bits(present, n)
            + rows::bits(behind_first(changed, present), m.saturating_sub(1))
            + last.bits();
        let [below, above] = apart;
        let apart = [(points.min, true, below), (points.max, false, above)].map(
            |(extremes, is_min, set)| {
                let plan = ints::Plan::new(distances(
                    points.last,
                    extremes,
                    is_min,
                    set,
                    space,
                    &mut column,
                ));
                bits += rows::bits(rows::within(set, present), m)
                    + if set == 0 { 0 } else { plan.bits() };
                (set, plan)
            },
        );
        let totals = points.totals.map(|(sums, counts)| {
            let set = own_sums(points.last, sums, counts, present);
            let sums = floats::Plan::new(rows::gather(sums, set, &mut [0.0; MOST_ROWS]));
            let counts = ints::Plan::new(rows::gather(counts, present, &mut column));
            bits += counts.bits()
                + rows::bits(rows::within(set, present), m)
                + if set == 0 { 0 } else { sums.bits() };
            (set, sums, counts)
        });
        Self {
            space,
            present,
            changed,
            last,
            apart,
            totals,
            bits,
        }
    }

    /// Exactly how many bytes [`Plan::write`] appends.
    pub(crate) const fn encoded_len(&self) -> usize {
        match self.present {
            0 => 0,
            _ => self.bits.div_ceil(8),
        }
    }

    /// Appends the chunk that the plan was made for.
    pub(crate) fn write(&self, points: &Points, out: &mut Vec<u8>) {
        if self.present == 0 {
            return;
        }
        let m = rows::count(self.present);
        let mut writer = Writer::new(out);
        let mut column = [0; MOST_ROWS];
        self.space.write(&mut writer);
        rows::write(self.present, points.last.len(), &mut writer);
        rows::write(
            behind_first(self.changed, self.present),
            m.saturating_sub(1),
            &mut writer,
        );
        let lasts = integers(points.last, self.changed, self.space, &mut column);
        self.last.write(lasts, &mut writer);
        let extremes = [(points.min, true), (points.max, false)];
        for ((set, plan), (extremes, is_min)) in self.apart.iter().zip(extremes) {
            rows::write(rows::within(*set, self.present), m, &mut writer);
            if *set != 0 {
                let distances =
                    distances(points.last, extremes, is_min, *set, self.space, &mut column);
                plan.write(distances, &mut writer);
            }
        }
        if let (Some((set, sums_plan, counts_plan)), Some((sums, counts))) =
            (&self.totals, points.totals)
        {
            counts_plan.write(rows::gather(counts, self.present, &mut column), &mut writer);
            rows::write(rows::within(*set, self.present), m, &mut writer);
            if *set != 0 {
                sums_plan.write(rows::gather(sums, *set, &mut [0.0; MOST_ROWS]), &mut writer);
            }
        }
        writer.finish();
    }
}

/// Reads all points of the finest tier, at most 128.
pub(crate) fn read(bytes: &[u8], last: &mut [f64], min: &mut [f64], max: &mut [f64]) {
    read_columns(bytes, last, min, max);
}

/// Reads all points of a coarse tier, at most 128; sum and count are zero where the gauge is absent.
pub(crate) fn read_coarse(bytes: &[u8], [last, min, max, sum]: [&mut [f64]; 4], count: &mut [u64]) {
    sum.fill(0.0);
    count.fill(0);
    let Some(mut opened) = read_columns(bytes, last, min, max) else {
        return;
    };
    let m = rows::count(opened.present);
    let mut counts = [0; MOST_ROWS];
    let counts = counts.get_mut(..m).unwrap_or_default();
    ints::read(&mut opened.reader, counts);
    rows::scatter(counts, opened.present, count);
    for row in rows::iter(opened.present) {
        if let (Some(sum), Some(&last), Some(&count)) =
            (sum.get_mut(row), last.get(row), count.get(row))
        {
            *sum = times(last, count);
        }
    }
    let differing = rows::spread(rows::read(m, &mut opened.reader), opened.present);
    if differing != 0 {
        let mut sums = [0.0; MOST_ROWS];
        let sums = sums.get_mut(..rows::count(differing)).unwrap_or_default();
        floats::read(&mut opened.reader, sums);
        rows::scatter(sums, differing, sum);
    }
}

fn read_columns<'a>(
    bytes: &'a [u8],
    last: &mut [f64],
    min: &mut [f64],
    max: &mut [f64],
) -> Option<Opened<'a>> {
    for values in [&mut *last, &mut *min, &mut *max] {
        values.fill(f64::NAN);
    }
    let mut lasts = [0; MOST_ROWS];
    let mut opened = read_lasts(bytes, last.len(), &mut lasts)?;
    opened.put(&lasts, last);
    for (values, is_min) in [(min, true), (max, false)] {
        let set = rows::read(rows::count(opened.present), &mut opened.reader);
        if set == 0 {
            for (value, last) in values.iter_mut().zip(&*last) {
                *value = *last;
            }
            continue;
        }
        let mut column = lasts;
        let mut apart = [0; MOST_ROWS];
        let apart = apart.get_mut(..rows::count(set)).unwrap_or_default();
        ints::read(&mut opened.reader, apart);
        for (row, &distance) in rows::iter(set).zip(&*apart) {
            if let Some(value) = column.get_mut(row) {
                *value = if is_min {
                    value.wrapping_sub(distance)
                } else {
                    value.wrapping_add(distance)
                };
            }
        }
        opened.put(&column, values);
    }
    Some(opened)
}

impl Opened<'_> {
    /// Puts one value for each row where it belongs.
    #[inline]
    fn put(&self, column: &Column, values: &mut [f64]) {
        if self.present == rows::first(values.len()) {
            self.space.values(column, values);
        } else {
            for (row, &integer) in rows::iter(self.present).zip(column) {
                if let Some(value) = values.get_mut(row) {
                    *value = self.space.value(integer);
                }
            }
        }
    }
}

/// Reads the last values of all rows, as integers; `None` if there are no bytes.
#[inline]
fn read_lasts<'a>(bytes: &'a [u8], n: usize, column: &mut Column) -> Option<Opened<'a>> {
    if bytes.is_empty() {
        return None;
    }
    let mut reader = Reader::new(bytes);
    let space = Space::read(&mut reader);
    let present = rows::read(n, &mut reader);
    let m = rows::count(present);
    let changed = (rows::read(m.saturating_sub(1), &mut reader) << 1 | 1) & rows::first(m);
    let packed = column.get_mut(..rows::count(changed)).unwrap_or_default();
    ints::read(&mut reader, packed);
    if changed != rows::first(m) {
        let packed = *column;
        let mut next = packed.iter();
        let mut value = 0;
        for (row, place) in column.iter_mut().enumerate().take(m) {
            if changed >> row & 1 == 1 {
                value = next.next().copied().unwrap_or(0);
            }
            *place = value;
        }
    }
    Some(Opened {
        space,
        present,
        reader,
    })
}

/// Points in which the gauge is there.
fn present(points: &Points) -> Rows {
    let n = points.last.len();
    if points
        .last
        .iter()
        .fold(true, |all, last| all & !last.is_nan())
    {
        return rows::first(n);
    }
    let columns = points.last.iter().zip(points.min).zip(points.max);
    rows::collect(
        columns.map(|((last, min), max)| !(last.is_nan() && min.is_nan() && max.is_nan())),
    )
}

/// Which rows, but for the first, which always is one, have changed; the second row is the first here.
fn behind_first(changed: Rows, present: Rows) -> Rows {
    rows::within(changed, present) >> 1
}

/// Rows in which the last value is not the one before; all rows if that is most of them.
fn changed(last: &[f64], present: Rows) -> Rows {
    let changed = if present == rows::first(last.len()) {
        let pairs = last.iter().zip(last.iter().skip(1));
        (rows::collect(pairs.map(|(&before, &value)| !is_same(before, value))) << 1 | 1) & present
    } else {
        let mut before = None;
        rows::iter(present).fold(0, |set, row| {
            let value = last.get(row).copied().unwrap_or(0.0);
            let is_changed = !before.is_some_and(|before| is_same(before, value));
            before = Some(value);
            set | Rows::from(is_changed) << row
        })
    };
    if 4 * rows::count(changed) >= 3 * rows::count(present) {
        present
    } else {
        changed
    }
}

/// Rows in which two columns differ.
fn differing(left: &[f64], right: &[f64], present: Rows) -> Rows {
    // Mostly they do not, which is seen at once.
    let pairs = left.iter().zip(right);
    if pairs.fold(0, |differing, (left, right)| {
        differing | (left.to_bits() ^ right.to_bits())
    }) == 0
    {
        return 0;
    }
    rows::collect(
        left.iter()
            .zip(right)
            .map(|(&left, &right)| !is_same(left, right)),
    ) & present
}

/// A value that was there so many times, added up.
#[expect(clippy::cast_precision_loss, reason = "a sum is a float")]
pub(crate) fn times(value: f64, count: u64) -> f64 {
    if count == 0 {
        0.0
    } else {
        value * count as f64
    }
}

/// Rows whose sum is not the last value times their number.
fn own_sums(last: &[f64], sums: &[f64], counts: &[u64], present: Rows) -> Rows {
    let rows = last.iter().zip(counts).zip(sums);
    rows::collect(rows.map(|((&last, &count), &sum)| !is_same(times(last, count), sum))) & present
}

/// A space that all values are in.
fn space(points: &Points, changed: Rows, [below, above]: [Rows; 2]) -> Space {
    if changed == rows::first(points.last.len()) && below | above == 0 {
        return Space::of(points.last.iter().copied());
    }
    let columns = [
        (points.last, changed),
        (points.min, below),
        (points.max, above),
    ];
    let values = columns
        .into_iter()
        .flat_map(|(values, set)| rows::iter(set).filter_map(|row| values.get(row).copied()));
    Space::of(values)
}

fn integers<'a>(values: &[f64], wanted: Rows, space: Space, column: &'a mut Column) -> &'a [u64] {
    if wanted == rows::first(values.len()) {
        return floats::integers(values, space, column);
    }
    let taken = rows::iter(wanted).filter_map(|row| values.get(row));
    for (place, &value) in column.iter_mut().zip(taken) {
        *place = space.integer(value);
    }
    column.get(..rows::count(wanted)).unwrap_or_default()
}

/// How far extremes are from last values.
fn distances<'a>(
    last: &[f64],
    extremes: &[f64],
    is_min: bool,
    wanted: Rows,
    space: Space,
    column: &'a mut Column,
) -> &'a [u64] {
    let taken = rows::iter(wanted).filter_map(|row| Some((last.get(row)?, extremes.get(row)?)));
    for (place, (&last, &extreme)) in column.iter_mut().zip(taken) {
        let (last, extreme) = (space.integer(last), space.integer(extreme));
        *place = if is_min {
            last.wrapping_sub(extreme)
        } else {
            extreme.wrapping_sub(last)
        };
    }
    column.get(..rows::count(wanted)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::floats::tests::{any_float, any_floats, same};
    use crate::codec::noise::{Noise, each};

    fn encoded(points: &Points) -> Vec<u8> {
        let plan = Plan::new(points);
        let mut bytes = vec![9];
        plan.write(points, &mut bytes);
        assert_eq!(bytes.len(), 1 + plan.encoded_len(), "{plan:?}");
        bytes.split_off(1)
    }

    /// Bytes per point, averaged over many chunks of 120, with extremes that equal the last value.
    fn bytes_per_point(mut next: impl FnMut(&mut Noise) -> f64) -> f64 {
        let mut noise = Noise::new(1);
        let mut len = 0;
        for _ in 0..100 {
            let last: Vec<f64> = (0..120).map(|_| next(&mut noise)).collect();
            let (min, max) = (&last, &last);
            len += encoded(&Points {
                last: &last,
                min,
                max,
                totals: None,
            })
            .len();
        }
        each(len, 12_000)
    }

    #[test]
    fn bytes_per_point_are_what_we_promise() {
        let (mut memory, mut calm, mut percent, mut walk, mut queue) =
            (512e6, 512e6, 50.0_f64, 1.0, 0.0);
        let memory = bytes_per_point(|noise| {
            memory += (noise.normal() * 8.0).round() * 4096.0;
            memory
        });
        let calm = bytes_per_point(|noise| {
            if noise.unit() < 0.5 {
                calm += (noise.normal() * 50.0).round() * 4096.0;
            }
            calm
        });
        let percent = bytes_per_point(|noise| {
            percent = (percent + noise.normal() * 4.0).clamp(0.0, 100.0);
            (percent * 10.0).round() / 10.0
        });
        let walk = bytes_per_point(|noise| {
            walk += noise.normal() * 0.01;
            walk
        });
        let queue = bytes_per_point(|noise| {
            if noise.unit() < 0.1 {
                queue = (noise.unit() * 100.0).floor();
            }
            queue
        });
        let independent = bytes_per_point(|noise| (noise.unit() * 1000.0).floor() / 10.0);
        for (name, most, size) in [
            ("memory bytes", 0.8, memory),
            ("memory bytes, half of them as before", 0.8, calm),
            ("percent, one decimal, a walk", 1.0, percent),
            ("percent, one decimal, any", 1.35, independent),
            ("random walk", 6.9, walk),
            ("constant", 0.04, bytes_per_point(|_| 42.0)),
            (
                "constant, any float",
                0.11,
                bytes_per_point(|_| 0.1_f64.sqrt()),
            ),
            ("absent", 0.0, bytes_per_point(|_| f64::NAN)),
            ("changes in every tenth point", 0.35, queue),
        ] {
            eprintln!("gauge, {name}: {size:.3} bytes per point");
            assert!(size <= most, "{name}: {size}");
        }
    }

    #[derive(Debug)]
    struct Owned {
        last: Vec<f64>,
        min: Vec<f64>,
        max: Vec<f64>,
        sum: Vec<f64>,
        count: Vec<u64>,
    }

    impl Owned {
        fn points(&self, is_coarse: bool) -> Points<'_> {
            Points {
                last: &self.last,
                min: &self.min,
                max: &self.max,
                totals: is_coarse.then_some((&self.sum, &self.count)),
            }
        }
    }

    fn any_points() -> impl Strategy<Value = Owned> {
        let extremes = (any_float(), any_float(), any_float(), 0_u64..20, 0_u8..8);
        let last = prop_oneof![
            any_floats(0..129),
            vec(prop_oneof![Just(1.5), Just(2.0), Just(f64::NAN)], 0..129)
        ];
        (last, vec(extremes, 128)).prop_map(|(last, others)| {
            let mut points = Owned {
                last,
                min: vec![],
                max: vec![],
                sum: vec![],
                count: vec![],
            };
            for (&last, &(min, max, sum, count, which)) in points.last.iter().zip(&others) {
                let min = if which == 5 { min } else { last };
                let max = if which >= 6 { max } else { last };
                let is_absent = last.is_nan() && min.is_nan() && max.is_nan();
                points.min.push(min);
                points.max.push(max);
                points.sum.push(if is_absent {
                    0.0
                } else if which == 1 {
                    last
                } else {
                    sum
                });
                points.count.push(if is_absent { 0 } else { count });
            }
            points
        })
    }

    fn all_same(left: &[f64], right: &[f64]) -> bool {
        left.iter()
            .map(|&v| same(v))
            .eq(right.iter().map(|&v| same(v)))
    }

    proptest! {
        #[test]
        fn points_survive_the_round_trip(points in any_points()) {
            let n = points.last.len();
            let bytes = encoded(&points.points(false));
            let [mut last, mut min, mut max, mut sum] = [(); 4].map(|()| vec![3.0; n]);
            read(&bytes, &mut last, &mut min, &mut max);
            prop_assert!(all_same(&last, &points.last) && all_same(&min, &points.min) && all_same(&max, &points.max));

            let bytes = encoded(&points.points(true));
            let mut count = vec![3; n];
            read_coarse(&bytes, [&mut last, &mut min, &mut max, &mut sum], &mut count);
            prop_assert!(all_same(&last, &points.last) && all_same(&min, &points.min) && all_same(&max, &points.max));
            prop_assert!(all_same(&sum, &points.sum), "{sum:?}");
            prop_assert_eq!(count, points.count);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200), n in 0_usize..140) {
            let [mut last, mut min, mut max, mut sum] = [(); 4].map(|()| vec![3.0; n]);
            read(&bytes, &mut last, &mut min, &mut max);
            read_coarse(&bytes, [&mut last, &mut min, &mut max, &mut sum], &mut vec![0; n]);
        }
    }
}
