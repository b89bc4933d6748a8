//! What history promises to its one writer and to its readers.

mod seams;

use super::*;
use crate::{
    codec::counters,
    ledger::{BASE, SMALLEST},
    model::{
        MetricKind,
        frame::{CLASS_BITS, GaugePoint, SeriesId},
    },
};

const SECOND: u64 = 1_000_000_000;

fn span(at: u64) -> Span {
    Span {
        start_ns: at.saturating_sub(1) * SECOND,
        end_ns: at * SECOND,
        wall_ms: 0,
    }
}

fn draft(counters: usize, delta: u64) -> Draft {
    let mut draft = Draft::default();
    for id in 0..counters {
        draft
            .counters
            .0
            // The lowest bits are the class.
            .push(u32::try_from(id << CLASS_BITS).expect("a small id"));
        draft.counters.1.push(delta);
    }
    draft
}

/// Ten seconds of ticks, and no coarser tier.
fn history(budget: usize) -> (Arc<Ledger>, History) {
    tiered(budget, &[(1, 10)])
}

/// Tiers by interval and retention, in seconds.
pub(super) fn tiered(budget: usize, tiers: &[(u64, u64)]) -> (Arc<Ledger>, History) {
    let ledger = Arc::new(Ledger::new(budget));
    let tier = |(interval, keep): &(u64, u64)| Tier {
        interval_ns: interval * SECOND,
        keep_ns: [keep * SECOND, 0, 0, 0],
        scale: 4,
    };
    let tiers: Vec<Tier> = tiers.iter().map(tier).collect();
    let history = History::new(ledger.clone(), &tiers, 0).expect("room");
    (ledger, history)
}

/// What an empty history takes that has a single tier.
fn empty() -> usize {
    BASE + History::list_bytes(1) + size_of::<Bench>()
}

fn tick(history: &mut History, mut draft: Draft, at: u64) {
    let commit = history.commit(&mut draft, span(at), at);
    assert_eq!(commit, Commit::Added, "tick {at}");
    history.seal();
}

#[test]
fn points_go_when_their_retention_is_over() {
    let (_, mut history) = history(SMALLEST);
    for at in 1..=30 {
        tick(&mut history, draft(1, at), at);
    }
    let oldest = history.current.oldest_tick().expect("some tick");
    // A segment goes when all of it is old enough.
    assert!((18..=21).contains(&oldest), "{oldest}");
    assert_eq!(history.shortened, [0]);
}

/// Ids come from hashes with a seed of chance, and series with more points take more of a slice: so the order decided how many
/// ticks sealing took, and when points went.
#[test]
fn equal_ticks_are_sealed_in_the_same_tick_whatever_the_order_of_series() {
    let open = |busy: SeriesId, quiet: SeriesId| {
        let (_, mut history) = tiered(32 << 20, &[(1, 480)]);
        let each = (1..=700_u32).map(|at| {
            let mut ids = vec![busy];
            ids.extend(at.is_multiple_of(3).then_some(quiet));
            ids.sort_unstable();
            let value = f64::from(at);
            let mut draft = Draft::default();
            for id in ids {
                draft.gauges.0.push(id << CLASS_BITS);
                draft.gauges.1.push(GaugePoint {
                    last: value,
                    min: value,
                    max: value,
                    prev: value - 1.0,
                });
            }
            tick(&mut history, draft, at.into());
            (history.open(0).len(), history.current.oldest_tick())
        });
        each.collect::<Vec<_>>()
    };
    assert_eq!(open(1, 2), open(2, 1));
}

#[test]
fn pressure_drops_the_oldest_frames_and_never_the_newest() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=8 {
        history.leave_free(30_000);
        history.commit(&mut draft(2_000, at), span(at), at);
        assert!(ledger.used() <= ledger.budget());
        assert_eq!(history.newest().unwrap().counters.1.get(0), Some(at));
    }
    assert!(history.shortened[0] > 0);
}

#[test]
fn without_room_for_a_copy_the_draft_becomes_the_frame() {
    let (ledger, mut history) = history(SMALLEST);
    let mut draft = draft(4_000, u64::MAX);
    ledger
        .reserve(Part::Tick, draft.bytes_held())
        .expect("the draft fits");
    assert_eq!(history.commit(&mut draft, span(1), 1), Commit::Added);
    assert_eq!(draft.bytes_held(), 0);
    assert_eq!(ledger.part(Part::Tick), size_of::<Bench>());
    assert_eq!(history.newest().map(|f| f.counters.0.len()), Some(4_000));
    drop(history);
    assert_eq!(ledger.used(), empty());
}

