//! What is written is read, and what cannot be read is named.

use super::{
    KINDS,
    read::{COMPARISONS, LONGEST, Reader},
    usual,
};
use crate::{
    alerts::{
        condition::{Condition, Test},
        mins, secs,
    },
    query::{Aggregation, Matcher, Query, Range, Term, Wanted},
};
use proptest::prelude::*;
use std::time::Duration;

fn read(text: &str) -> Condition {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row a word")]
fn conditions_are_read_as_they_are_meant() {
    let pay = Condition::histograms("checkout_seconds").label("route", "/pay");
    let rate = || Condition::counters("errors_total").over(mins(5)).rate();
    let all = || Condition::counters("requests_total").over(mins(5)).rate();
    let depth = || Condition::gauges("queue_depth");
    let table = [
        (
            pay.over(mins(5)).quantile(0.99).above(0.5),
            "p99(checkout_seconds{route=\"/pay\"}) over 5m > 0.5",
        ),
        (rate().above(0.5), "rate(errors_total) over 5m > 0.5"),
        (
            rate().ratio_to(all()).at_least(0.05),
            "rate(errors_total) over 5m / rate(requests_total) over 5m >= 0.05",
        ),
        (
            rate().ratio_to(all()).change_from(mins(60)).above(0.0),
            "(rate(errors_total) over 5m / rate(requests_total) over 5m) change 1h > 0",
        ),
        (
            rate().ratio_to(rate().ago(mins(90))).above(2.0),
            "rate(errors_total) over 5m / rate(errors_total) over 5m offset 1h30m > 2",
        ),
        (depth().current().below(-1.5), "current(queue_depth) < -1.5"),
        (
            depth().by(["b", "a"]).over(secs(1)).max().at_most(1e-9),
            "max(queue_depth) by (a, b) over 1s <= 0.000000001",
        ),
        (
            depth().over(secs(1)).avg().equal(0.0),
            "avg(queue_depth) over 1s == 0",
        ),
        (
            depth().over(secs(1)).std_dev().not_equal(f64::INFINITY),
            "std_dev(queue_depth) over 1s != inf",
        ),
        (
            depth().over(secs(1)).min().outside(-1.0..=2.5),
            "min(queue_depth) over 1s outside -1..2.5",
        ),
        (
            depth()
                .over(Duration::MAX)
                .median()
                .above(3.0)
                .clear_at(2.0),
            "median(gauge queue_depth) over all > 3 clear 2",
        ),
        (
            Condition::counters("jobs")
                .over(secs(90))
                .increase()
                .absent_for(mins(1440)),
            "increase(jobs) over 1m30s absent 1d",
        ),
        (
            depth().over(mins(60)).trend().crosses(0.9, mins(240)),
            "trend(queue_depth) over 1h crosses 0.9 within 4h",
        ),
        (
            Condition::counters("my metric")
                .label_not("a b", "x\"\\\n")
                .total()
                .above(1.0),
            "total(\"my metric\"{\"a b\"!=\"x\\\"\\\\\\n\"}) > 1",
        ),
        (
            Condition::gauges("gauge").current().above(1.0),
            "current(\"gauge\") > 1",
        ),
        (
            Condition::histograms("x.y:z")
                .label_matches("a", "b|c")
                .unwrap()
                .label_not_matches("d", ".+")
                .unwrap()
                .over(secs(1))
                .quantile(0.123_456_789)
                .above(1.0),
            "quantile(0.123456789)(x.y:z{a=~\"b|c\", d!~\".+\"}) over 1s > 1",
        ),
    ];
    for (condition, text) in table {
        assert_eq!(condition.to_string(), text);
        assert_eq!(read(text), condition, "{text}");
    }
}

#[test]
fn blanks_and_letters_are_taken_as_they_come() {
    let one = read("p99(histogram checkout_seconds{route=\"/pay\",})over 300s>0.5");
    assert_eq!(
        one,
        read("  P99 ( checkout_seconds { route = \"/pay\" } ) over 5m > 5e-1 ")
    );
    assert_eq!(
        read("current(gauge) > 1"),
        read("current(gauge \"gauge\") > 1")
    );
    assert_eq!(read("((rate(a) over 1m)) > 1"), read("rate(a) over 1m > 1"));
}

#[test]
fn a_mistake_is_named_with_its_position() {
    for (text, at, what) in [
        ("", 1, "a question is missing"),
        ("speed(x) over 5m > 1", 1, "\"speed\""),
        ("rate x over 5m > 1", 6, "`(`"),
        ("rate() over 5m > 1", 6, "name of a metric"),
        ("rate(x{a}) over 5m > 1", 9, "`=`"),
        ("rate(x{a=b}) over 5m > 1", 10, "string"),
        ("rate(x{é=\"b\"}) over 5m > 1", 8, "name of a label"),
        ("rate(x{a=\"é\" b=\"c\"}) over 5m > 1", 14, "`}`"),
        ("rate(x{a=~\"(\"}) over 5m > 1", 9, "pattern"),
        ("rate(x over 5m > 1", 8, "`)`"),
        ("rate(x) by () over 5m > 1", 13, "name of a label"),
        ("rate(x) over 5 > 1", 14, "`5`"),
        ("rate(x) over 0s > 1", 14, "`0s`"),
        ("rate(x) over -5m > 1", 14, "no duration"),
        ("rate(x) over 99999999999999999999d > 1", 14, "no duration"),
        ("rate(x) > 1", 1, "without a window"),
        ("current(x) over 5m > 1", 1, "takes none"),
        ("change(counter x) over 5m > 1", 1, "counter"),
        ("rate(x) over 5m", 16, "comparison"),
        ("rate(x) over 5m >", 18, "number"),
        ("rate(x) over 5m > NaN", 19, "NaN"),
        ("rate(x) over 5m > 1 1", 21, "end here"),
        ("rate(x) over 5m outside 1", 26, "`..`"),
        ("rate(x) over 5m crosses 1", 26, "`within`"),
        ("(rate(x) over 5m > 1", 18, "`)`"),
        ("quantile(2)(x) over 5m > 1", 1, "quantile(2)"),
    ] {
        let message = text.parse::<Condition>().unwrap_err().to_string();
        assert!(
            message.contains(&format!("at character {at}: ")),
            "{text}: {message}"
        );
        assert!(message.contains(what), "{text}: {message}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (text, what) in [
        ("rate(x) over 5m > 1 clear 2", "clears at 2"),
        ("rate(x) over 5m < 2 clear 1", "clears at 1"),
        ("rate(x) over 5m == 2 clear 1", "at which they clear"),
        ("rate(x) over 5m outside 2..1", "range 2..1"),
        ("rate(a) over 5m / rate(b) by (c) over 5m > 1", "by (c)"),
        ("total(a) change 5m > 1", "live"),
        ("rate(a) over 5m change 1h crosses 1 within 1h", "no ratio"),
        ("current(a) crosses 1 within 1h", "with a window"),
    ] {
        let message = text.parse::<Condition>().unwrap_err().to_string();
        assert!(message.contains(what), "{text}: {message}");
    }
    let deep = format!("{}rate(x) over 5m{} > 1", "(".repeat(99), ")".repeat(99));
    assert!(deep.parse::<Condition>().is_err());
    let long = format!("rate(x) over 5m{} > 1", " ".repeat(LONGEST));
    assert!(
        long.parse::<Condition>()
            .unwrap_err()
            .to_string()
            .contains("bytes")
    );
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_:.]{0,8}",
        "[ -~é\n\t\"\\\\]{1,8}",
        Just("gauge".to_owned()),
        Just("over".to_owned())
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1_u64..1_000_000).prop_map(Duration::from_secs),
        (1_u64..u64::MAX).prop_map(Duration::from_nanos),
        Just(Duration::MAX),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        -1e3..1e3,
        prop::num::f64::NORMAL
            | prop::num::f64::ZERO
            | prop::num::f64::SUBNORMAL
            | prop::num::f64::INFINITE,
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let value = prop_oneof![
        name().prop_map(|text| Wanted::Text(text.into())),
        "[a-z.|]{0,6}".prop_map(|text| Wanted::pattern(&text).unwrap()),
    ];
    (name(), value, any::<bool>()).prop_map(|(name, value, is)| Matcher {
        name: name.into(),
        value,
        is,
    })
}

