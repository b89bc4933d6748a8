//! What a question says beside its number: why there is no answer, how far one can be trusted, and what `health()` makes of
//! questions that nobody can answer.

mod common;

use common::Store;
use metrics::{counter, gauge, histogram};
use metrics_recall::{
    Aggregation, Answer, Clock, Direction, Labels, MemoryProfile, Recall, Tier, Timestamp, mins,
    secs,
};
use std::time::Duration;

/// An order a second for so many seconds, and how long it took.
fn orders(store: &Store, seconds: u32) {
    for second in 0..seconds {
        store.recorder.scope(|| {
            counter!("orders_total").increment(u64::from(second) + 1);
            gauge!("queue_depth").set(f64::from(second));
            histogram!("order_seconds").record(f64::from(second % 7) + 0.3);
        });
        store.tick(secs(1));
    }
}

#[test]
fn a_quantile_outside_of_its_range_is_named() {
    let store = Store::default();
    orders(&store, 3);
    let window = store.recall.histograms("order_seconds").over(mins(1));
    for q in [-0.1, 1.1, 99.0, f64::NAN, f64::INFINITY] {
        let error = window.eval(Aggregation::Quantile(q)).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        let message = error.to_string();
        assert!(
            message.contains(&q.to_string()) && message.contains("0 to 1"),
            "{message}"
        );
        assert_eq!(window.quantile(q), None);
    }
}

#[test]
fn a_question_that_a_kind_does_not_have_names_those_that_it_has() {
    let store = Store::default();
    orders(&store, 3);
    let rates = store.recall.counters("orders_total").over(mins(1));
    for aggregation in [Aggregation::Change, Aggregation::Sum, Aggregation::Total] {
        let error = rates.eval(aggregation).unwrap_err();
        let message = error.to_string();
        assert!(
            error.is_invalid() && message.contains(&aggregation.to_string()),
            "{message}"
        );
    }
    let message = rates.eval(Aggregation::Change).unwrap_err().to_string();
    assert!(
        message.contains("increase") && !message.contains("current"),
        "{message}"
    );
}

#[test]
fn an_unknown_metric_has_its_nearest_names() {
    let store = Store::default();
    orders(&store, 3);
    let error = store.recall.counters("order_total").over(mins(1));
    let error = error.eval(Aggregation::Rate).unwrap_err();
    assert!(error.is_unknown_metric() && !error.is_invalid());
    let message = error.to_string();
    assert!(
        message.contains("`order_total`") && message.contains("`orders_total`"),
        "{message}"
    );
    let other = store.recall.counters("queue_depth").over(mins(1));
    let error = other.eval(Aggregation::Rate).unwrap_err();
    assert!(error.is_unknown_metric());
    assert!(
        error.to_string().contains("ask `gauges(\"queue_depth\")`"),
        "{error}"
    );
}

#[test]
fn a_window_that_no_tick_covers_says_what_history_has() {
    let store = Store::default();
    orders(&store, 3);
    let ms = |ms| Timestamp::from_millis(ms);
    let past = store
        .recall
        .counters("orders_total")
        .between(ms(1_000), ms(2_000));
    let error = past.eval(Aggregation::Increase).unwrap_err();
    assert!(
        error.is_beyond_retention() && !error.is_unknown_metric(),
        "{error}"
    );
    let now = store.recall.now();
    assert!(error.to_string().contains(&now.to_string()), "{error}");
    assert_eq!(past.increase(), None);
    let nothing = store.recall.counters("orders_total").over(secs(0));
    let error = nothing.eval(Aggregation::Increase).unwrap_err();
    assert!(error.to_string().contains("a window of 0 s"), "{error}");
    let nothing_yet = Store::default();
    nothing_yet
        .recorder
        .scope(|| counter!("orders_total").increment(1));
    let error = nothing_yet.recall.counters("orders_total").over(mins(1));
    assert!(
        error
            .eval(Aggregation::Rate)
            .unwrap_err()
            .is_beyond_retention()
    );
}

#[test]
fn without_working_memory_a_question_is_refused_and_health_says_so() {
    let store = Store::from(Recall::builder().memory_budget(128 << 10));
    orders(&store, 5);
    store.tick(mins(10));
    let window = store.recall.counters("orders_total").over(mins(10));
    let steps = window.every(Duration::from_millis(1));
    let error = steps.eval(Aggregation::Rate).unwrap_err();
    assert!(
        error.is_refused() && error.to_string().contains("`memory_budget`"),
        "{error}"
    );
    assert!(steps.rate().is_empty());
    assert!(!store.recall.health().is_healthy());
}

