//! What the store records of its own process, judged by what Linux says in another way. A program of its own with one test:
//! others would open files, start threads and use memory meanwhile.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod common;
#[path = "common/promtool.rs"]
mod promtool;

use common::Store;
use metrics_recall::{Aggregation, Format, MetricKind, Value, mins, secs};
use promtool::promtool;
use std::{fs, time::Duration};

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// Ticks a hundredth of a second long, from `/proc/self/stat`, field by field of `man 5 proc`.
fn stat(number: usize) -> u64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let rest = &text[text.rfind(')').unwrap() + 2..];
    let mut fields = rest.split(' ');
    fields.nth(number - 3).unwrap().trim().parse().unwrap()
}

fn status(word: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(word))
        .unwrap();
    let number = line.trim_start_matches(':').split_whitespace().next();
    number.unwrap().parse().unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "to compare")]
fn near(value: f64, other: u64, by: f64) -> bool {
    (value - other as f64).abs() <= by
}

#[test]
fn values_are_those_of_the_system() {
    let store = Store::default();
    let _collecting = store.recall.collect_process().unwrap();
    store.tick(secs(1));
    let gauge = |name: &str| store.recall.gauges(name).current().unwrap();
    let cpu = || {
        let cpu = store.recall.counters("process_cpu_seconds_total");
        cpu.over(mins(5))
            .eval(Aggregation::Increase)
            .unwrap()
            .value
            .unwrap()
    };
    assert!(near(gauge("process_virtual_memory_bytes"), stat(23), 16e6));
    assert!(near(
        gauge("process_resident_memory_bytes"),
        status("VmRSS") * 1024,
        4e6
    ));
    assert!(near(gauge("process_threads"), stat(20), 0.0));
    let fds = fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
    assert!(near(gauge("process_open_fds"), fds, 0.0));
    let now = fs::metadata("/proc/self").unwrap().modified().unwrap();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(near(gauge("process_start_time_seconds"), now, 60.0));

    // Files.
    let open: Vec<_> = (0..10)
        .map(|_| fs::File::open("/dev/null").unwrap())
        .collect();
    store.tick(secs(1));
    assert!(near(gauge("process_open_fds"), fds + 10, 0.0));
    drop(open);

    // Memory.
    let before = gauge("process_resident_memory_bytes");
    let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
    store.tick(secs(1));
    let by = gauge("process_resident_memory_bytes") - before;
    assert!((60e6..=72e6).contains(&by), "{by}");
    let faults = store.recall.counters("process_paging_faults_total");
    assert!(faults.label("type", "minor").over(secs(1)).increase() > Some(0));
    drop(touched);

    // CPU time: a thread that has had three seconds of it, however long that took.
    let before = cpu();
    let spin = || {
        let begin = thread_cpu();
        let mut n = 0_u64;
        while thread_cpu() < begin + secs(3) {
            n = std::hint::black_box(n.wrapping_mul(3));
        }
    };
    std::thread::scope(|threads| threads.spawn(spin).join().unwrap());
    store.tick(secs(1));
    let by = cpu() - before;
    assert!((2.8..=3.2).contains(&by), "{by}");
    assert!(by.fract() > 0.0, "{by}: a whole number of seconds");
    let total = store.recall.values(MetricKind::Counter);
    let total = total
        .iter()
        .find(|s| s.name == "process_cpu_seconds_total")
        .unwrap();
    let Value::Fraction(total) = total.value else {
        panic!("{total}")
    };
    let jiffies = stat(14) + stat(15);
    assert!(
        near(total * 100.0, jiffies, 20.0),
        "{total} s, {jiffies} ticks"
    );
    let switches = store.recall.counters("process_context_switches_total");
    assert!(switches.label("type", "voluntary").total() > Some(0));
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
    a_scraper_sees_a_counter(&store);
}

fn a_scraper_sees_a_counter(store: &Store) {
    let text = store.recall.render();
    assert!(
        text.contains("\n# TYPE process_cpu_seconds_total counter\n"),
        "{text}"
    );
    let open = String::from_utf8(store.recall.render_as(Format::OpenMetrics)).unwrap();
    assert!(
        open.contains("# TYPE process_cpu_seconds counter\n"),
        "{open}"
    );
    for text in [&text, &open] {
        let lines = text.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix("process_cpu_seconds_total "));
        let value: f64 = values.next().unwrap().parse().unwrap();
        assert!(value >= 3.0 && value.fract() > 0.0, "{value}");
    }
    if let Some(said) = promtool(&text) {
        assert_eq!(said, (0, String::new()));
    }
}
