//! What history promises to its one writer and to its readers.

use super::*;
use crate::ledger::{BASE, SMALLEST};

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
            .push(u32::try_from(id).expect("a small id"));
        draft.counters.1.push(delta);
    }
    draft
}

fn history(budget: usize) -> (Arc<Ledger>, History) {
    let ledger = Arc::new(Ledger::new(budget));
    let history = History::new(ledger.clone(), 10 * SECOND, 0).expect("room");
    (ledger, history)
}

#[test]
fn frames_go_when_their_retention_is_over() {
    let (_, mut history) = history(SMALLEST);
    for at in 1..=30 {
        assert_eq!(
            history.commit(&mut draft(1, at), span(at), at),
            Commit::Added
        );
    }
    let frames = &history.current.frames;
    assert_eq!(frames.len(), 10);
    assert_eq!(frames[0].tick, 21);
    assert_eq!(history.shortened, 0);
}

#[test]
fn pressure_drops_the_oldest_frames_and_never_the_newest() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=8 {
        history.leave_free(30_000);
        history.commit(&mut draft(2_000, at), span(at), at);
        assert!(ledger.used() <= ledger.budget());
        assert_eq!(history.newest().unwrap().counters.1[0], at);
    }
    assert!(history.shortened > 0);
}

#[test]
fn without_room_for_a_copy_the_draft_becomes_the_frame() {
    let (ledger, mut history) = history(SMALLEST);
    let mut draft = draft(6_000, 1);
    ledger
        .reserve(Part::Tick, draft.bytes_held())
        .expect("the draft fits");
    assert_eq!(history.commit(&mut draft, span(1), 1), Commit::Added);
    assert_eq!(draft.bytes_held(), 0);
    assert_eq!(ledger.part(Part::Tick), 0);
    assert_eq!(history.newest().map(|f| f.counters.0.len()), Some(6_000));
    drop(history);
    let list = layout::vec::<(u64, Weak<Timeline>)>(EARLIER);
    assert_eq!(ledger.used(), BASE + list);
}

#[test]
fn room_is_made_of_old_frames_and_never_of_the_newest() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=5 {
        history.commit(&mut draft(500, at), span(at), at);
    }
    history.leave_free(ledger.budget());
    assert_eq!(history.current.frames.len(), 1);
    assert_eq!(history.newest().map(|f| f.counters.1[0]), Some(5));
}

#[test]
fn what_a_reader_holds_is_not_dropped_in_vain() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=5 {
        history.commit(&mut draft(500, at), span(at), at);
    }
    let held = history.published().lock().clone();
    history.commit(&mut draft(1, 6), span(6), 6);
    history.leave_free(ledger.budget());
    assert_eq!(history.current.frames.len(), 6);
    drop(held);
    history.leave_free(ledger.budget());
    assert_eq!(history.current.frames.len(), 1);
}

#[test]
fn a_held_timeline_stays_charged_and_keeps_its_ticks() {
    let (ledger, mut history) = history(SMALLEST);
    history.commit(&mut draft(100, 1), span(1), 1);
    let held = history.published().lock().clone();
    for at in 2..=40 {
        history.commit(&mut draft(0, 0), span(at), at);
    }
    assert_eq!(held.frames[0].frame.counters.1[0], 1);
    assert_eq!(history.oldest_tick(), Some(1));
    let with = ledger.used();
    drop(held);
    assert!(ledger.used() + 100 * 12 <= with);
    assert_eq!(history.oldest_tick(), Some(31));
}

#[test]
fn everything_is_given_back_in_the_end() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=20 {
        history.commit(&mut draft(50, at), span(at), at);
    }
    drop(history);
    let list = layout::vec::<(u64, Weak<Timeline>)>(EARLIER);
    assert_eq!(ledger.used(), BASE + list);
}

#[test]
fn ticks_at_the_same_instant_become_one_frame() {
    let (_, mut history) = history(SMALLEST);
    history.commit(&mut draft(3, 5), span(1), 1);
    let mut more = draft(1, 2);
    more.counters.0[0] = 2;
    assert_eq!(history.commit(&mut more, span(1), 2), Commit::Merged);
    let frame = history.newest().unwrap();
    assert_eq!(&*frame.counters.0, [0, 1, 2]);
    assert_eq!(&*frame.counters.1, [5, 5, 7]);
    assert_eq!(history.current.frames.len(), 1);
}

/// A reader in the middle of its question pinned every frame; the tick dropped one after the other, which freed nothing,
/// and in the end all of history.
#[test]
fn a_full_ledger_and_a_reader_do_not_cost_all_of_history() {
    let (ledger, mut history) = history(SMALLEST);
    for at in 1..=8 {
        assert_eq!(
            history.commit(&mut draft(500, at), span(at), at),
            Commit::Added
        );
    }
    let reader = history.published().lock().clone();
    ledger
        .reserve(Part::Tick, ledger.free() - 1_000)
        .expect("nearly all that is left");
    for stay in [7, 6] {
        history.leave_free(8_000);
        assert_eq!(history.current.frames.len(), stay);
    }
    drop(reader);
    assert!(ledger.free() > 10_000);
}
