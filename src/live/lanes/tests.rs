//! Lanes as the tick and threads see them, without a store.

use super::*;
use crate::{
    ledger::SMALLEST,
    live::{Histogram, Kind, Live, registry::Limits},
};
use metrics::{Key, Level, Metadata};

const BUSY: Traffic = Traffic {
    shared: HOT,
    lanes: 0,
};

/// The counts of all buckets.
#[derive(Default)]
struct Count(u64);

impl Receive for Count {
    fn bucket(&mut self, _: Code, count: u64) {
        self.0 += count;
    }

    fn span(&mut self, _: Code, _: Code, count: u64) {
        self.0 += count;
    }
}

fn tend(lanes: &Lanes, traffic: Traffic, ledger: &Ledger) {
    lanes.tend(&mut lanes.lock(), traffic, ledger);
}

fn calm(lanes: &Lanes, ledger: &Ledger) {
    for _ in 0..CALM_TICKS {
        tend(lanes, Traffic::default(), ledger);
    }
}

#[test]
fn a_hot_series_has_as_many_lanes_as_its_threads_take_and_a_calm_one_has_none() {
    let ledger = Ledger::new(SMALLEST);
    let lanes = Lanes::new();
    let mut crowd: Vec<Taken> = (0..2 * MOST).map(|_| Taken::new()).collect();
    for hung in [1, 2, 4, 8, 16, 32, 64, 64] {
        tend(&lanes, BUSY, &ledger);
        // None while some are vacant.
        tend(&lanes, BUSY, &ledger);
        assert_eq!(lanes.lock().lanes.len(), hung);
        assert_eq!(ledger.part(Part::Pages), lanes.lock().bytes());
        let served = |taken: &mut Taken| taken.find_or_take(&lanes).is_some();
        let served = crowd.iter_mut().map(served).filter(|served| *served);
        assert_eq!(served.count(), hung);
    }
    drop(crowd);
    calm(&lanes, &ledger);
    lanes.lock().gather(&mut Count::default(), &ledger);
    calm(&lanes, &ledger);
    assert_eq!((lanes.lock().bytes(), ledger.part(Part::Pages)), (0, 0));
}

#[test]
fn a_lane_that_is_written_to_keeps_the_series_from_cooling_down() {
    let ledger = Ledger::new(SMALLEST);
    let lanes = Lanes::new();
    tend(&lanes, BUSY, &ledger);
    let mut taken = Taken::new();
    for _ in 0..2 {
        calm(&lanes, &ledger);
        assert!(lanes.lock().lanes.is_empty());
        tend(&lanes, BUSY, &ledger);
        for _ in 0..3 * CALM_TICKS {
            let traffic = Traffic {
                shared: 0,
                lanes: WARM,
            };
            tend(&lanes, traffic, &ledger);
        }
    }
    assert!(taken.find_or_take(&lanes).is_some());
}

#[test]
fn a_lane_of_a_calm_series_is_there_until_its_thread_forgets_it() {
    let ledger = Ledger::new(SMALLEST);
    let lanes = Lanes::new();
    tend(&lanes, BUSY, &ledger);
    let mut taken = Taken::new();
    taken.find_or_take(&lanes).unwrap();
    calm(&lanes, &ledger);
    assert!(taken.find(&lanes).is_none());
    lanes.lock().gather(&mut Count::default(), &ledger);
    assert!(!lanes.lock().is_empty());
    taken.forget_void();
    assert!(lanes.lock().is_touched());
    lanes.lock().gather(&mut Count::default(), &ledger);
    assert!(lanes.lock().is_empty());
}

#[test]
fn a_lane_that_its_thread_left_hands_over_what_it_has() {
    let ledger = Arc::new(Ledger::new(SMALLEST));
    let lanes = Lanes::new();
    tend(&lanes, BUSY, &ledger);
    let mut taken = Taken::new();
    let lane = taken.find_or_take(&lanes).unwrap();
    assert!(lane.owned.buckets().touch(&ledger, 100).is_some());
    assert!(lane.record_one(100, 2.5) && lane.record_one(100, 1.5));
    drop(taken);
    let mut count = Count::default();
    let gathered = lanes.lock().gather(&mut count, &ledger);
    assert_eq!((count.0, gathered.sum), (2, 4.0));
    assert_eq!(gathered.extremes(), (1.5, 2.5));
    calm(&lanes, &ledger);
    assert_eq!(ledger.part(Part::Pages), 0);
}

#[test]
fn series_that_meet_in_a_slot_do_not_take_turns() {
    let ledger = Ledger::new(SMALLEST);
    let all = [Lanes::new(), Lanes::new()];
    for (lanes, heat) in all.iter().zip([3, 3 + SLOTS as u64]) {
        tend(lanes, BUSY, &ledger);
        lanes.heat.store(heat, Relaxed);
    }
    let [first, second] = &all;
    let mut taken = Taken::new();
    assert!(taken.find_or_take(first).is_some());
    assert!(taken.find_or_take(second).is_none());
    calm(first, &ledger);
    assert!(taken.find_or_take(second).is_some());
}

#[test]
fn there_are_no_lanes_where_room_is_scarce() {
    let ledger = Ledger::new(SMALLEST);
    let lanes = Lanes::new();
    let spared = ledger.live_limit() / SPARED;
    ledger
        .reserve(Part::Series, ledger.live_room() - spared + 1)
        .unwrap();
    tend(&lanes, BUSY, &ledger);
    assert_eq!((lanes.lock().bytes(), ledger.refused()), (0, 0));
    assert!(Taken::new().find_or_take(&lanes).is_none());
}

#[test]
fn a_lane_asks_for_no_page_where_room_is_scarce() {
    let ledger = Arc::new(Ledger::new(1 << 20));
    let limits = Limits {
        series_per_metric: 8,
        metrics: 8,
        schema: 4,
    };
    let live = Live::new(ledger.clone(), limits).unwrap();
    let from = Metadata::new("tests", Level::INFO, None);
    let key = Key::from_static_name("m");
    let cell = live.histograms.acquire(&key, &from, 1, false).unwrap().cell;
    let name = &*Histogram::series(&cell).name;
    let lane = LaneCell::default();
    assert!(lane.record(name, 100, 1.0, 1, 1.0));
    ledger.reserve(Part::Series, ledger.live_room()).unwrap();
    assert!(lane.record(name, 100, 1.0, 1, 1.0));
    assert!(!lane.record(name, 1_000, 1.0, 1, 1.0));
    assert_eq!(ledger.refused(), 0);
}
