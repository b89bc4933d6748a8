//! Where ticks, segments and tiers meet, nothing is missing and nothing counts twice.

use super::*;
use crate::codec::segment::Row;

#[test]
fn coarse_points_add_up_to_what_they_are_made_of() {
    let (_, mut history) = tiered(32 << 20, &[(1, 60), (10, 600), (60, 6_000)]);
    for at in 1..=3_000 {
        tick(&mut history, draft(3, at), at);
    }
    let timeline = history.published().lock().clone();
    let scratch = Charge::new(&history.ledger, Part::Queries, 0).expect("room");
    let reach = Reach::new(&timeline, 1, i128::MIN, &scratch).expect("room");
    let mut at = 0;
    for point in 0..reach.len() {
        let row = reach.row(point).expect("a row");
        assert_eq!(
            row.start_ns,
            at * SECOND,
            "no seam in front of point {point}"
        );
        at = row.end_ns / SECOND;
    }
    assert_eq!(at, 3_000);
    let lengths: Vec<u64> = (0..reach.len())
        .map(|point| reach.row(point).expect("a row").duration_ns() / SECOND)
        .collect();
    assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
    assert_eq!(lengths[0], 60);
    assert_eq!(lengths.last(), Some(&1));
    assert!(lengths.contains(&10));
}

#[test]
fn every_point_counts_once_however_segments_and_tiers_fall() {
    for (resolution, tiers) in [
        (1, [(1, 40), (5, 200), (15, 2_000)]),
        (1, [(1, 7), (2, 90), (60, 2_000)]),
    ] {
        let (_, mut history) = tiered(32 << 20, &tiers);
        let mut total = 0;
        for at in 1..=1_500 {
            tick(&mut history, draft(8, at * resolution), at);
            total += at * resolution;
            let now = history.published().lock().clone();
            let (rose, ns) = increase(&history, &now, 12);
            assert_eq!(
                (rose, ns),
                (total, at * SECOND),
                "after {at} ticks of {tiers:?}"
            );
        }
    }
}

/// Open points of tier 0 went as soon as no tier was to keep them, but the segment before them stayed a little longer,
/// for the seam: a window had what was older and what was newer, and nothing in between.
#[test]
fn ticks_expire_in_their_order_when_the_next_one_is_late() {
    let (_, mut history) = tiered(32 << 20, &[(1, 19), (10, 19)]);
    let mut end = 0;
    for (tick, seconds) in [2, 2, 2, 2, 2, 2, 2, 2, 16].into_iter().enumerate() {
        let span = Span {
            start_ns: end * SECOND,
            end_ns: (end + seconds) * SECOND,
            wall_ms: 0,
        };
        history.commit(&mut draft(1, 1), span, tick as u64 + 1);
        history.seal();
        end += seconds;
    }
    let timeline = history.published().lock().clone();
    let scratch = Charge::new(&history.ledger, Part::Queries, 0).expect("room");
    let reach = Reach::new(&timeline, 1, i128::MIN, &scratch).expect("room");
    let rows: Vec<Row> = reach.rows(&(0..reach.len())).collect();
    let gap = rows.windows(2).find(|two| two[0].end_ns != two[1].start_ns);
    assert_eq!(gap, None);
    assert_eq!(rows.last().map(|row| row.end_ns), Some(32 * SECOND));
}

/// A class that is kept in the finest tier and the coarsest, but not in between, never came to the coarsest: tiers are
/// made of each other.
#[test]
fn a_class_may_skip_a_tier_on_its_way() {
    let ledger = Arc::new(Ledger::new(32 << 20));
    let tier = |interval, keep| Tier {
        interval_ns: interval * SECOND,
        keep_ns: [60 * interval * SECOND, keep * SECOND, 0, 0],
        scale: 4,
    };
    let tiers = [tier(1, 20), tier(5, 0), tier(15, 600)];
    let mut history = History::new(ledger, &tiers, 0).expect("room");
    for at in 1..=900 {
        let mut draft = draft(1, 1);
        draft.counters.0[0] = 1;
        tick(&mut history, draft, at);
    }
    let timeline = history.published().lock().clone();
    let scratch = Charge::new(&history.ledger, Part::Queries, 0).expect("room");
    let reach = Reach::new(&timeline, 0b10, i128::MIN, &scratch).expect("room");
    let rows: Vec<Row> = reach.rows(&(0..reach.len())).collect();
    assert!(rows[0].start_ns <= 300 * SECOND, "{:?}", rows[0]);
    assert!(rows.windows(2).all(|two| two[0].end_ns == two[1].start_ns));
    let segments = &timeline.archive.tiers[2].segments;
    let newest = segments.last().expect("a segment");
    let chunk = newest.chunk(MetricKind::Counter, 1);
    assert!(chunk.is_some(), "its counts are there, too");
}

/// The tier of 4 s began after the two finer ones did, and the point of 8 s that the tier of 2 s would have gone on from
/// ended after the finest began: neither was used, the finest went on from the tier of 4 s all the same, and what was
/// between that and the points of 8 s was in no answer.
#[test]
fn tiers_that_reach_nearly_equally_far_leave_no_gap() {
    let (_, mut history) = tiered(32 << 20, &[(1, 48), (2, 48), (4, 48), (8, 104)]);
    let mut end = 0;
    for at in 1..=115 {
        let length = if (2..=48).contains(&at) { 780 } else { 1_000 };
        let span = Span {
            start_ns: end,
            end_ns: end + length * (SECOND / 1_000),
            wall_ms: 0,
        };
        history.commit(&mut draft(1, 1), span, at);
        history.seal();
        end = span.end_ns;
        let timeline = history.published().lock().clone();
        let scratch = Charge::new(&history.ledger, Part::Queries, 0).expect("room");
        let reach = Reach::new(&timeline, 1, i128::MIN, &scratch).expect("room");
        let rows: Vec<Row> = reach.rows(&(0..reach.len())).collect();
        let gap = rows.windows(2).find(|two| two[0].end_ns != two[1].start_ns);
        assert_eq!(gap, None, "tick {at}");
    }
}

/// Ticks that were dropped before they were sealed, or lost, were bridged by segments and coarse points: a gauge that was
/// set in them had its old value from then on.
#[test]
fn no_point_and_no_segment_reaches_over_a_gap() {
    let (_, mut history) = tiered(32 << 20, &[(1, 40), (10, 200)]);
    for at in (1..=120).filter(|at| !(33..=36).contains(at)) {
        tick(&mut history, draft(1, 1), at);
    }
    let timeline = history.published().lock().clone();
    let tiers = &timeline.archive.tiers;
    let segments = tiers.iter().flat_map(|tier| &tier.segments);
    let rows = segments.flat_map(|segment| {
        let mut two = segment.axis.rows().zip(segment.axis.rows().skip(1));
        assert!(two.all(|(before, row)| before.end_ns == row.start_ns));
        segment.axis.rows()
    });
    let open = tiers[1].open.iter().map(|kept| kept.row());
    let mut some = false;
    for row in rows.chain(open) {
        some = true;
        assert_eq!(u64::from(row.ticks) * SECOND, row.duration_ns(), "{row:?}");
    }
    assert!(some);
}