/// What a frame takes: numbers below 2^32 four bytes, and the list of series nothing, if it is that of the frame before.
#[test]
fn frames_share_the_list_of_series_for_as_long_as_these_are_the_same() {
    let (ledger, mut history) = history(32 << 20);
    let mut before = ledger.part(Part::History);
    let mut commit = |draft: &mut Draft, at| {
        history.commit(draft, span(at), at);
        let now = ledger.part(Part::History);
        let grown = now - std::mem::replace(&mut before, now);
        let beside = layout::arc::<Kept>() + layout::vec::<Arc<Kept>>(1);
        grown - beside
    };
    let list = commit(&mut draft(1_000, 7), 1) - 4_000;
    assert!((4_000..4_100).contains(&list), "{list}");
    assert_eq!(commit(&mut draft(1_000, 8), 2), 4_000);
    assert_eq!(commit(&mut draft(1_000, 1 << 32), 3), 8_000);
    assert_eq!(commit(&mut draft(999, 9), 4), list - 4 + 999 * 4);
    assert_eq!(commit(&mut draft(1_000, 9), 5), list + 4_000);
    let sizes: Vec<usize> = timeline::each_open(history.open(0)).collect();
    assert_eq!(sizes.len(), 5);
    assert!(
        sizes[0] < sizes[2] && sizes[1] < sizes[2],
        "the third one is the last that has the list"
    );
    drop(history);
    assert_eq!(ledger.used(), empty());
}

/// A list of series that was taken from a draft, with all the room that a storm had left there, was handed on from frame to
/// frame for as long as the same series changed.
#[test]
fn the_room_that_a_storm_left_in_a_list_goes_with_its_frame() {
    let (ledger, mut history) = history(32 << 20);
    let mut storm = draft(100, 1);
    storm.counters.0.reserve_exact(100_000);
    ledger
        .reserve(Part::Tick, storm.bytes_held())
        .expect("room");
    let rest = ledger.free() - 1_000;
    ledger.reserve(Part::Collectors, rest).expect("room");
    assert_eq!(history.commit(&mut storm, span(1), 1), Commit::Added);
    assert!(storm.bytes_held() == 0, "it was taken");
    ledger.release(Part::Collectors, rest);
    assert!(history.current.frames_bytes > 400_000);
    for at in 2..=3 {
        history.commit(&mut draft(100, 1), span(at), at);
    }
    assert!(history.drop_open(400_000));
    assert!(history.current.frames_bytes < 5_000);
}

#[test]
fn room_is_made_of_old_frames_and_never_of_the_newest() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=5 {
        history.commit(&mut draft(500, at), span(at), at);
    }
    history.leave_free(ledger.budget());
    assert_eq!(history.current.frames.len(), 1);
    assert_eq!(history.newest().and_then(|f| f.counters.1.get(0)), Some(5));
}

#[test]
fn what_a_reader_holds_is_free_when_it_is_done() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=5 {
        history.commit(&mut draft(500, at), span(at), at);
    }
    let held = history.published().lock().clone();
    let free = ledger.free();
    history.leave_free(ledger.budget());
    assert_eq!((history.current.frames.len(), held.frames.len()), (1, 5));
    assert!(ledger.free() <= free);
    drop(held);
    // The list of series is shared with the frame that stays.
    assert!(ledger.free() > free + 4 * 500 * 4);
}

#[test]
fn a_held_timeline_stays_charged_and_keeps_its_ticks() {
    let (ledger, mut history) = history(SMALLEST);
    history.commit(&mut draft(100, 1), span(1), 1);
    let held = history.published().lock().clone();
    for at in 2..=40 {
        tick(&mut history, draft(0, 0), at);
    }
    assert_eq!(held.frames[0].frame.counters.1.get(0), Some(1));
    assert_eq!(history.oldest_ticks(), [Some(1); CLASSES]);
    let with = ledger.used();
    drop(held);
    assert!(ledger.used() + 100 * 12 <= with);
    assert!(history.oldest_ticks().iter().all(|tick| *tick > Some(28)));
}

#[test]
fn everything_is_given_back_in_the_end() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=20 {
        history.commit(&mut draft(50, at), span(at), at);
    }
    drop(history);
    assert_eq!(ledger.used(), empty());
}

