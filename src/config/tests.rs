//! From settings to plans.

use super::{Config, MemoryProfile, Plan, ProfileConfig, RetentionRule, Tier, TierPlan};
use crate::{
    clock::{mins, secs},
    model::{MetricKind, frame::CLASSES},
};
use metrics::Level;
use std::time::Duration;

const PROFILES: [MemoryProfile; 4] = [
    MemoryProfile::Edge,
    MemoryProfile::Production,
    MemoryProfile::Staging,
    MemoryProfile::Development,
];

fn hours(n: u64) -> Duration {
    mins(60 * n)
}

/// Intervals, and what they keep of class 0.
fn tiers(plan: &Plan) -> Vec<(Duration, Duration)> {
    let tiers = plan.tiers.iter();
    tiers.map(|tier| (tier.interval, tier.keep[0])).collect()
}

fn keeps(plan: &Plan, class: usize) -> Vec<Duration> {
    plan.tiers.iter().map(|tier| tier.keep[class]).collect()
}

fn problems(config: &Config, parts: &[&str]) {
    let message = config.plan().unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(message.split("; ").count(), parts.len(), "{message}");
}

fn with_tiers(list: &[(Duration, Duration)]) -> Config {
    let tiers = list.iter().map(|(every, keep)| Tier::new(*every, *keep));
    Config {
        custom: Some(ProfileConfig {
            tiers: tiers.collect(),
            ..MemoryProfile::Production.config()
        }),
        ..Config::default()
    }
}

fn with_rules(rules: &[RetentionRule]) -> Config {
    Config {
        rules: rules.to_vec(),
        ..Config::default()
    }
}

fn rule(keep: impl IntoIterator<Item = Duration>) -> RetentionRule {
    RetentionRule::new().keep(keep)
}

