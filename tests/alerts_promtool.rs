//! Prometheus is the judge of states: `promtool test rules` is given the rules, the series, and what this crate said of them
//! at every step.
//!
//! Without `promtool` (Debian's package `prometheus`) it passes on a developer's machine, and fails on Linux where `CI` is `true`.
//! `ALERTS_SEED` and `ALERTS_CASES` choose other series.

mod common;

use common::Store;
use metrics_recall::{AlertRule, Condition, Measure, Recall, secs};
use std::{env, fmt::Write, fs, path::PathBuf, process::Command, time::Duration};

/// A step of rules and series, in seconds.
const STEP: u64 = 15;
const STEPS: u64 = 60;
const GROUPS: [&str; 4] = ["a", "b", "c", "d"];

/// A small generator, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// One rule, for both.
struct Rule {
    name: String,
    expr: String,
    condition: Condition,
    hold: u64,
    keep: u64,
}

fn rules(random: &mut Random) -> Vec<Rule> {
    type Compare = fn(Measure, f64) -> Condition;
    let signs: [(&str, Compare); 6] = [
        (">", Measure::above),
        (">=", Measure::at_least),
        ("<", Measure::below),
        ("<=", Measure::at_most),
        ("==", Measure::equal),
        ("!=", Measure::not_equal),
    ];
    let mut rules = Vec::new();
    for n in 0..24 {
        let (sign, compare) = signs[n % signs.len()];
        let bound = u32::try_from(2 + random.below(6)).map_or(0.0, f64::from);
        let depth = Condition::gauges("depth");
        let (expr, condition) = if n % 4 == 3 {
            let whole = format!("sum(depth) {sign} {}", 3.0 * bound);
            (whole, compare(depth.current(), 3.0 * bound))
        } else {
            let each = format!("depth {sign} {bound}");
            (each, compare(depth.by("group").current(), bound))
        };
        // Also times that end between two steps.
        let times = [0, 0, 10, 15, 30, 40, 75, 180];
        let mut time = || times[usize::try_from(random.below(8)).unwrap_or(0)];
        rules.push(Rule {
            name: format!("rule_{n}"),
            expr,
            condition,
            hold: time(),
            keep: time(),
        });
    }
    rules
}

/// Values of one group; `None`: it is not there.
fn series(random: &mut Random) -> Vec<Option<u32>> {
    let mut now = (random.below(3) > 0).then_some(5);
    (0..STEPS)
        .map(|_| {
            // Mostly as before, so that states last.
            now = match random.below(10) {
                0 => None,
                1..=4 => u32::try_from(random.below(10)).ok(),
                _ => now,
            };
            now
        })
        .collect()
}

/// As promtool notes series.
fn notation(values: &[Option<u32>]) -> String {
    let mut before = false;
    let mut words = Vec::new();
    for value in values {
        words.push(match value {
            Some(value) => value.to_string(),
            None if before => "stale".to_owned(),
            None => "_".to_owned(),
        });
        before = value.is_some();
    }
    words.join(" ")
}

fn time(seconds: u64) -> Duration {
    secs(seconds)
}

