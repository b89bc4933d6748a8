//! Whatever labels, names and texts a program makes up, the store stays inside its budget and loses nothing.
//!
//! One thread attacks, so that ledger and heap can be compared at every single allocation; `budget_threads.rs` has the
//! attacks of many. `RECALL_LONG=1` asks for ten million labels and names instead of a hundred thousand.

#[path = "common/heap.rs"]
mod heap;
#[path = "common/storm.rs"]
mod storm;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_recall::{MetricKind, RecallBuilder, secs};
use std::time::Duration;
use storm::{SIZES, Size, Store, scale};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const ALL: Duration = Duration::MAX;

/// Ticks in each attack.
const TICKS: usize = 10;

/// Runs an attack at every budget, with the limits of the profile and with none but memory.
fn at_every_budget(attack: impl Fn(&Store)) {
    for size in SIZES {
        for builder in [size.builder(), size.boundless()] {
            run(builder, &attack);
        }
    }
}

/// Runs an attack on a thread of its own, and sees that the store gives everything back.
fn run(builder: RecallBuilder, attack: impl Fn(&Store) + Sync) {
    let store = Store::new(builder);
    let account = store.account;
    // The thread's caches go with the thread.
    let attack = &attack;
    on_a_thread(move || {
        attack(&store);
        store.check_to_the_byte();
    });
    account.verdict();
    assert_eq!(account.heap(), 0, "a dropped store keeps nothing");
}

fn on_a_thread(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(work);
    });
}

/// A value in one of many octaves, of either sign, or zero.
fn spread(i: usize) -> f64 {
    let octave = i32::try_from(i % 160).unwrap() - 80;
    let sign = [1.0, 1.0, 1.0, -1.0, 0.0][i % 5];
    sign * 1.37 * f64::from(octave).exp2()
}

/// Calls `emit` for 0..n, with ticks in between, and `ticked` after each.
fn storm(store: &Store, n: usize, mut emit: impl FnMut(usize), mut ticked: impl FnMut(usize)) {
    for part in 0..TICKS {
        let range = n * part / TICKS..n * (part + 1) / TICKS;
        let so_far = range.end;
        store.scope(|| range.for_each(&mut emit));
        store.check_to_the_byte();
        store.tick();
        store.check_to_the_byte();
        ticked(so_far);
    }
}

#[test]
fn counter_labels_without_end_stay_inside_the_budget_and_add_up() {
    let n = scale(100_000, 10_000_000);
    at_every_budget(|store| {
        let attack = store.recall.counters("attack");
        storm(
            store,
            n,
            |i| counter!("attack", "id" => i.to_string()).increment(1),
            |so_far| assert_eq!(attack.total(), Some(so_far as u64)),
        );
        store.tick();
        let others = attack.clone().label_not("overflow", "true").total();
        let overflow = attack.label("overflow", "true").total();
        assert_eq!(others.zip(overflow).map(|(a, b)| a + b), Some(n as u64));
        store.assert_named(&["counter `attack` sent ", "label `id` has about"]);
    });
}
