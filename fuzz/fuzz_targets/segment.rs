//! Chunks, blocks and whole segments: readers take any bytes, in a time and with memory that these bytes bound, and what
//! is written comes back.
#![no_main]

#[path = "segment/input.rs"]
mod input;
#[path = "segment/probe.rs"]
mod probe;

use input::{Counts, Input, Levels, Point, Series, Whole};
use libfuzzer_sys::fuzz_target;
use metrics_recall::fuzzing::{
    chunks::{
        Histogram, MOST_POINTS, Received, encode_counter, encode_gauge, encode_histogram,
        read_coarse_gauge, read_counter, read_counter_with_peaks, read_gauge,
    },
    segment::{Blocks, CLASSES, KINDS, Segment},
};
use probe::{probe_blocks, probe_chunk, probe_segment};
use std::collections::BTreeMap;

fn counter(counts: &Counts) {
    let increments = counts.increments();
    let (bytes, len) = encode_counter(&increments, None);
    assert_eq!(bytes.len(), len);
    let n = increments.len();
    let mut back = vec![3; n];
    read_counter(&bytes, &mut back);
    assert_eq!(back, increments);

    let peaks = counts.peaks();
    let (bytes, len) = encode_counter(&increments, Some(&peaks));
    assert_eq!(bytes.len(), len);
    let mut back_peaks = vec![3; n];
    read_counter_with_peaks(&bytes, &mut back, &mut back_peaks);
    assert_eq!((back, back_peaks), (increments, peaks));
    probe_broken(bytes, counts.edit, n);
}

/// All NaNs are one.
fn same(values: &[f64]) -> Vec<u64> {
    let same = |value: &f64| if value.is_nan() { f64::NAN } else { *value };
    values.iter().map(|value| same(value).to_bits()).collect()
}

fn gauge(levels: &Levels) {
    let [last, min, max, sum] = levels.columns();
    let columns = [&*last, &*min, &*max];
    let n = last.len();
    let [mut last_back, mut min_back, mut max_back, mut sum_back] = [(); 4].map(|()| vec![3.0; n]);
    let (bytes, len) = encode_gauge(columns, None);
    assert_eq!(bytes.len(), len);
    read_gauge(&bytes, [&mut last_back, &mut min_back, &mut max_back]);
    assert_eq!(
        columns.map(same),
        [&last_back, &min_back, &max_back].map(|v| same(v))
    );

    let counts = levels.counts();
    let (bytes, len) = encode_gauge(columns, Some((&sum, &counts)));
    assert_eq!(bytes.len(), len);
    let mut counts_back = vec![3; n];
    let back = [&mut *last_back, &mut min_back, &mut max_back, &mut sum_back];
    read_coarse_gauge(&bytes, back, &mut counts_back);
    assert_eq!(
        columns.map(same),
        [&last_back, &min_back, &max_back].map(|v| same(v))
    );
    assert_eq!(same(&sum), same(&sum_back));
    assert_eq!(counts, counts_back);
    probe_broken(bytes, levels.edit, n);
}

fn histogram(scale: u8, points: &[Option<Point>], from: u8, edit: (u16, u8)) {
    let points = points.iter().take(MOST_POINTS);
    let points: Vec<Option<Received>> = points
        .map(|point| point.as_ref().map(Point::received))
        .collect();
    let (bytes, len) = encode_histogram(scale, &points);
    assert_eq!(bytes.len(), len);
    let n = points.len();
    match Histogram::open(&bytes, n) {
        None => assert!(points.iter().all(Option::is_none)),
        Some(chunk) => {
            assert_eq!(chunk.scale(), scale);
            let from = usize::from(from) % (n + 1);
            for range in [0..n, from..n, 0..from] {
                same_histogram(&chunk, &points, range);
            }
        }
    }
    probe_broken(bytes, edit, n);
}

