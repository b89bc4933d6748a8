//! Reads whatever bytes there are as everything that they might be.

use metrics_recall::fuzzing::{
    chunks::{
        Histogram, MOST_POINTS, read_coarse_gauge, read_counter, read_counter_with_peaks,
        read_gauge,
    },
    segment::{Blocks, Segment},
};

/// Reads a chunk as one of each kind.
pub fn probe_chunk(bytes: &[u8], n: usize) {
    let (mut increments, mut peaks) = (vec![0; n], vec![0; n]);
    read_counter(bytes, &mut increments);
    read_counter_with_peaks(bytes, &mut increments, &mut peaks);
    let [mut last, mut min, mut max, mut sum] = [(); 4].map(|()| vec![0.0; n]);
    read_gauge(bytes, [&mut last, &mut min, &mut max]);
    read_coarse_gauge(bytes, [&mut last, &mut min, &mut max, &mut sum], &mut peaks);
    if let Some(chunk) = Histogram::open(bytes, n) {
        probe_histogram(&chunk, bytes.len(), n);
    }
}

fn probe_histogram(chunk: &Histogram<'_>, len: usize, n: usize) {
    let points = n.min(MOST_POINTS);
    let mut heads = 0;
    chunk.heads(0..n, |point, _| {
        assert!(point < points);
        heads += 1;
    });
    assert!(heads <= points);
    let mut spans = 0;
    chunk.spans(0..n, |point, _, _, _| {
        assert!(point < points);
        spans += 1;
    });
    // A span has at least its row, in seven bits, and three widths, in four; the last one may be cut off.
    assert!(spans <= len * 8 / 19 + 1);
    let lowest = chunk.codes().map_or(0, |codes| codes.0);
    for range in [0..n, n / 3..n, n / 2..n / 2] {
        let mut cells = 0;
        chunk.cells(range.clone(), |point, _, _| {
            assert!(range.contains(&point));
            cells += 1;
        });
        // A bucket has at least its mode, and a cell of each point or of each of 128 observations.
        assert!(cells <= 2 * points + (len * 8 / 3 + 2) * MOST_POINTS);
        let mut counts = [0; 100];
        chunk.add(range, lowest, &mut counts);
    }
}

/// Looks for chunks in any bytes.
pub fn probe_blocks(index: &[(u32, u32)], bytes: &[u8], ids: &[u32]) {
    let mut blocks = Blocks::default();
    for part in index.chunks(3) {
        blocks.push_bytes(part, bytes);
    }
    for id in ids.iter().chain(index.iter().map(|place| &place.0)) {
        if let Some(chunk) = blocks.find(*id) {
            assert!(chunk.len() <= bytes.len());
            probe_chunk(chunk, 3);
        }
    }
}

/// Reads a segment with and without its checksum; what is read is written as it was.
pub fn probe_segment(bytes: &[u8]) {
    if let Ok(segment) = Segment::read(bytes) {
        assert_eq!(segment.encode().0, bytes);
    }
    // Behind the length and in front of the checksum.
    let body = bytes.len().saturating_sub(4);
    for end in [body, bytes.len()] {
        if let Ok(segment) = Segment::read_body(&bytes[..end]) {
            assert_eq!(segment.encode().0[16..end], bytes[16..end]);
            for blocks in segment.blocks.iter().flatten() {
                for id in [0, 1, 4, 7, 100, u32::MAX] {
                    blocks
                        .find(id)
                        .into_iter()
                        .for_each(|chunk| probe_chunk(chunk, 3));
                }
            }
        }
    }
}
