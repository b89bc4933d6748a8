//! What a real Prometheus takes the metrics of our collectors for, and what it stores of them: of version 2 and 3, in each text that
//! they take. CPU seconds that were a gauge to it would make `rate()` of a dashboard wrong at every restart.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "a module for several tests")]
mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/prometheus.rs"]
mod prometheus;
#[path = "common/started.rs"]
mod started;
#[path = "common/text.rs"]
mod text;

use common::Store;
use metrics_recall::{Collecting, Sidecar, secs};
use prometheus::{Between, Prometheus, three, two};
use std::{collections::BTreeMap, mem::MaybeUninit, path::Path};
use text::get;

/// CPU time of this process, as the system has it.
#[expect(unsafe_code, reason = "the system is asked in another way than ours")]
fn cpu_seconds() -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is to a whole `rusage`, which the call fills, as zero says.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
    let all = u32::try_from(micros(usage.ru_utime) + micros(usage.ru_stime)).unwrap();
    f64::from(all) / 1e6
}

#[cfg(feature = "system")]
fn collect(store: &Store) -> Collecting {
    store.recall.collect_system().unwrap()
}

#[cfg(not(feature = "system"))]
fn collect(store: &Store) -> Collecting {
    store.recall.collect_process().unwrap()
}

/// Kinds by name, as the tables in the documentation have them.
fn documented() -> BTreeMap<String, String> {
    let tables = [
        include_str!("../src/collectors/process/mod.rs"),
        include_str!("../src/collectors/system/mod.rs"),
    ];
    let rows = tables
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| {
            let mut columns = line.strip_prefix("//! | `")?.split(" | ");
            let name = columns.next()?.split(['{', '`']).next()?;
            let kind = columns.next()?.split(',').next()?;
            Some((name.to_owned(), kind.to_owned()))
        });
    rows.collect()
}

fn takes_them_for_what_they_are(program: &Path, called: &str, accept: Option<&'static str>) {
    let store = Store::default();
    let _collecting = collect(&store);
    let before = cpu_seconds();
    store.tick(secs(1));
    let after = cpu_seconds();
    let sidecar: Sidecar = store.recall.serve("127.0.0.1:0").unwrap();
    let between = Between::new(sidecar.local_addr(), accept);
    let Some(prometheus) = Prometheus::new(program, called, &[], "", between) else {
        return;
    };
    let stored = prometheus.everything();
    let cpu = get(&stored, "process_cpu_seconds_total", &[]).unwrap();
    assert!(
        before <= cpu && cpu <= after,
        "{cpu} is not in {before}..={after}"
    );
    let types = prometheus.types();
    let documented = documented();
    let mut seen = 0;
    for (name, kind) in &documented {
        // A family of OpenMetrics is called as its counter without the ending.
        let family = types
            .get(name)
            .or_else(|| types.get(name.strip_suffix("_total")?));
        let is_stored = stored.keys().any(|(stored, _)| stored == name);
        assert_eq!(family, is_stored.then_some(kind), "{name} in {types:?}");
        seen += usize::from(is_stored);
    }
    assert_eq!(
        documented["process_cpu_seconds_total"], "counter",
        "what the documentation promises"
    );
    assert!(seen >= 9, "{seen} of {documented:?}");
}

const TEXT: Option<&str> = Some("text/plain;version=0.0.4");

#[test]
fn version_2_takes_cpu_seconds_for_a_counter() {
    takes_them_for_what_they_are(&two(), "two-types-text", TEXT);
    takes_them_for_what_they_are(&two(), "two-types", None);
}

#[test]
fn version_3_takes_cpu_seconds_for_a_counter() {
    let Some(three) = three() else { return };
    takes_them_for_what_they_are(&three, "three-types-text", TEXT);
    takes_them_for_what_they_are(&three, "three-types", None);
}
