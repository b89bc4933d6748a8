//! One counter over the points of a chunk: what it rose by in each, and in coarse tiers also by how much at most within
//! one tick of the point, the peak.
//!
//! Layout: no bytes if it never rose. Else, in bits: points that include all in which it did, as `codec::rows` writes them; their
//! increments, as `codec::ints` does. With peaks: of the points written so far, those whose peak is not the increment
//! itself, and their peaks. The number of points, and whether there are peaks, is known to who reads.
//!
//! Decoders accept any bytes, and never panic; nonsense comes out as some numbers.

use super::bits::{Reader, Writer};
use super::ints;
use super::rows::{self, MOST_ROWS, Rows};

/// How a chunk will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Points that are written: all in which the counter rose.
    active: Rows,
    increments: ints::Plan,
    /// Which of these have a peak of their own.
    peaks: Option<(Rows, ints::Plan)>,
    bits: usize,
}

impl Plan {
    /// Looks at a chunk: at most 128 increments.
    pub(crate) fn new(increments: &[u64]) -> Self {
        let active = rows::collect(increments.iter().map(|&increment| increment > 0));
        let (rising, n) = (rows::count(active), increments.len());
        if 2 * rising < n || rising == n {
            return Self::of(active, increments);
        }
        // With few zeros here and there, these cost less than to say where they are.
        let all = Self::of(rows::first(n), increments);
        if rows::bits(active, n) * n >= all.bits * (n - rising) && !zeros_are_far(increments) {
            return all;
        }
        let plan = Self::of(active, increments);
        if all.bits < plan.bits { all } else { plan }
    }

    fn of(active: Rows, increments: &[u64]) -> Self {
        let plan = if active == rows::first(increments.len()) {
            ints::Plan::new(increments)
        } else {
            let mut column = [0; MOST_ROWS];
            ints::Plan::new(rows::gather(increments, active, &mut column))
        };
        Self {
            active,
            increments: plan,
            peaks: None,
            bits: rows::bits(active, increments.len()) + plan.bits(),
        }
    }

    /// Looks at a chunk of a coarse tier. There are as many peaks as increments; one without an increment is left out.
    pub(crate) fn with_peaks(increments: &[u64], peaks: &[u64]) -> Self {
        debug_assert_eq!(increments.len(), peaks.len());
        let mut plan = Self::new(increments);
        let mut column = [0; MOST_ROWS];
        let own = own_peaks(increments, peaks, plan.active);
        let own_plan = ints::Plan::new(rows::gather(
            peaks,
            rows::spread(own, plan.active),
            &mut column,
        ));
        plan.bits += rows::bits(own, rows::count(plan.active));
        if own != 0 {
            plan.bits += own_plan.bits();
        }
        plan.peaks = Some((own, own_plan));
        plan
    }

    /// Exactly how many bytes [`Plan::write`] appends.
    pub(crate) const fn encoded_len(&self) -> usize {
        match self.active {
            0 => 0,
            _ => self.bits.div_ceil(8),
        }
    }

    /// Appends the chunk that the plan was made for; `peaks` is not looked at if the plan knows of none.
    pub(crate) fn write(&self, increments: &[u64], peaks: &[u64], out: &mut Vec<u8>) {
        if self.active == 0 {
            return;
        }
        let mut writer = Writer::new(out);
        rows::write(self.active, increments.len(), &mut writer);
        let mut column;
        let active = if self.active == rows::first(increments.len()) {
            increments
        } else {
            column = [0; MOST_ROWS];
            rows::gather(increments, self.active, &mut column)
        };
        self.increments.write(active, &mut writer);
        if let Some((own, plan)) = &self.peaks {
            rows::write(*own, rows::count(self.active), &mut writer);
            if *own != 0 {
                let mut column = [0; MOST_ROWS];
                plan.write(
                    rows::gather(peaks, rows::spread(*own, self.active), &mut column),
                    &mut writer,
                );
            }
        }
        writer.finish();
    }
}

/// Reads the increments of all points, at most 128.
#[inline]
pub(crate) fn read(bytes: &[u8], increments: &mut [u64]) {
    read_increments(bytes, increments);
}

/// Reads the increments and peaks of all points, at most 128.
pub(crate) fn read_with_peaks(bytes: &[u8], increments: &mut [u64], peaks: &mut [u64]) {
    let Some((active, mut reader)) = read_increments(bytes, increments) else {
        peaks.fill(0);
        return;
    };
    for (peak, &increment) in peaks.iter_mut().zip(&*increments) {
        *peak = increment;
    }
    let own = rows::read(rows::count(active), &mut reader);
    if own != 0 {
        let mut column = [0; MOST_ROWS];
        let column = column.get_mut(..rows::count(own)).unwrap_or_default();
        ints::read(&mut reader, column);
        rows::scatter(column, rows::spread(own, active), peaks);
    }
}

