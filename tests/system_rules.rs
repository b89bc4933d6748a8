//! The ready-made rules for CPU, memory and disk, on what the collectors read of a machine that gets busy and calm again.
//!
//! No real machine can be told to: one that runs tests is busy anyway, and has as much memory as it has. So the test runs once more in a
//! mount namespace of its own, where `/proc/stat`, `/proc/meminfo` and the list of mounts are files that it writes, and the one file
//! system that is listed is a small one that it fills. The collectors are the real ones and know nothing of it.
#![cfg(all(feature = "system", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "a module for several tests")]
mod common;

use common::Store;
use metrics_recall::{AlertRule, AlertState, mins, system};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where the files of the machine are, for the one inside.
const MACHINE: &str = "RECALL_TEST_MACHINE";

/// What `.ci/run` says of a system that allows no namespaces.
const WITHOUT: &str = "RECALL_NO_NAMESPACES";

const MOUNT: &str = r#"
set -e
mount --bind "$RECALL_TEST_MACHINE/stat" /proc/stat
mount --bind "$RECALL_TEST_MACHINE/meminfo" /proc/meminfo
mount -t tmpfs -o size=8m none "$RECALL_TEST_MACHINE/disk"
mount -t tmpfs -o size=1m none "$RECALL_TEST_MACHINE/image"
head -c 1M /dev/zero >"$RECALL_TEST_MACHINE/image/file"
mount -o remount,ro "$RECALL_TEST_MACHINE/image"
mount --bind "$RECALL_TEST_MACHINE/mounts" "/proc/$$/mounts"
exec "$0" --exact inside_of_the_machine --ignored --nocapture
"#;

struct Machine {
    directory: PathBuf,
    /// Ticks of all cores, busy and idle, since it was started.
    busy: u64,
    idle: u64,
}

impl Machine {
    fn new(directory: &Path) -> Self {
        let directory = directory.to_owned();
        Self {
            directory,
            busy: 1_000,
            idle: 1_000,
        }
    }

    /// Into the file that is there: another one would not be the one that is mounted.
    fn write(&self, file: &str, text: &str) {
        fs::write(self.directory.join(file), text).unwrap();
    }

    /// Time passes, of which the two cores are busy for so many of a thousand.
    fn cpu(&mut self, busy: u64) {
        self.busy += busy;
        self.idle += 1_000 - busy;
        let line = |name: &str, n| {
            format!(
                "{name} {} 0 0 {} 0 0 0 0 0 0\n",
                n * self.busy,
                n * self.idle
            )
        };
        let lines = [line("cpu ", 2), line("cpu0", 1), line("cpu1", 1)];
        self.write("stat", &lines.concat());
    }

    /// So many of a thousand pages are used.
    fn memory(&self, used: u64) {
        let available = 4 * (1_000 - used);
        let lines = format!("MemTotal: 4000 kB\nMemFree: 10 kB\nMemAvailable: {available} kB\n");
        self.write("meminfo", &lines);
    }

    /// So many of the eight mebibytes are used.
    fn disk(&self, used: usize) {
        fs::write(self.directory.join("disk/file"), vec![1; used << 20]).unwrap();
    }

    fn mounts(&self) {
        let line = |name: &str, options| {
            let mountpoint = self.directory.join(name);
            format!("/dev/{name} {} ext4 {options} 0 0\n", mountpoint.display())
        };
        self.write(
            "mounts",
            &[line("disk", "rw"), line("image", "ro")].concat(),
        );
    }
}

#[test]
fn ready_made_rules_fire_and_resolve_on_what_the_collectors_read() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = directory.join(format!("machine-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    for name in ["disk", "image"] {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    let mut machine = Machine::new(&directory);
    machine.cpu(0);
    machine.memory(0);
    machine.mounts();
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !allowed.as_ref().is_ok_and(|done| done.status.success()) {
        let is_known = env::var_os("CI").is_none() || env::var_os(WITHOUT).is_some();
        assert!(
            is_known,
            "{WITHOUT} is not set, and `unshare -rm`: {allowed:?}"
        );
        return;
    }
    let done = Command::new("unshare")
        .args(["-rm", "sh", "-c", MOUNT])
        .arg(env::current_exe().unwrap())
        .env(MACHINE, &directory)
        .output()
        .unwrap();
    let _ = fs::remove_dir_all(&directory);
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

/// Real time passes, or the cores are not asked again.
fn breathe() {
    let _ = system::cpu();
}

#[test]
#[ignore = "in a namespace of its own"]
fn inside_of_the_machine() {
    let directory = env::var_os(MACHINE).expect("the test above runs this one");
    let mut machine = Machine::new(Path::new(&directory));
    let store = Store::default();
    let _collecting = store.recall.collect_system().unwrap();
    let rules = AlertRule::system();
    let names = rules.clone().map(|rule| rule.name().to_owned());
    for rule in rules {
        store.recall.alerts().add(rule).unwrap();
    }
    // Which rules fire after so many minutes of so much use.
    let mut fires = |minutes, cpu, memory, disk| {
        machine.memory(memory);
        machine.disk(disk);
        for _ in 0..minutes {
            machine.cpu(cpu);
            breathe();
            store.tick(mins(1));
        }
        let active = store.recall.alerts().active();
        let firing = active
            .iter()
            .filter(|alert| alert.state == AlertState::Firing);
        let mut firing: Vec<_> = firing.map(|alert| alert.rule.clone()).collect();
        firing.sort();
        firing.join(", ")
    };
    let [high_cpu, high_memory, disk_full] = &names;
    assert_eq!(fires(6, 400, 500, 1), "");
    assert_eq!(fires(6, 980, 500, 1), *high_cpu);
    assert_eq!(fires(6, 400, 500, 1), "");
    assert_eq!(fires(6, 400, 960, 1), *high_memory);
    assert_eq!(fires(6, 400, 500, 1), "");
    assert_eq!(fires(6, 400, 500, 7), *disk_full);
    assert_eq!(fires(6, 400, 500, 1), "");
    let all = format!("{disk_full}, {high_cpu}, {high_memory}");
    assert_eq!(fires(6, 1_000, 1_000, 8), all);
    // A minute that is calm is no reason to say that all is well, and five are.
    assert_eq!(fires(1, 400, 500, 1), all);
    assert_eq!(fires(5, 400, 500, 1), "");
    let of = |name: &str| store.recall.gauges(name).current();
    assert_eq!(of("system_memory_utilization_ratio"), Some(0.5));
    assert_eq!(of("system_filesystem_fullest_ratio"), Some(0.125));
    // An image that is full, as programs come in, is there and no reason to wake anybody.
    let image = store.recall.gauges("system_filesystem_utilization_ratio");
    assert_eq!(image.label("device", "/dev/image").current(), Some(1.0));
    let cpu = of("system_cpu_usage_ratio").unwrap();
    assert!((cpu - 0.4).abs() < 1e-6, "{cpu}");
}