fn ask() -> impl Strategy<Value = Term> {
    use Aggregation::{
        Avg, Change, Count, Current, Increase, Max, Median, Min, Quantile, Rate, StdDev, Sum,
        Total, Trend,
    };
    let aggregation = prop_oneof![
        prop::sample::select(vec![
            Total, Increase, Rate, Current, Count, Sum, Avg, Min, Max, Median, StdDev, Change,
            Trend
        ]),
        (0.0..=1.0).prop_map(Quantile),
        prop::sample::select(vec![0.5, 0.9, 0.99, 0.999, 1.0]).prop_map(Quantile),
    ];
    let labels = prop::collection::vec(name().prop_map(Box::from), 0..3);
    let matchers = prop::collection::vec(matcher(), 0..3);
    (
        aggregation,
        prop::sample::select(KINDS.to_vec()),
        name(),
        matchers,
        labels,
        duration(),
    )
        .prop_map(
            |(aggregation, kind, name, matchers, mut by, window): (
                _,
                _,
                _,
                _,
                Vec<Box<str>>,
                _,
            )| {
                by.sort();
                by.dedup();
                let kind = if aggregation.suits(kind) {
                    kind
                } else {
                    usual(aggregation)
                };
                let window = (!aggregation.is_live()).then_some(Range::Last(window));
                let query = Query {
                    kind,
                    name: name.into(),
                    matchers,
                    by,
                    window,
                    step: None,
                };
                Term::Ask { query, aggregation }
            },
        )
}

fn condition() -> impl Strategy<Value = Condition> {
    let term = ask().prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Term::Ratio(Box::new(a), Box::new(b))),
            (inner.clone(), duration()).prop_map(|(a, ago)| Term::Change(Box::new(a), ago)),
            (inner, duration()).prop_map(|(a, ago)| Term::Ago(Box::new(a), ago)),
        ]
    });
    let test = prop_oneof![
        (0..6_usize, number()).prop_map(|(i, x)| COMPARISONS[i].1(x)),
        (number(), number()).prop_map(|(a, b)| Test::Outside(a, b)),
        duration().prop_map(Test::Absent),
        (number(), duration()).prop_map(|(x, within)| Test::Crosses(x, within)),
    ];
    (term, test, prop::option::of(number())).prop_map(|(term, test, clear)| Condition {
        term,
        test,
        clear,
    })
}

proptest! {
    /// What is refused for other reasons is written and read all the same.
    #[test]
    fn every_condition_is_read_as_it_is_written(condition in condition()) {
        let text = condition.to_string();
        let read = Reader { text: &text, at: 0, depth: 0 }.condition();
        prop_assert_eq!(read, Ok(condition), "{}", text);
    }

    #[test]
    fn no_text_panics(text in ".{0,60}", words in "[-a-z0-9(){}\",.=~!<>/ é]{0,60}") {
        let _ = text.parse::<Condition>();
        let _ = words.parse::<Condition>();
        let _ = format!("rate(x{words}) over {words} > {words}").parse::<Condition>();
    }
}
