//! Any name of a metric or a label becomes one that Prometheus has always allowed; legal ones stay what they are, and what is
//! made legal is left alone the second time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_recall::fuzzing::{exposed_label, exposed_metric};

fn check(text: &str, make: impl Fn(&str) -> String, also: &[char]) {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || also.contains(&c);
    let is_legal = |text: &str| {
        let first = text.chars().next();
        first.is_some_and(|c| !c.is_ascii_digit()) && text.chars().all(legal)
    };
    let name = make(text);
    assert!(is_legal(&name), "{text:?} became {name:?}");
    assert_eq!(is_legal(text), name == text, "{text:?} became {name:?}");
    assert_eq!(make(&name), name);
}

fuzz_target!(|text: &str| {
    check(text, exposed_metric, &[':']);
    check(text, exposed_label, &[]);
});