#[test]
fn every_profile_is_a_valid_plan_as_it_is() {
    let expected = [
        (1, [mins(2), mins(30), hours(2)], [3, 2, 2], 100),
        (32, [mins(10), hours(2), hours(24)], [4, 3, 3], 2_000),
        (64, [mins(30), hours(6), hours(24)], [4, 3, 3], 5_000),
        (128, [hours(1), hours(6), hours(24)], [5, 4, 3], 10_000),
    ];
    for (profile, (mib, keep, schemas, series)) in PROFILES.into_iter().zip(expected) {
        let config = Config {
            profile,
            ..Config::default()
        };
        let plan = config.plan().unwrap();
        assert_eq!((plan.budget, plan.series_per_metric), (mib << 20, series));
        assert_eq!((plan.resolution, plan.retention), (secs(1), keep[0]));
        let intervals = [secs(1), secs(10), secs(60)];
        let expected: Vec<TierPlan> = (0..3)
            .map(|n| TierPlan {
                interval: intervals[n],
                keep: [keep[n], Duration::ZERO, Duration::ZERO, Duration::ZERO],
                schema: schemas[n],
            })
            .collect();
        assert_eq!(plan.tiers, expected, "{profile}");
        let custom = Config {
            custom: Some(profile.config()),
            ..Config::default()
        };
        assert_eq!(custom.plan().unwrap(), plan);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let config = Config {
        budget: Some(0),
        resolution: Some(Duration::from_millis(700)),
        series_per_metric: Some(0),
        rules: vec![RetentionRule::new().name("")],
        ..Config::default()
    };
    problems(
        &config,
        &[
            "0 bytes",
            "700ms",
            "0 series",
            "rule 1: an empty pattern of the name",
        ],
    );
}

#[test]
fn a_resolution_must_divide_a_minute() {
    for (ms, allowed) in [
        (10, true),
        (1_000, true),
        (60_000, true),
        (0, false),
        (5, false),
        (7_000, false),
        (120_000, false),
    ] {
        let config = Config {
            resolution: Some(Duration::from_millis(ms)),
            ..Config::default()
        };
        assert_eq!(config.plan().is_ok(), allowed, "{ms} ms");
    }
}

/// The finest tier is kept as long as the coarsest that it stands for.
#[test]
fn tiers_that_are_no_larger_multiples_of_the_resolution_are_left_out() {
    for (resolution, expected) in [
        (
            secs(1),
            &[
                (secs(1), mins(10)),
                (secs(10), hours(2)),
                (secs(60), hours(24)),
            ][..],
        ),
        (
            Duration::from_millis(100),
            &[
                (Duration::from_millis(100), mins(10)),
                (secs(10), hours(2)),
                (secs(60), hours(24)),
            ],
        ),
        (secs(4), &[(secs(4), mins(10)), (secs(60), hours(24))]),
        (secs(10), &[(secs(10), hours(2)), (secs(60), hours(24))]),
        (secs(20), &[(secs(20), hours(2)), (secs(60), hours(24))]),
        (secs(60), &[(secs(60), hours(24))]),
    ] {
        let config = Config {
            resolution: Some(resolution),
            ..Config::default()
        };
        let plan = config.plan().unwrap();
        assert_eq!(tiers(&plan), expected, "{resolution:?}");
        assert_eq!((plan.resolution, plan.retention), expected[0]);
    }
}

#[test]
fn a_longer_retention_of_the_finest_tier_lengthens_the_coarser_ones() {
    let config = Config {
        retention: Some(hours(3)),
        ..Config::default()
    };
    let expected = [
        (secs(1), hours(3)),
        (secs(10), hours(3)),
        (secs(60), hours(24)),
    ];
    assert_eq!(tiers(&config.plan().unwrap()), expected);
}

#[test]
fn a_profile_with_a_small_budget_aims_at_what_fits() {
    let config = Config {
        budget: Some(128 << 10),
        ..Config::default()
    };
    let expected = [
        (secs(1), secs(341)),
        (secs(10), secs(3_410)),
        (secs(60), secs(20_460)),
    ];
    assert_eq!(tiers(&config.plan().unwrap()), expected);
    let config = Config {
        retention: Some(secs(900)),
        ..config
    };
    // Half of the rest is too little for a tier of 10 s to reach further back than the finest.
    let expected = [(secs(1), secs(900)), (secs(60), secs(62 * 60))];
    assert_eq!(tiers(&config.plan().unwrap()), expected);
}

#[test]
fn a_retention_that_cannot_fit_the_budget_says_what_would() {
    let asked = |retention| Config {
        budget: Some(1 << 20),
        retention: Some(retention),
        ..Config::default()
    };
    problems(
        &asked(hours(24)),
        &["retention of 86400s in the tier of 1s: its time axis alone would take 1382400 bytes"],
    );
    problems(&asked(hours(24)), &["8192s would fit"]);
    let plan = asked(secs(8192)).plan().unwrap();
    assert_eq!(tiers(&plan), [(secs(1), secs(8192))]);

    let mut config = with_tiers(&[(secs(1), mins(10)), (secs(10), hours(24 * 100))]);
    problems(&config, &["retention of 8640000s in the tier of 10s"]);
    problems(&config, &["2615440s would fit"]);
    config.custom.as_mut().unwrap().tiers[1].retention = secs(2_615_440);
    let plan = config.plan().unwrap();
    let coarse = (secs(10), secs(2_615_440));
    assert_eq!(tiers(&plan), [(secs(1), mins(10)), coarse]);
}

#[test]
fn tiers_are_ordered_multiples_that_reach_further_and_further_back() {
    let minute = mins(1);
    problems(
        &with_tiers(&[]),
        &["number of tiers, 0: allowed are 1 to 4"],
    );
    let five: Vec<_> = (0..5).map(|n| (secs(1 << n), minute)).collect();
    problems(
        &with_tiers(&five),
        &["number of tiers, 5: allowed are 1 to 4"],
    );
    problems(
        &with_tiers(&[(secs(10), minute), (secs(10), minute)]),
        &["tier of 10s after one of 10s"],
    );
    problems(
        &with_tiers(&[(secs(10), minute), (secs(1), minute)]),
        &["tier of 1s after one of 10s"],
    );
    problems(
        &with_tiers(&[(secs(10), minute), (secs(15), minute)]),
        &["tier of 15s after one of 10s: allowed are multiples"],
    );
    problems(
        &with_tiers(&[(secs(1), minute), (secs(10), secs(59))]),
        &["retention of 59s in the tier of 10s: allowed is no less"],
    );
    problems(
        &with_tiers(&[(secs(10), secs(9))]),
        &["retention of 9s in the tier of 10s: allowed are its interval"],
    );
    problems(&with_tiers(&[(secs(1), Duration::MAX)]), &["366 days"]);
    problems(&with_tiers(&[(secs(7), minute)]), &["resolution of 7s"]);
    problems(
        &with_tiers(&[(Duration::ZERO, minute)]),
        &["resolution of 0ns"],
    );
    let one = with_tiers(&[(secs(30), secs(30))]).plan().unwrap();
    assert_eq!(tiers(&one), [(secs(30), secs(30))]);
    let four = [
        (secs(1), minute),
        (secs(5), minute),
        (secs(10), minute),
        (secs(3_600), hours(2)),
    ];
    assert_eq!(tiers(&with_tiers(&four).plan().unwrap()), four);
}

#[test]
fn schemas_outside_of_their_ranges_are_refused() {
    let mut config = with_tiers(&[(secs(1), mins(1))]);
    let mut schemas = |finest, coarsest| {
        let custom = config.custom.as_mut().unwrap();
        (custom.schema, custom.coarsest_schema) = (finest, coarsest);
        config.clone()
    };
    problems(&schemas(9, 3), &["schema 9: allowed are 0 to 8"]);
    problems(
        &schemas(2, 3),
        &["coarsest schema 3: allowed are 0 to the schema of the finest tier, 2"],
    );
    let plan = schemas(8, 8).plan().unwrap();
    assert_eq!((plan.schema, plan.tiers[0].schema), (8, 8));
}

#[test]
fn rules_with_equal_retentions_share_a_class() {
    let plan = with_rules(&[
        rule([mins(2), mins(10)]).name("a*"),
        rule([hours(1), hours(1), hours(48)]).kind(MetricKind::Gauge),
        rule([mins(2), mins(10), Duration::ZERO]).label("k", "v"),
        rule([mins(10), hours(2), hours(24)]),
    ])
    .plan()
    .unwrap();
    let classes: Vec<usize> = plan.rules.iter().map(|rule| rule.1).collect();
    assert_eq!(classes, [1, 2, 1, 0]);
    assert_eq!(keeps(&plan, 0), [mins(10), hours(2), hours(24)]);
    assert_eq!(keeps(&plan, 1), [mins(2), mins(10), Duration::ZERO]);
    assert_eq!(keeps(&plan, 2), [hours(1), hours(1), hours(48)]);
    assert_eq!(keeps(&plan, 3), [Duration::ZERO; 3]);
}

#[test]
fn rules_speak_of_the_profiles_tiers_whatever_the_resolution() {
    let mut config = with_rules(&[rule([mins(2), mins(10), hours(48)])]);
    config.resolution = Some(secs(10));
    assert_eq!(keeps(&config.plan().unwrap(), 1), [mins(10), hours(48)]);
    config.resolution = Some(secs(4));
    assert_eq!(keeps(&config.plan().unwrap(), 1), [mins(2), hours(48)]);
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    let keep = || rule([mins(2)]);
    let long = "x".repeat(5_000);
    for (rule, problem) in [
        (RetentionRule::new(), "keeps nothing in the finest tier"),
        (
            rule([Duration::ZERO, mins(2)]),
            "keeps nothing in the finest tier",
        ),
        (
            rule([mins(2); 4]),
            "4 retentions: allowed is one for each of 3 tiers",
        ),
        (
            rule([mins(2), mins(1)]),
            "retention of 60s after one of 120s",
        ),
        (
            rule([mins(2), Duration::ZERO, mins(1)]),
            "retention of 60s after one of 120s",
        ),
        (
            rule([secs(1), secs(9)]),
            "retention of 9s in the tier of 10s",
        ),
        (
            rule([Duration::from_millis(999)]),
            "retention of 999ms in the tier of 1s",
        ),
        (
            rule([hours(24), hours(24), Duration::MAX]),
            "retention of 18446744073709551615",
        ),
        (keep().name(""), "an empty pattern of the name"),
        (keep().target(""), "an empty pattern of the target"),
        (
            keep().name(&*long),
            "a pattern of the name of 5000 bytes: allowed are 4096",
        ),
        (
            keep().target(&*long),
            "a pattern of the target of 5000 bytes",
        ),
        (keep().label("", "v"), "a label without a name"),
        (
            keep().label("k", &*long),
            "a pattern of the label of 5000 bytes",
        ),
        (
            keep().label(&*long, "v"),
            "a pattern of the label's name of 5000 bytes",
        ),
        (
            keep().level(Level::INFO).verbose(Level::DEBUG),
            "at most as verbose as Level(Info) and at least as verbose as Level(Debug): no level is both",
        ),
    ] {
        problems(
            &with_rules(&[keep(), rule]),
            &[&format!("retention rule 2: {problem}")],
        );
    }
    problems(
        &with_rules(&vec![keep(); 65]),
        &["number of retention rules, 65: allowed are 64"],
    );
    let both = keep()
        .level(Level::DEBUG)
        .verbose(Level::DEBUG)
        .label("k", "");
    let plan = with_rules(&[both]).plan().unwrap();
    assert_eq!(plan.rules.len(), 1);
    assert_eq!(keeps(&plan, 1), [mins(2), Duration::ZERO, Duration::ZERO]);
}

#[test]
fn a_fifth_retention_is_refused() {
    let rules: Vec<_> = (1..=4).map(|n| rule([mins(n)])).collect();
    let plan = with_rules(&rules[..3]).plan().unwrap();
    let finest = [mins(10), mins(1), mins(2), mins(3)];
    assert_eq!(plan.tiers[0].keep, finest);
    problems(
        &with_rules(&rules),
        &["retention of [240s, 0ns, 0ns]: allowed are 4 different ones"],
    );
}

#[test]
fn a_rule_that_cannot_fit_the_budget_is_refused() {
    let mut config = with_rules(&[rule([hours(24), hours(24), hours(24)])]);
    assert_eq!(keeps(&config.plan().unwrap(), 1), [hours(24); 3]);
    config.budget = Some(4 << 20);
    problems(&config, &["retention of 86400s in the tier of 1s"]);
}

#[test]
fn new_rules_for_a_running_store_leave_classes_in_use_alone() {
    let plan = with_rules(&[rule([mins(1)]), rule([mins(2)])])
        .plan()
        .unwrap();
    let mut tiers = plan.tiers.clone();
    let mut in_use = [false; CLASSES];
    in_use[1] = true;
    let rules = vec![rule([mins(3)]), rule([mins(4)]), rule([mins(1)])];
    let rules = plan.retain(rules, in_use, &mut tiers, plan.budget).unwrap();
    assert_eq!(
        rules.iter().map(|rule| rule.1).collect::<Vec<_>>(),
        [2, 3, 1]
    );
    assert_eq!(tiers[0].keep, [mins(10), mins(1), mins(3), mins(4)]);
    assert_eq!(
        tiers[1].keep,
        [hours(2), Duration::ZERO, Duration::ZERO, Duration::ZERO]
    );

    in_use[2] = true;
    let rules = || vec![rule([mins(5)]), rule([mins(6)])];
    let error = plan
        .retain(rules(), in_use, &mut tiers.clone(), plan.budget)
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("[360s, 0ns, 0ns]") && message.contains("2 of these"),
        "{message}"
    );
    let nobody = [false; CLASSES];
    let rules = plan.retain(rules(), nobody, &mut tiers, plan.budget);
    let classes: Vec<usize> = rules.unwrap().iter().map(|rule| rule.1).collect();
    assert_eq!(classes, [1, 2]);
    assert_eq!(tiers[0].keep, [mins(10), mins(5), mins(6), Duration::ZERO]);
}