fn same_histogram(
    chunk: &Histogram<'_>,
    points: &[Option<Received>],
    range: std::ops::Range<usize>,
) {
    let received = || {
        range
            .clone()
            .filter_map(|at| Some((at, points[at].as_ref()?)))
    };

    let mut heads = Vec::new();
    chunk.heads(range.clone(), |at, head| heads.push((at, same(&head))));
    let expected = received().map(|(at, ([sum, min, max], ..))| {
        let known = min <= max;
        let (min, max) = if known {
            (*min, *max)
        } else {
            (f64::INFINITY, f64::NEG_INFINITY)
        };
        (at, same(&[*sum, min, max]))
    });
    assert_eq!(heads, expected.collect::<Vec<_>>());

    let mut spans = Vec::new();
    chunk.spans(range.clone(), |at, from, to, n| {
        spans.push((at, (from, to, n)))
    });
    let expected = received().flat_map(|(at, (.., spans))| spans.iter().map(move |s| (at, *s)));
    assert_eq!(spans, expected.collect::<Vec<_>>());

    let mut cells = BTreeMap::new();
    chunk.cells(range.clone(), |at, code, n| {
        let there = cells.entry((at, code)).or_insert(0_u64);
        *there = there.wrapping_add(n);
    });
    let expected = received().flat_map(|(at, (_, buckets, _))| {
        buckets.iter().map(move |bucket| ((at, bucket.0), bucket.1))
    });
    assert_eq!(cells, expected.collect::<BTreeMap<_, _>>());

    let lowest = chunk.codes().map_or(0, |codes| codes.0);
    let mut counts = vec![0; 600];
    let total = chunk.add(range, lowest, &mut counts);
    assert_eq!(
        total,
        cells.values().fold(0, |sum: u64, n| sum.wrapping_add(*n))
    );
    let mut expected = vec![0_u64; 600];
    for ((_, code), n) in &cells {
        if let Some(there) = expected.get_mut(code.abs_diff(lowest) as usize) {
            *there = there.wrapping_add(*n);
        }
    }
    assert_eq!(counts, expected);
}

/// What a broken chunk means nobody knows; but it is read.
fn probe_broken(mut bytes: Vec<u8>, (at, value): (u16, u8), n: usize) {
    if !bytes.is_empty() {
        let at = usize::from(at) % bytes.len();
        bytes[at] = value;
        probe_chunk(&bytes, n);
        bytes.truncate(at);
    }
    probe_chunk(&bytes, n);
}

/// Blocks of so many series each.
fn blocks(series: &BTreeMap<u32, &[u8]>, each: u8) -> Blocks {
    let list: Vec<(u32, &[u8])> = series.iter().map(|(id, chunk)| (*id, *chunk)).collect();
    let mut blocks = Blocks::default();
    for series in list.chunks(usize::from(each).max(1)) {
        blocks.push(series.iter().copied());
    }
    blocks
}

fn find(series: &BTreeMap<u32, &[u8]>, each: u8, other: u32) {
    let blocks = blocks(series, each);
    for id in series.keys().chain([&other]) {
        assert_eq!(blocks.find(*id), series.get(id).copied());
    }
}

fn whole(whole: &Whole<'_>) {
    let of = |class: usize, kind: usize| -> BTreeMap<u32, &[u8]> {
        let series = whole.series.iter();
        let of = series.filter(|s| usize::from(s.class) % CLASSES == class);
        let of = of.filter(|s| usize::from(s.kind) % KINDS == kind);
        let id = |s: &Series<'_>| u32::from(s.number) * CLASSES as u32 + class as u32;
        of.map(|s| (id(s), s.chunk)).collect()
    };
    let segment = Segment {
        tick: whole.tick,
        is_coarse: whole.is_coarse,
        scale: whole.scale % 9,
        kept: 15,
        rows: whole.rows(),
        blocks: std::array::from_fn(|class| {
            std::array::from_fn(|kind| blocks(&of(class, kind), whole.each))
        }),
    };
    let (mut bytes, len) = segment.encode();
    assert_eq!(bytes.len(), len);
    assert_eq!(Segment::read(&bytes).as_ref(), Ok(&segment));
    for kind in 0..KINDS {
        for class in 0..CLASSES {
            for (id, chunk) in of(class, kind) {
                assert_eq!(segment.blocks[class][kind].find(id), Some(chunk));
            }
        }
    }
    for (at, value) in &whole.edits {
        let at = usize::from(*at) % bytes.len();
        bytes[at] = *value;
    }
    probe_segment(&bytes);
    bytes.truncate(usize::from(whole.cut) % bytes.len());
    assert!(Segment::read(&bytes).is_err(), "half a segment was read");
    probe_segment(&bytes);
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Chunk { bytes, n } => probe_chunk(bytes, usize::from(n)),
        Input::Block { index, bytes, ids } => probe_blocks(&index, bytes, &ids),
        Input::Stored(bytes) => probe_segment(bytes),
        Input::Counter(counts) => counter(&counts),
        Input::Gauge(levels) => gauge(&levels),
        Input::Histogram {
            scale,
            points,
            from,
            edit,
        } => histogram(scale % 9, &points, from, edit),
        Input::Find {
            series,
            each,
            other,
        } => find(&series, each, other),
        Input::Whole(input) => whole(&input),
    }
});
