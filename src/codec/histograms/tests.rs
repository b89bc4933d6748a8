//! Round trips through compiler and chunk, sizes, and bytes that nobody wrote.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::codec::compile::Compiler;
use crate::codec::floats::tests::{any_float, same};
use crate::codec::noise::{Noise, each};

type Span = (Code, Code, u64);

/// What is recorded in one point.
#[derive(Clone, Debug)]
struct Row {
    head: Head,
    buckets: Vec<(Code, u64)>,
    spans: Vec<Span>,
}

fn encoded(scale: u8, points: &[Option<Row>]) -> Vec<u8> {
    let mut compiler = Compiler::new(scale);
    for point in points {
        match point {
            Some(row) => compiler.add(
                row.head,
                row.buckets.iter().copied(),
                row.spans.iter().copied(),
            ),
            None => compiler.skip(),
        }
    }
    let plan = compiler.plan();
    let mut bytes = vec![9];
    compiler.write(&plan, &mut bytes);
    assert_eq!(bytes.len(), 1 + plan.encoded_len());
    bytes.split_off(1)
}

fn row_of(scale: u8, values: &[f64]) -> Option<Row> {
    let mut buckets = BTreeMap::new();
    for &value in values {
        *buckets
            .entry(Schema::get(scale).code(value).unwrap())
            .or_insert(0) += 1;
    }
    let head = Head {
        sum: values.iter().sum(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    let row = Row {
        head,
        buckets: buckets.into_iter().collect(),
        spans: vec![],
    };
    (!values.is_empty()).then_some(row)
}

/// A chunk of 120 points, each with so many observations of what `value` says.
fn chunk(
    scale: u8,
    observations: usize,
    mut value: impl FnMut(&mut Noise) -> f64,
) -> Vec<Option<Row>> {
    let mut noise = Noise::new(7);
    let mut values = || {
        (0..observations)
            .map(|_| value(&mut noise))
            .collect::<Vec<_>>()
    };
    (0..120).map(|_| row_of(scale, &values())).collect()
}

/// Durations around 20 ms, as floats that use all their bits.
fn lognormal(sigma: f64) -> impl FnMut(&mut Noise) -> f64 {
    move |noise| 0.02 * (sigma * noise.normal()).exp()
}

/// The same, as clocks tell them.
fn nanoseconds(sigma: f64) -> impl FnMut(&mut Noise) -> f64 {
    move |noise| (0.02e9 * (sigma * noise.normal()).exp()).round() / 1e9
}

#[test]
fn bytes_per_row_are_what_we_promise() {
    for (name, most, points) in [
        (
            "sigma 0.5, 100 observations",
            38.5,
            chunk(4, 100, lognormal(0.5)),
        ),
        (
            "sigma 1.0, 100 observations",
            46.5,
            chunk(4, 100, lognormal(1.0)),
        ),
        (
            "sigma 0.5, 100 observations in ns",
            31.0,
            chunk(4, 100, nanoseconds(0.5)),
        ),
        (
            "sigma 1.0, 100 observations in ns",
            39.0,
            chunk(4, 100, nanoseconds(1.0)),
        ),
        (
            "sigma 0.5, 1000 observations",
            60.0,
            chunk(4, 1000, lognormal(0.5)),
        ),
        (
            "sigma 1.0, 10 observations",
            28.0,
            chunk(4, 10, lognormal(1.0)),
        ),
        ("sigma 1.0, 1 observation", 7.5, chunk(4, 1, lognormal(1.0))),
        (
            "sigma 1.0, 1 observation in ns",
            4.5,
            chunk(4, 1, nanoseconds(1.0)),
        ),
        ("always the same", 0.3, chunk(4, 100, |_| 0.25)),
        (
            "few integers",
            3.5,
            chunk(4, 100, |noise| (noise.unit() * 4.0).floor()),
        ),
    ] {
        let buckets: usize = points.iter().flatten().map(|row| row.buckets.len()).sum();
        let size = each(encoded(4, &points).len(), 120);
        eprintln!(
            "histogram, {name}: {size:.1} bytes per row, {} buckets",
            buckets / 120
        );
        assert!(size <= most, "{name}: {size}");
    }
}

#[test]
fn nothing_takes_no_bytes() {
    assert_eq!(encoded(4, &[]), []);
    assert_eq!(encoded(4, &vec![None; 120]), []);
    assert!(Chunk::open(&[], 120).is_none());
}

#[test]
fn a_compiler_gets_all_its_room_at_once() {
    let points = chunk(4, 100, lognormal(1.0));
    let buckets = || points.iter().flatten().flat_map(|row| &row.buckets);
    let codes = || buckets().map(|bucket| bucket.0);
    let codes = codes().max().unwrap().abs_diff(codes().min().unwrap()) as usize + 1;
    let mut compiler = Compiler::new(4);
    compiler.reserve(buckets().count(), 0, codes);
    let needed = Compiler::needed(buckets().count(), 0, codes);
    assert_eq!(compiler.bytes(), needed);
    for _ in 0..3 {
        compiler.clear(4);
        for row in points.iter().flatten() {
            compiler.add(row.head, row.buckets.iter().copied(), []);
        }
        let plan = compiler.plan();
        let mut bytes = Vec::with_capacity(plan.encoded_len());
        let room = bytes.capacity();
        compiler.write(&plan, &mut bytes);
        assert_eq!((bytes.len(), bytes.capacity()), (plan.encoded_len(), room));
    }
    assert_eq!(compiler.bytes(), needed);
}

/// A rare burst made all counts of its buckets as wide as its own.
#[test]
fn outliers_do_not_make_others_wide() {
    let calm = chunk(4, 100, lognormal(0.5));
    let mut burst = calm.clone();
    for bucket in &mut burst[50].as_mut().unwrap().buckets {
        bucket.1 *= 1_000_000;
    }
    let (calm, burst) = (encoded(4, &calm).len(), encoded(4, &burst).len());
    assert!(burst < calm + 400, "{calm} {burst}");
}

/// Codes beyond the highest were once counted towards, which is too far where there is none.
#[test]
fn the_lowest_and_the_highest_code_are_kept() {
    for code in [Code::MIN, Code::MAX] {
        let row = Row {
            head: Head {
                sum: 3.0,
                min: 1.0,
                max: 2.0,
            },
            buckets: vec![(code, 7)],
            spans: vec![],
        };
        let bytes = encoded(3, &[Some(row)]);
        let chunk = Chunk::open(&bytes, 1).unwrap();
        assert_eq!(chunk.codes(), Some((code, code)));
        let mut cells = Vec::new();
        chunk.cells(0..1, |at, code, n| cells.push((at, code, n)));
        assert_eq!(cells, [(0, code, 7)]);
    }
}

fn any_row(scale: u8) -> impl Strategy<Value = Option<Row>> {
    let code = prop_oneof![-300..300, -70_000..70_000, any::<i32>()];
    let count = prop_oneof![8 => 1..5_u64, 2 => 1..300_u64, 1 => 1..=u64::MAX];
    let spans = vec((any::<i32>(), any::<i32>(), any::<u64>()), 0..2);
    let strange = (
        btree_map(code, count, 0..40),
        [any_float(), any_float(), any_float()],
        spans,
    )
        .prop_map(|(buckets, [sum, min, max], spans)| Row {
            head: Head { sum, min, max },
            buckets: buckets.into_iter().collect(),
            spans,
        });
    let plain = vec(0.5..4.0, 1..20).prop_map(move |values| row_of(scale, &values));
    let mixed = vec(any_float(), 1..4).prop_map(move |values| {
        row_of(
            scale,
            &values
                .into_iter()
                .filter(|value| value.is_finite())
                .collect::<Vec<_>>(),
        )
    });
    prop_oneof![1 => Just(None), 1 => strange.prop_map(Some), 6 => plain, 1 => mixed]
}

fn any_points() -> impl Strategy<Value = (u8, Vec<Option<Row>>)> {
    (0_u8..=8).prop_flat_map(|scale| {
        let alike = vec(vec(0.5..4.0, 0..20), 0..129)
            .prop_map(move |rows| rows.iter().map(|values| row_of(scale, values)).collect());
        (Just(scale), prop_oneof![vec(any_row(scale), 0..129), alike])
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn points_survive_the_round_trip((scale, points) in any_points(), a in 0_usize..129, b in 0_usize..129) {
        let bytes = encoded(scale, &points);
        let n = points.len();
        let Some(chunk) = Chunk::open(&bytes, n) else {
            prop_assert!(points.iter().all(Option::is_none));
            return Ok(());
        };
        prop_assert_eq!(chunk.scale(), scale);
        for range in [0..n, a.min(b).min(n)..a.max(b).min(n)] {
            let rows: Vec<(usize, &Row)> = range.clone().filter_map(|at| Some((at, points[at].as_ref()?))).collect();

            let mut heads = Vec::new();
            chunk.heads(range.clone(), |at, head| heads.push((at, [head.sum, head.min, head.max].map(same))));
            let expected = rows.iter().map(|(at, row)| {
                let head = row.head;
                let known = head.min <= head.max;
                let (min, max) = if known { (head.min, head.max) } else { (f64::INFINITY, f64::NEG_INFINITY) };
                (*at, [head.sum, min, max].map(same))
            });
            prop_assert_eq!(heads, expected.collect::<Vec<_>>());

            let mut spans = Vec::new();
            chunk.spans(range.clone(), |at, from, to, count| spans.push((at, (from, to, count))));
            let expected = rows.iter().flat_map(|(at, row)| row.spans.iter().map(move |span| (*at, *span)));
            prop_assert_eq!(spans, expected.collect::<Vec<_>>());

            let mut cells = BTreeMap::new();
            chunk.cells(range.clone(), |at, code, count| *cells.entry((at, code)).or_insert(0_u64) += count);
            let expected = rows.iter().flat_map(|(at, row)| row.buckets.iter().map(move |b| ((*at, b.0), b.1)));
            prop_assert_eq!(&cells, &expected.collect::<BTreeMap<_, _>>());

            // As far as the codes are near enough to each other to be added up.
            let lowest = chunk.codes().map_or(0, |codes| codes.0);
            let mut counts = vec![0; 2000];
            let total = chunk.add(range, lowest, &mut counts);
            prop_assert_eq!(total, cells.values().fold(0_u64, |sum, count| sum.wrapping_add(*count)));
            let mut expected = vec![0_u64; 2000];
            for (&(_, code), &count) in &cells {
                if let Some(there) = expected.get_mut(code.abs_diff(lowest) as usize) {
                    *there = there.wrapping_add(count);
                }
            }
            prop_assert_eq!(counts, expected);
        }
        let codes = || points.iter().flatten().flat_map(|row| &row.buckets).map(|bucket| bucket.0);
        prop_assert_eq!(chunk.codes(), codes().min().zip(codes().max()));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..300), n in 0_usize..129) {
        probe(&bytes, n);
    }

    #[test]
    fn cut_and_broken_chunks_are_read_without_panic(
        (scale, points) in any_points(),
        cut in any::<prop::sample::Index>(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = encoded(scale, &points);
        if !bytes.is_empty() {
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        probe(&bytes, points.len());
    }
}

/// Reads everything there is.
fn probe(bytes: &[u8], n: usize) {
    if let Some(chunk) = Chunk::open(bytes, n) {
        let mut counts = [0; 100];
        chunk.codes();
        chunk.heads(0..n, |_, _| ());
        chunk.spans(0..n, |_, _, _, _| ());
        chunk.add(0..n, 0, &mut counts);
        chunk.add(n / 3..n, 0, &mut counts);
        chunk.cells(0..n, |_, _, _| ());
    }
}