/// `None`: there are no bytes.
#[inline]
fn read_increments<'a>(bytes: &'a [u8], increments: &mut [u64]) -> Option<(Rows, Reader<'a>)> {
    let n = increments.len().min(MOST_ROWS);
    if bytes.is_empty() {
        increments.fill(0);
        return None;
    }
    let mut reader = Reader::new(bytes);
    let active = rows::read(n, &mut reader);
    if active == rows::first(n) {
        ints::read(&mut reader, increments);
    } else {
        let mut column = [0; MOST_ROWS];
        let column = column.get_mut(..rows::count(active)).unwrap_or_default();
        ints::read(&mut reader, column);
        increments.fill(0);
        rows::scatter(column, active, increments);
    }
    Some((active, reader))
}

/// Whether the other increments are nearer to each other than to zero, and cost less when they are alone.
fn zeros_are_far(increments: &[u64]) -> bool {
    let rising = increments.iter().filter(|&&increment| increment > 0);
    let (least, most) = rising.fold((u64::MAX, 0), |(least, most), &increment| {
        (least.min(increment), most.max(increment))
    });
    least > most / 8 + 1
}

/// Places of points whose peak is not their increment.
fn own_peaks(increments: &[u64], peaks: &[u64], active: Rows) -> Rows {
    rows::collect(rows::iter(active).map(|row| peaks.get(row) != increments.get(row)))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::ints::tests::any_integers;
    use crate::codec::noise::{Noise, each};

    fn encoded(increments: &[u64], peaks: Option<&[u64]>) -> Vec<u8> {
        let plan = peaks.map_or_else(
            || Plan::new(increments),
            |peaks| Plan::with_peaks(increments, peaks),
        );
        let mut bytes = vec![9];
        plan.write(increments, peaks.unwrap_or_default(), &mut bytes);
        assert_eq!(bytes.len(), 1 + plan.encoded_len());
        bytes.split_off(1)
    }

    /// Bytes per point, averaged over many chunks of 120.
    fn bytes_per_point(mut increment: impl FnMut(&mut Noise) -> u64) -> f64 {
        let mut noise = Noise::new(1);
        let len: usize = (0..100)
            .map(|_| {
                encoded(
                    &(0..120).map(|_| increment(&mut noise)).collect::<Vec<_>>(),
                    None,
                )
                .len()
            })
            .sum();
        each(len, 12_000)
    }

    #[test]
    fn bytes_per_point_are_what_we_promise() {
        for (name, most, size) in [
            ("idle", 0.0, bytes_per_point(|_| 0)),
            (
                "Poisson(50)",
                0.72,
                bytes_per_point(|noise| noise.poisson(50.0)),
            ),
            (
                "Poisson(1)",
                0.32,
                bytes_per_point(|noise| noise.poisson(1.0)),
            ),
            ("constant", 0.03, bytes_per_point(|_| 1000)),
            (
                "5 % active",
                0.13,
                bytes_per_point(|noise| {
                    if noise.unit() < 0.05 {
                        noise.poisson(50.0)
                    } else {
                        0
                    }
                }),
            ),
        ] {
            eprintln!("counter, {name}: {size:.3} bytes per point");
            assert!(size <= most, "{name}: {size}");
        }
    }

    #[test]
    fn peaks_are_cheap_where_they_can_be_foretold() {
        let increments: Vec<u64> = (0..120).map(|i| i % 7 * 100).collect();
        let alone = encoded(&increments, None).len();
        let same = encoded(&increments, Some(&increments)).len();
        assert!(same <= alone + 2, "{alone} {same}");
        let tenths: Vec<u64> = (0..120).map(|i| if i % 7 == 0 { 0 } else { 90 }).collect();
        let constant = encoded(&increments, Some(&tenths)).len();
        assert!(constant <= alone + 4, "{alone} {constant}");
    }

    fn sparse() -> impl Strategy<Value = Vec<u64>> {
        prop_oneof![
            vec(prop_oneof![9 => Just(0), 1 => any::<u64>()], 0..129),
            (0_usize..60, 0_usize..60, 1_u64..100)
                .prop_map(|(a, b, v)| [vec![0; a], vec![v; b]].concat()),
        ]
    }

    proptest! {
        #[test]
        fn increments_survive_the_round_trip(increments in prop_oneof![any_integers(0..129), sparse()]) {
            let bytes = encoded(&increments, None);
            let mut back = vec![3; increments.len()];
            read(&bytes, &mut back);
            prop_assert_eq!(&back, &increments);
        }

        #[test]
        fn peaks_survive_the_round_trip(increments in prop_oneof![any_integers(0..129), sparse()], divisor in 1_u64..10, odd in vec(any::<u64>(), 128)) {
            let peak = |(&increment, &odd): (&u64, &u64)| if increment == 0 { 0 } else if odd % 8 == 0 { odd } else { increment / divisor };
            let peaks: Vec<u64> = increments.iter().zip(&odd).map(peak).collect();
            let bytes = encoded(&increments, Some(&peaks));
            let (mut back, mut back_peaks) = (vec![3; increments.len()], vec![3; increments.len()]);
            read_with_peaks(&bytes, &mut back, &mut back_peaks);
            prop_assert_eq!(back, increments);
            prop_assert_eq!(back_peaks, peaks);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..200), n in 0_usize..140) {
            let (mut increments, mut peaks) = (vec![0; n], vec![0; n]);
            read(&bytes, &mut increments);
            read_with_peaks(&bytes, &mut increments, &mut peaks);
        }
    }
}
