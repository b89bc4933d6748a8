//! The counting allocator counts each byte once, by thread and for the process.
#![cfg(feature = "alloc")]

use metrics_recall::{
    Clock, Recall,
    alloc::{self, CountingAllocator},
    secs,
};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

#[test]
fn what_a_thread_asks_for_is_counted_once() {
    let (block, cost) = alloc::measure(|| black_box(vec![0_u8; 1000]));
    assert_eq!(
        (cost.allocations, cost.bytes, cost.freed_bytes),
        (1, 1000, 0)
    );
    let ((), cost) = alloc::measure(|| drop(block));
    assert_eq!((cost.allocations, cost.freed_bytes), (0, 1000));
    let (grown, cost) = alloc::measure(|| {
        let mut block = Vec::with_capacity(100);
        block.push(1_u8);
        block.reserve_exact(199);
        black_box(block)
    });
    assert_eq!(
        (cost.allocations, cost.bytes, cost.freed_bytes),
        (2, 300, 100)
    );
    assert_eq!(cost.held_bytes(), 200);
    drop(grown);
    let ((), other) = alloc::measure(|| {
        std::thread::scope(|threads| {
            let make = || alloc::measure(|| black_box(vec![7_u8; 1 << 20])).1;
            let its = threads.spawn(make).join().unwrap();
            assert_eq!((its.allocations, its.bytes), (1, 1 << 20));
        });
    });
    assert!(other.bytes < 1 << 20, "{other}");
}

#[test]
fn the_process_has_what_its_threads_have() {
    let (clock, hands) = Clock::manual();
    let (_recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    let _collecting = recall.collect_allocations().unwrap();
    hands.advance(secs(1));
    recall.tick();
    let before = alloc::process();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..1_000 {
                    black_box(vec![0_u8; 1024]);
                }
            });
        }
    });
    let by = alloc::process().since(before);
    assert!(by.allocations >= 4_000 && by.bytes >= 4_096_000, "{by}");
    hands.advance(secs(1));
    recall.tick();
    let bytes = recall.counters("process_allocated_bytes_total");
    assert!(bytes.over(secs(1)).increase() >= Some(4_096_000));
    let heap = recall.gauges("process_heap_bytes").current().unwrap();
    assert!(heap > 1000.0, "{heap}");
}