#[test]
fn ticks_at_the_same_instant_become_one_frame() {
    let (_, mut history) = history(SMALLEST);
    history.commit(&mut draft(3, 5), span(1), 1);
    let mut more = draft(1, 2);
    more.counters.0[0] = 8;
    assert_eq!(history.commit(&mut more, span(1), 2), Commit::Merged);
    let frame = history.newest().unwrap();
    assert_eq!(&*frame.counters.0, [0, 4, 8]);
    let increments: Vec<u64> = frame.counters.1.iter().collect();
    assert_eq!(increments, [5, 5, 7]);
    assert_eq!(history.current.frames.len(), 1);
}

/// A reader in the middle of its question pinned every frame; the tick dropped one after the other, which freed nothing,
/// and in the end all of history.
#[test]
fn a_full_ledger_and_a_reader_do_not_cost_all_of_history() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=8 {
        assert_eq!(
            history.commit(&mut draft(500, at << 40), span(at), at),
            Commit::Added
        );
    }
    let reader = history.published().lock().clone();
    ledger
        .reserve(Part::Tick, ledger.free() - 1_000)
        .expect("nearly all that is left");
    for _ in 0..10 {
        history.leave_free(8_000);
        assert_eq!(history.current.frames.len(), 6);
    }
    drop(reader);
    assert!(ledger.free() > 8_000);
}

#[test]
fn frames_become_segments_and_take_a_fraction_of_their_room() {
    let (ledger, mut history) = tiered(96 << 20, &[(1, 600)]);
    for at in 1..=121 {
        tick(&mut history, draft(1_000, 40 + at % 7), at);
    }
    let open = history.current.bytes();
    assert!(history.sealings[0].is_some());
    history.seal_now(0);
    let segments = &history.current.archive.tiers[0].segments;
    assert_eq!((segments.len(), segments[0].axis.len()), (1, 120));
    assert_eq!(history.current.frames.len(), 1);
    assert!(segments[0].bytes() < 110_000, "{}", segments[0].bytes());
    assert!(history.current.bytes() < open / 4);
    // Replaced frames leave a few at a time.
    let with = ledger.part(Part::History);
    tick(&mut history, draft(1, 1), 122);
    let freed = with - ledger.part(Part::History);
    assert!((10_000..20_000).contains(&freed), "{freed}");
}

#[test]
fn pressure_halves_the_finest_tier_before_it_touches_the_next() {
    let (_, mut history) = tiered(32 << 20, &[(1, 600), (10, 7_200), (60, 86_400)]);
    for at in 1..=10_000 {
        tick(&mut history, draft(20, at % 50), at);
    }
    let lengths = |history: &History| {
        let tiers = history.current.archive.tiers.iter();
        tiers.map(|tier| tier.segments.len()).collect::<Vec<_>>()
    };
    let before = lengths(&history);
    assert!(history.drop_segments(1));
    let after = lengths(&history);
    assert_eq!(after, [before[0] - 1, before[1], before[2]]);
    let all = history.current.archive.tiers[0].bytes();
    assert!(history.drop_segments(all / 2));
    let after = lengths(&history);
    assert!(
        after[0] * 2 >= before[0] - 2 && after[1] < before[1],
        "{before:?} {after:?}"
    );
    assert_eq!(after[2], before[2]);
}

/// What one counter rose by in all points that a timeline has, and how many nanoseconds these cover.
fn increase(history: &History, timeline: &Timeline, id: SeriesId) -> (u64, u64) {
    let scratch = Charge::new(&history.ledger, Part::Queries, 0).expect("room");
    let reach = Reach::new(timeline, 1, i128::MIN, &scratch).expect("room");
    let (mut rose, mut hint) = (0, 0);
    for piece in &reach.pieces {
        match piece.source {
            Source::Frame(kept) => {
                rose += kept.frame.counter(id, &mut hint).map_or(0, |(by, _)| by);
            }
            Source::Segment(segment) => {
                let chunk = segment.chunk(MetricKind::Counter, id).unwrap_or_default();
                let mut increments = vec![0; segment.axis.len()];
                counters::read(chunk, &mut increments);
                rose += increments[piece.rows.clone()].iter().sum::<u64>();
            }
        }
    }
    (rose, reach.covered_ns(&(0..reach.len())))
}

