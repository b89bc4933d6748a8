//! What the store records of the machine: the table in the documentation is what is emitted, and values are those of
//! the system by another way.
#![cfg(all(feature = "system", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Store;
use metrics_recall::{
    AlertRule, AlertState, MetricKind, Recall, mins, secs,
    system::{self, Group, SystemConfig},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    mem::MaybeUninit,
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// Name of a metric, its labels in order, and its kind.
type Rows = BTreeMap<String, (BTreeSet<String>, MetricKind)>;

/// Rows of the table in the documentation.
fn documented() -> Rows {
    let text = include_str!("../src/collectors/system/mod.rs");
    let rows = text.lines().filter_map(|line| {
        let mut columns = line.strip_prefix("//! | `")?.split(" | ");
        let name = columns.next()?.trim_end_matches('`');
        let kind = match columns.next()? {
            "counter" => MetricKind::Counter,
            "gauge" => MetricKind::Gauge,
            other => panic!("{other}"),
        };
        let (name, labels) = name.split_once('{').unwrap_or((name, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        Some((name.to_owned(), (labels.collect(), kind)))
    });
    rows.collect()
}

/// What a machine need not have.
const MAY_BE_MISSING: [&str; 6] = [
    "hw_temperature_celsius",
    "system_cgroup_memory_limit_bytes",
    "system_cgroup_memory_usage_bytes",
    "system_cpu_frequency_hertz",
    "system_disk_io_bytes_total",
    "system_paging_usage_bytes",
];

/// Real time passes, as long as the cores need to be asked again.
fn breathe() {
    let _ = system::cpu().unwrap();
}

#[test]
fn what_is_emitted_is_what_the_table_says() {
    let store = Store::default();
    let _collecting = store.recall.collect_system().unwrap();
    store.tick(secs(1));
    // Of the first reading there is no difference, and no zero in its place.
    assert_eq!(
        store.recall.gauges("system_cpu_usage_ratio").current(),
        None
    );
    breathe();
    store.tick(secs(60));
    for collector in store.recall.collectors() {
        assert_eq!((collector.runs, collector.failures), (2, 0), "{collector}");
    }
    let mut emitted = Rows::new();
    for kind in [MetricKind::Counter, MetricKind::Gauge] {
        for series in store.recall.values(kind) {
            let is_ours = series.name.starts_with("system_") || series.name.starts_with("hw_");
            if is_ours {
                let labels = series.labels.iter().map(|(name, _)| name.to_owned());
                let labels: BTreeSet<_> = labels.collect();
                let before = emitted.insert(series.name.clone(), (labels.clone(), kind));
                assert!(
                    before.is_none_or(|before| before == (labels, kind)),
                    "{series}"
                );
            }
        }
    }
    let documented = documented();
    assert!(documented.len() > 20);
    for (name, row) in &emitted {
        assert_eq!(documented.get(name), Some(row), "{name}");
    }
    for name in documented.keys() {
        let is_there = emitted.contains_key(name);
        assert!(
            is_there || MAY_BE_MISSING.contains(&name.as_str()),
            "{name}"
        );
    }
    for name in emitted.keys() {
        let info = store.recall.metric(name).unwrap();
        assert!(info.description.is_some(), "{name}");
    }
    assert!(store.recall.metric("process_threads").is_some());
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "to compare")]
fn memory_and_space_are_those_of_the_system() {
    let store = Store::default();
    let groups = SystemConfig::only([Group::Memory, Group::Filesystems, Group::Load]);
    let _collecting = store.recall.collect_system_with(&groups).unwrap();
    store.tick(secs(1));
    let gauge = |name: &str| store.recall.gauges(name).current().unwrap();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo.lines().next().unwrap().split_whitespace().nth(1);
    let total = total.unwrap().parse::<f64>().unwrap() * 1024.0;
    assert!((gauge("system_memory_limit_bytes") - total).abs() < 1.0);
    let states = store
        .recall
        .gauges("system_memory_usage_bytes")
        .current()
        .unwrap();
    assert!((states - total).abs() < 1.0);
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!((gauge("system_uptime_seconds") - uptime).abs() < 10.0);
    let mut fullest = 0.0_f64;
    for disk in system::disks().unwrap() {
        let (size, available) = statvfs(&disk.mountpoint);
        assert_eq!(disk.total_bytes, size, "{disk:?}");
        let by = available.abs_diff(disk.available_bytes) as f64;
        assert!(by < 0.05 * size as f64, "{disk:?}");
        if size > 0 && !disk.is_read_only {
            fullest = fullest.max(1.0 - available as f64 / size as f64);
        }
    }
    assert!((gauge("system_filesystem_fullest_ratio") - fullest).abs() < 0.05);
}

/// Size of a file system, and what is free to others than root.
#[expect(unsafe_code, reason = "another way to ask the system")]
fn statvfs(at: &std::path::Path) -> (u64, u64) {
    let path = std::ffi::CString::new(at.to_str().unwrap()).unwrap();
    let mut stats = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: a string that ends in zero, and a whole `statvfs` to write to.
    let result = unsafe { libc::statvfs(path.as_ptr(), stats.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: zero says that it was written.
    let stats = unsafe { stats.assume_init() };
    (
        stats.f_blocks * stats.f_frsize,
        stats.f_bavail * stats.f_frsize,
    )
}

/// Bytes received on `lo`, as Linux has them.
fn received() -> u64 {
    let text = fs::read_to_string("/proc/net/dev").unwrap();
    let line = text
        .lines()
        .find(|line| line.trim().starts_with("lo:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_passes_the_loopback_shows_on_it() {
    let store = Store::default();
    let network = SystemConfig::only([Group::Network]);
    let _collecting = store.recall.collect_system_with(&network).unwrap();
    store.tick(secs(1));
    let before = received();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|threads| {
        threads.spawn(move || {
            let mut to = TcpStream::connect(address).unwrap();
            to.write_all(&vec![7; 10 << 20]).unwrap();
        });
        let mut all = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 10 << 20);
    });
    let by = received() - before;
    store.tick(secs(1));
    let io = store
        .recall
        .counters("system_network_io_bytes_total")
        .label("device", "lo");
    for direction in ["receive", "transmit"] {
        let seen = io
            .clone()
            .label("direction", direction)
            .over(secs(1))
            .increase();
        let seen = seen.unwrap();
        assert!(
            seen >= 10 << 20 && seen + (1 << 20) >= by,
            "{direction}: {seen} of {by}"
        );
    }
}

#[test]
fn a_thread_that_spins_shows_on_the_cores() {
    let store = Store::default();
    let cpu = SystemConfig::only([Group::Cpu]);
    let _collecting = store.recall.collect_system_with(&cpu).unwrap();
    store.tick(secs(1));
    // Somebody spins on one core for as long as the reading takes.
    let done = AtomicBool::new(false);
    let core = core_affinity::get_core_ids().unwrap().pop().unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            assert!(core_affinity::set_for_current(core));
            while !done.load(Relaxed) {
                std::hint::spin_loop();
            }
        });
        breathe();
        breathe();
        store.tick(secs(1));
        done.store(true, Relaxed);
    });
    let usage = store
        .recall
        .gauges("system_cpu_usage_ratio")
        .current()
        .unwrap();
    let cores = store.recall.gauges("system_cpu_utilization_ratio");
    let its = cores.clone().label("cpu", core.id.to_string()).current();
    let cores = cores.by(["cpu"]).current();
    assert!(
        (0.0..=1.0).contains(&usage) && its > Some(0.5),
        "{usage}, {core:?} of {cores:?}"
    );
    let count = store.recall.gauges("system_cpu_logical_count").current();
    assert_eq!(count, Some(f64::from(u32::try_from(cores.len()).unwrap())));
}