/// What this crate says at every step, as promtool's expectations; and how many alerts were active in all.
fn judge(rules: &[Rule], all: &[Vec<Option<u32>>], out: &mut String) -> usize {
    let mut builder = Recall::builder().own_alerts(false);
    for rule in rules {
        builder = builder.alert(
            AlertRule::new(&rule.name)
                .when(rule.condition.clone())
                .for_at_least(time(rule.hold))
                .keep_firing_for(time(rule.keep))
                .label("team", "shop"),
        );
    }
    let store: Store = builder.into();
    let start = store.recall.now().as_millis() / 1_000;
    let mut active = 0;
    for step in 0..STEPS {
        let at = usize::try_from(step).unwrap_or(0);
        for (group, values) in GROUPS.iter().zip(all) {
            let was = at > 0 && values[at - 1].is_some();
            match values[at] {
                Some(value) => store.recorder.scope(|| {
                    metrics::gauge!("depth", "group" => *group).set(value);
                }),
                None if was => {
                    let gone = store.recall.gauges("depth").label("group", *group);
                    gone.delete().expect("it was there");
                }
                None => {}
            }
        }
        store.tick(time(if step == 0 { 0 } else { STEP }));
        let alerts = store.recall.alerts().active();
        active += alerts.len();
        let second = step * STEP;
        for name in ["ALERTS", "ALERTS_FOR_STATE"] {
            let _ = writeln!(
                out,
                "  - expr: {name}\n    eval_time: {second}s\n    exp_samples:"
            );
            for alert in &alerts {
                let state = format!(",alertstate=\"{}\"", alert.state);
                let (state, value) = if name == "ALERTS" {
                    (state.as_str(), 1)
                } else {
                    ("", alert.since.as_millis() / 1_000 - start)
                };
                let group = alert.labels.get("group");
                let group = group.map_or(String::new(), |group| format!(",group=\"{group}\""));
                let _ = writeln!(
                    out,
                    "    - labels: '{name}{{alertname=\"{}\"{state}{group},team=\"shop\"}}'\n      value: {value}",
                    alert.rule
                );
            }
        }
    }
    active
}

fn directory() -> PathBuf {
    let at = env::temp_dir().join(format!("recall-promtool-{}", std::process::id()));
    fs::create_dir_all(&at).expect("a directory for two files");
    at
}

#[test]
fn prometheus_agrees_on_every_state_at_every_step() {
    if Command::new("promtool").arg("--version").output().is_err() {
        let is_ci = cfg!(target_os = "linux") && env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(
            !is_ci,
            "promtool is missing: install Debian's package prometheus"
        );
        eprintln!("promtool is missing: nothing was judged");
        return;
    }
    let number = |name: &str, or: u64| {
        env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(or)
    };
    let (seed, cases) = (
        number("ALERTS_SEED", 20_261_128),
        number("ALERTS_CASES", 12),
    );
    let mut random = Random(seed | 1);
    let rules = rules(&mut random);
    let mut file = String::from("groups:\n- name: judged\n  rules:\n");
    for Rule {
        name,
        expr,
        hold,
        keep,
        ..
    } in &rules
    {
        let _ = write!(
            file,
            "  - alert: {name}\n    expr: {expr}\n    for: {hold}s\n    keep_firing_for: {keep}s\n    labels: {{team: shop}}\n"
        );
    }
    let mut tests = format!("rule_files: [rules.yml]\nevaluation_interval: {STEP}s\ntests:\n");
    let mut active = 0;
    for _ in 0..cases {
        let all: Vec<_> = GROUPS.iter().map(|_| series(&mut random)).collect();
        let _ = write!(tests, "- interval: {STEP}s\n  input_series:\n");
        for (group, values) in GROUPS.iter().zip(&all) {
            let _ = writeln!(
                tests,
                "  - series: 'depth{{group=\"{group}\"}}'\n    values: '{}'",
                notation(values)
            );
        }
        tests.push_str("  promql_expr_test:\n");
        active += judge(&rules, &all, &mut tests);
    }
    // A third of all that may be active is: the agreement is about something.
    let most = cases * STEPS * rules.len() as u64;
    assert!(active as u64 > most / 3, "{active} of {most}");
    let at = directory();
    fs::write(at.join("rules.yml"), file).expect("writable");
    fs::write(at.join("tests.yml"), tests).expect("writable");
    let out = Command::new("promtool")
        .args(["test", "rules", "tests.yml"])
        .current_dir(&at)
        .output()
        .expect("it was there");
    let said =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let said: String = said.chars().take(4_000).collect();
    assert!(
        out.status.success(),
        "seed {seed}, files in {}:\n{said}",
        at.display()
    );
    fs::remove_dir_all(&at).expect("ours");
}
