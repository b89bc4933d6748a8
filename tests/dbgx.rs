use metrics::{counter, Counter};
use metrics_recall::{Clock, Recall, secs};
use std::{sync::atomic::{AtomicBool, Ordering::SeqCst}, thread, time::Duration};
#[test]
fn readers() {
    for readers in [0, 1, 2] {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = Recall::builder().memory_budget(4 << 20).clock(clock).build().unwrap();
        let all: Vec<Counter> = recorder.scope(|| (0..1500).map(|i| counter!("n", "i" => i.to_string())).collect());
        let done = AtomicBool::new(false);
        let mut covered = Vec::new();
        thread::scope(|s| {
            for _ in 0..readers { s.spawn(|| while !done.load(SeqCst) { let _ = recall.counters("n").by("i").over(Duration::MAX).increase(); }); }
            for _ in 0..1000 {
                for c in &all { c.increment(1); }
                hands.advance(secs(1));
                recall.tick();
                covered.push(recall.counters("n").label("i", "1").over(Duration::MAX).every(secs(1)).increase().len());
            }
            done.store(true, SeqCst);
        });
        let late = &covered[500..];
        println!("readers {readers}: min {:?} avg {} max {:?}; {} {}", late.iter().min(), late.iter().sum::<usize>() / late.len(), late.iter().max(), recall.memory(), recall.health());
    }
}