/// The ready-made rules, on metrics that are what they are.
#[test]
fn ready_made_rules_fire_and_resolve_on_these_names() {
    let store = Store::default();
    for rule in AlertRule::system() {
        store.recall.alerts().add(rule).unwrap();
    }
    let set = |value: f64| {
        store.recorder.scope(|| {
            for name in [
                "system_cpu_usage_ratio",
                "system_memory_utilization_ratio",
                "system_filesystem_fullest_ratio",
            ] {
                metrics::gauge!(name).set(value);
            }
        });
        for _ in 0..10 {
            store.tick(mins(1));
        }
        let active = store.recall.alerts().active();
        let firing = active
            .iter()
            .filter(|alert| alert.state == AlertState::Firing);
        firing.count()
    };
    assert_eq!((set(0.5), set(0.99), set(0.5)), (0, 3, 0));
}

/// A rule that watches a name that nobody records is a silent one.
#[test]
fn ready_made_rules_find_what_the_collector_records() {
    let store = Store::default();
    for rule in AlertRule::system() {
        store.recall.alerts().add(rule).unwrap();
    }
    let groups = || {
        let rules = store.recall.alerts().rules().into_iter();
        let rules = rules.filter(|rule| !rule.is_builtin);
        let groups = rules.map(|rule| (rule.error, rule.groups));
        groups.collect::<Vec<_>>()
    };
    store.tick(secs(1));
    assert_eq!(groups(), [(None, 0), (None, 0), (None, 0)]);
    let _collecting = store.recall.collect_system().unwrap();
    store.tick(secs(1));
    breathe();
    store.tick(secs(60));
    store.tick(secs(1));
    assert_eq!(groups(), [(None, 1), (None, 1), (None, 1)]);
}

#[test]
fn groups_are_switched_and_have_their_intervals() {
    let store = Store::default();
    let config = SystemConfig::default()
        .every(Group::Network, secs(30))
        .without(Group::Cpu);
    let _collecting = store.recall.collect_system_with(&config).unwrap();
    let all = store.recall.collectors();
    let names: BTreeSet<_> = all.iter().map(|c| c.name.as_str()).collect();
    assert!(!names.contains("cpu") && names.len() == 7);
    let network = all.iter().find(|c| c.name == "network").unwrap();
    assert_eq!(network.interval, secs(30));
    let error = store.recall.collect_system().unwrap_err();
    assert!(error.to_string().contains("a second collector"), "{error}");
    let none = SystemConfig::default().every(Group::Load, Duration::ZERO);
    let other = Store::default();
    let error = other.recall.collect_system_with(&none).unwrap_err();
    assert!(error.to_string().contains("0ns"), "{error}");
    assert!(other.recall.collectors().is_empty());
    let (_, built) = Recall::builder().collect_system().build().unwrap();
    assert_eq!(built.collectors().len(), 8);
}