#[test]
fn health_names_questions_about_names_that_were_never_seen_until_they_are() {
    let store = Store::default();
    orders(&store, 3);
    assert_eq!(
        store.recall.counters("ordres_total").over(mins(1)).rate(),
        None
    );
    assert_eq!(store.recall.gauges("depth").current(), None);
    let health = store.recall.health().to_string();
    assert!(
        health.contains("`ordres_total`") && health.contains("`depth`"),
        "{health}"
    );
    store
        .recorder
        .scope(|| counter!("ordres_total").increment(1));
    store.recorder.scope(|| gauge!("depth").set(1.0));
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
fn health_names_malformed_questions_and_forgets_them() {
    let store = Store::default();
    orders(&store, 3);
    let orders = store.recall.histograms("order_seconds").over(mins(1));
    assert_eq!(orders.quantile(2.0), None);
    assert_eq!(orders.buckets(0), None);
    assert_eq!(orders.buckets_at([2.0, 1.0]), None);
    let health = store.recall.health().to_string();
    assert!(
        health.contains("3 questions about the histogram `order_seconds`"),
        "{health}"
    );
    for _ in 0..11 {
        store.tick(mins(1));
    }
    assert!(
        store.recall.health().is_healthy(),
        "{}",
        store.recall.health()
    );
}

#[test]
fn typos_without_end_take_no_memory() {
    let store = Store::default();
    orders(&store, 3);
    let used = store.recall.memory().used;
    for typo in 0..10_000 {
        assert_eq!(store.recall.counters(format!("typo_{typo}")).total(), None);
    }
    assert_eq!(store.recall.memory().used, used);
    let health = store.recall.health();
    assert!(
        health.reasons().len() < 20 && !health.is_healthy(),
        "{health}"
    );
}

#[test]
fn a_gauge_with_an_overflow_series_answers_in_part() {
    let store = Store::from(Recall::builder().max_series_per_metric(2));
    store.recorder.scope(|| {
        for room in 0..5 {
            gauge!("degrees", "room" => room.to_string()).set(20.0);
            counter!("doors", "room" => room.to_string()).increment(1);
        }
    });
    store.tick(secs(1));
    let answer = |asked: Result<Answer, metrics_recall::Error>| asked.unwrap();
    let degrees = store.recall.gauges("degrees");
    assert!(answer(degrees.clone().over(mins(1)).eval(Aggregation::Avg)).partial);
    let own = degrees.label("overflow", "");
    assert!(!answer(own.over(mins(1)).eval(Aggregation::Avg)).partial);
    let doors = store.recall.counters("doors").over(mins(1));
    let doors = answer(doors.eval(Aggregation::Increase));
    assert_eq!(
        (doors.value, doors.partial, doors.bound),
        (Some(5.0), false, 0.0)
    );
}

/// A second of ticks is left in detail; all before is in points of ten seconds.
fn coarse() -> Store {
    let mut config = MemoryProfile::Production.config();
    config.tiers = vec![Tier::new(secs(1), secs(20)), Tier::new(secs(10), mins(30))];
    let store = Store::from(Recall::builder().config(config));
    orders(&store, 600);
    store
}

#[test]
fn windows_across_tiers_are_exact_where_points_meet() {
    let store = coarse();
    let [finest, coarse] = &*store.recall.retention() else {
        panic!("two tiers");
    };
    assert!(
        finest.effective < secs(400) && coarse.effective >= secs(500),
        "{finest} {coarse}"
    );
    let end = store.recall.now();
    let start = end - secs(590);
    let orders = store.recall.counters("orders_total").between(start, end);
    let all: u64 = (11..=600).sum();
    assert_eq!(orders.increase(), Some(all));
    assert_eq!(orders.max(), Some(600.0));
    let depth = store.recall.gauges("queue_depth").between(start, end);
    assert_eq!(
        (depth.min(), depth.max(), depth.count()),
        (Some(10.0), Some(599.0), Some(590))
    );
    assert_eq!(depth.change(), Some(590.0));
    let took = store.recall.histograms("order_seconds").between(start, end);
    assert_eq!(
        (took.count(), took.min(), took.max()),
        (Some(590), Some(0.3), Some(6.3))
    );
    let trend = depth.trend().unwrap();
    assert!((trend.slope - 1.0).abs() < 1e-9, "{trend:?}");
    assert_eq!(trend.direction(), Direction::Rising);
}

#[test]
fn answers_from_coarse_points_say_that_they_are() {
    let store = coarse();
    let now = store.recall.now();
    let old = || {
        store
            .recall
            .counters("orders_total")
            .between(now - secs(590), now - secs(500))
    };
    let answer = |aggregation| old().eval(aggregation).unwrap();
    assert!(answer(Aggregation::Median).partial && answer(Aggregation::StdDev).partial);
    assert!(!answer(Aggregation::Increase).partial && !answer(Aggregation::Rate).partial);
    let new = store.recall.counters("orders_total").over(secs(10));
    assert!(!new.eval(Aggregation::Median).unwrap().partial);
    // A coarser tier has buckets twice as wide, and the bound says so.
    let took = store.recall.histograms("order_seconds");
    let p50 = |window: Duration| {
        let asked = took
            .clone()
            .between(now - secs(590), now - secs(590) + window);
        asked.eval(Aggregation::Median).unwrap()
    };
    let (coarse, fine) = (
        p50(secs(90)),
        took.clone()
            .over(secs(10))
            .eval(Aggregation::Median)
            .unwrap(),
    );
    assert!(fine.bound > 0.0 && fine.bound <= 0.022, "{fine:?}");
    assert!(
        coarse.bound > fine.bound && coarse.bound <= 0.045,
        "{coarse:?}"
    );
    assert!(
        (coarse.value.unwrap() / 3.3 - 1.0).abs() <= coarse.bound,
        "{coarse:?}"
    );
}

#[test]
fn coverage_is_the_share_that_ticks_cover() {
    let store = Store::default();
    orders(&store, 15);
    let coverage = |window| {
        let asked = store.recall.counters("orders_total").over(window);
        asked.eval(Aggregation::Rate).unwrap().coverage
    };
    assert_eq!(coverage(secs(60)).to_bits(), 0.25_f64.to_bits());
    assert_eq!(coverage(secs(10)).to_bits(), 1.0_f64.to_bits());
    assert_eq!(coverage(Duration::MAX).to_bits(), 1.0_f64.to_bits());
    let stats = store
        .recall
        .gauges("queue_depth")
        .over(secs(60))
        .stats()
        .unwrap();
    assert_eq!(stats.coverage.to_bits(), 0.25_f64.to_bits());
    let steps = store
        .recall
        .counters("orders_total")
        .over(secs(15))
        .every(secs(5));
    let steps = steps.eval(Aggregation::Increase).unwrap();
    let increases: Vec<Option<f64>> = steps.iter().map(|step| step.value).collect();
    assert_eq!(increases, [Some(15.0), Some(40.0), Some(65.0)]);
}

#[test]
fn patterns_fit_whole_values_and_an_absent_label_is_empty() {
    let store = Store::default();
    store.recorder.scope(|| {
        for code in ["200", "404", "4040", "500"] {
            counter!("requests", "code" => code).increment(1);
        }
        counter!("requests").increment(10);
    });
    let requests = || store.recall.counters("requests");
    let total = |pattern| requests().label_matches("code", pattern).unwrap().total();
    let others = |pattern| {
        requests()
            .label_not_matches("code", pattern)
            .unwrap()
            .total()
    };
    assert_eq!((total("4..|5.."), others("4..|5..")), (Some(2), Some(12)));
    assert_eq!(
        (total(""), total(".*"), total(".+")),
        (Some(10), Some(14), Some(4))
    );
    assert_eq!(total("nothing"), None);
    for pattern in ["4(", "a)(b", "a{99999}{99999}"] {
        let error = requests().label_matches("code", pattern).err().unwrap();
        assert!(
            error.is_invalid() && error.to_string().contains(&format!("{pattern:?}")),
            "{error}"
        );
    }
}

#[test]
fn groups_answer_as_data_in_the_order_of_their_labels() {
    let store = Store::default();
    store.recorder.scope(|| {
        for (route, n) in [("/pay", 3), ("/", 2), ("/cart", 5)] {
            counter!("requests", "route" => route).increment(n);
        }
    });
    store.tick(secs(1));
    let groups = store.recall.counters("requests").by("route").over(mins(1));
    let answers = groups.eval(Aggregation::Increase).unwrap();
    let answers: Vec<(Labels, Option<f64>)> =
        answers.into_iter().map(|(l, a)| (l, a.value)).collect();
    let expected = [("/", 2.0), ("/cart", 5.0), ("/pay", 3.0)];
    let expected = expected.map(|(route, n)| (Labels::from([("route", route)]), Some(n)));
    assert_eq!(answers, expected);
}

#[test]
fn a_bound_selection_and_its_condition_measure_the_same() {
    let (here, there) = (Store::default(), Store::default());
    let measure = |store: &Store| {
        let rate = store.recall.counters("errors_total").label("code", "5xx");
        rate.by("route").over(mins(5)).condition().rate()
    };
    assert_eq!(measure(&here), measure(&there));
    let all = here.recall.counters("errors_total").over(mins(5));
    assert_ne!(measure(&here), all.clone().condition().rate());
    assert_ne!(all.clone().condition().rate(), all.condition().increase());
}

/// Time passes in which nothing is asked, and in which a typo would be an alert that never fires.
#[test]
fn a_suspended_machine_covers_its_sleep() {
    let store = Store::default();
    orders(&store, 5);
    store.hands.suspend(mins(2));
    store
        .recorder
        .scope(|| counter!("orders_total").increment(25));
    store.recall.tick();
    let window = store.recall.counters("orders_total").over(secs(125));
    assert_eq!(window.increase(), Some(40));
    let rate = window.eval(Aggregation::Rate).unwrap();
    assert_eq!((rate.value, rate.coverage), (Some(40.0 / 125.0), 1.0));
}

/// Of a window without end, cut into seconds, all steps were still to come, and the million that was left did not fit.
#[test]
fn steps_that_are_still_to_come_take_no_room_from_those_that_were() {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build().unwrap();
    for _ in 0..5 {
        recorder.scope(|| counter!("n").increment(2));
        hands.advance(secs(1));
        recall.tick();
    }
    let (from, to) = (
        Timestamp::from_millis(i64::MIN),
        Timestamp::from_millis(i64::MAX),
    );
    let steps = recall
        .counters("n")
        .between(from, to)
        .every(secs(1))
        .increase();
    assert_eq!(
        steps.iter().filter_map(|point| point.value).sum::<u64>(),
        10
    );
    assert!(recall.health().is_healthy(), "{}", recall.health());
}

/// Fewer than a million of them were answered, and charged: half a million do not fit into the smallest budget.
#[test]
fn steps_that_are_still_to_come_have_no_point() {
    let (clock, hands) = Clock::manual();
    let builder = Recall::builder().profile(MemoryProfile::Edge);
    let (recorder, recall) = builder.clock(clock).build().unwrap();
    for _ in 0..5 {
        recorder.scope(|| counter!("n").increment(2));
        hands.advance(secs(1));
        recall.tick();
    }
    let now = recall.now();
    let n = recall.counters("n");
    let steps = n.clone().between(now - secs(5), now + secs(500_000));
    let steps: Vec<_> = steps.every(secs(1)).increase();
    let values: Vec<_> = steps.iter().map(|point| point.value).collect();
    assert_eq!(values, [Some(2); 5]);
    assert_eq!(steps.last().map(|point| point.at), Some(now));
    let to_come = n.between(now + secs(1), now + secs(500_000));
    assert!(to_come.every(secs(1)).increase().is_empty());
    assert!(recall.health().is_healthy(), "{}", recall.health());
}

/// What somebody asked about was printed as it was, and could write lines of its own into a report.
#[test]
fn names_in_reports_and_errors_stay_on_their_line() {
    let (recorder, recall) = Recall::builder().build().unwrap();
    let hostile = "a\nhealthy\u{1b}[2J";
    assert_eq!(recall.counters(hostile).total(), None);
    let health = recall.health().to_string();
    assert_eq!(health.lines().count(), 2, "{health}");
    let stays = |error: metrics_recall::Error| {
        let error = error.to_string();
        assert!(!error.contains(['\n', '\u{1b}']), "{error}");
    };
    stays(recall.reset(hostile).unwrap_err());
    recorder.scope(|| histogram!(hostile).record(1.0));
    let known = recall.histograms(hostile);
    stays(known.clone().label("a", "b").reset().unwrap_err());
    let known = known.over(mins(5));
    stays(known.eval(Aggregation::Quantile(2.0)).unwrap_err());
    stays(known.eval(Aggregation::Total).unwrap_err());
    let start = Timestamp::from_millis(0);
    let early = recall.histograms(hostile).between(start, start + secs(1));
    stays(early.eval(Aggregation::Avg).unwrap_err());
    let watch = format!("{:?}", known.watch(Aggregation::Avg));
    assert!(!watch.contains(['\n', '\u{1b}']), "{watch}");
}