#[test]
fn a_snapshot_that_is_held_for_minutes_stays_what_it_was_while_history_gives_way_around_it() {
    let (ledger, mut history) = tiered(2 << 20, &[(1, 600), (10, 7_200), (60, 86_400)]);
    for at in 1..=600 {
        tick(&mut history, draft(1_000, 3), at);
        history.leave_free(200_000);
    }
    let held = history.published().lock().clone();
    let before = increase(&history, &held, 28);
    assert!(before.0 > 300, "{before:?}");
    for at in 601..=1_200 {
        tick(&mut history, draft(1_000, 5), at);
        history.leave_free(200_000);
        assert!(ledger.used() <= ledger.budget());
    }
    assert_eq!(increase(&history, &held, 28), before);
    // What came since is there, at least for the most part, beside what is held.
    let now = history.published().lock().clone();
    let after = increase(&history, &now, 28);
    assert!(after.0 > 5 * 100, "{after:?}");
    let with = ledger.used();
    drop(held);
    assert!(ledger.used() + 100_000 < with, "what was held is free");
}

/// A point of a coarse tier, as large as a storm had made it, found no room to be sealed for the rest of its retention, two
/// hours; meanwhile the newest ticks were dropped, since the finest tier gave way first, and coarse tiers never saw them.
#[test]
fn points_that_are_old_for_their_tier_give_way_before_those_that_coarser_ones_are_yet_to_be_made_of()
 {
    let (_, mut history) = tiered(32 << 20, &[(1, 40), (10, 240)]);
    for at in 1..=77 {
        let counters = if at == 5 { 3_000 } else { 1 };
        tick(&mut history, draft(counters, 1), at);
    }
    let open = |history: &History| [0, 1].map(|tier| history.open(tier).len());
    let before = open(&history);
    let large = history.open(1)[0].bytes_beside([].iter());
    assert!(
        before[0] > 5 && before[1] > 1 && large > 30_000,
        "{before:?}"
    );
    assert!(history.drop_open(large / 2));
    assert_eq!(open(&history), [before[0], before[1] - 1]);
    assert_eq!(history.shortened, [0, 1]);
    // In the end all but the newest frame may go.
    assert!(history.drop_open(usize::MAX));
    assert_eq!(open(&history), [1, 0]);
}

/// Frames that wait were sealed at a 32nd of the budget, however much of it was free: of 100,000 active counters in 1 GiB
/// every 27, which takes longer for each point than segments of 120 do.
#[test]
fn with_memory_to_spare_segments_are_long_and_no_history_is_lost_when_it_is_needed() {
    let (ledger, mut history) = tiered(16 << 20, &[(1, 600), (10, 7_200)]);
    for at in 1..=160 {
        tick(&mut history, draft(6_000, at % 50), at);
    }
    let segments = |history: &History| {
        let segments = history.current.archive.tiers[0].segments.iter();
        segments
            .map(|segment| segment.axis.len())
            .collect::<Vec<_>>()
    };
    let open = timeline::open_bytes(history.open(0));
    assert_eq!(segments(&history), [0; 0]);
    assert!(open > ledger.budget() / 16, "{open}");
    for at in 161..=400 {
        tick(&mut history, draft(6_000, at % 50), at);
    }
    assert_eq!(
        segments(&history),
        [120, 100],
        "each ends where a coarse point does"
    );
    // Others take what was to spare, at once.
    ledger
        .reserve(Part::Collectors, ledger.free() - 3_600_000)
        .expect("room");
    history.leave_free(4_700_000);
    assert!(ledger.free() >= 4_700_000);
    assert_eq!(history.shortened, [0, 0]);
    let timeline = history.published().lock().clone();
    let expected: u64 = (1..=400).map(|at| at % 50).sum();
    assert_eq!(increase(&history, &timeline, 0), (expected, 400 * SECOND));
}

/// Of a budget that shrinks a quarter of the difference was dropped on top, however much of it was free.
#[test]
fn little_more_goes_than_is_wanted_when_most_of_it_is_free() {
    let (ledger, mut history) = tiered(64 << 20, &[(1, 600), (10, 7_200)]);
    for at in 1..=1_000 {
        tick(&mut history, draft(2_000, at * at % 997), at);
    }
    let before = history.points();
    let short = 100_000;
    history.leave_free(ledger.free() + short);
    let dropped = history.shortened.iter().sum::<u64>();
    assert!(dropped < before / 2, "{dropped} of {before}");
}
