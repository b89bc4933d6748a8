//! A library author's tests: a small cache that counts its hits, and three tests that ask what it recorded. No global recorder,
//! no waiting; tests run side by side. `cargo test --example library_tests` runs them as tests; as a program it prints what
//! the last one asks. Run it with `cargo run --example library_tests`.

use metrics::{counter, gauge, histogram};
use std::collections::HashMap;

/// The library: it emits through the facade and knows nothing of any recorder.
#[derive(Default)]
pub struct Cache(HashMap<String, String>);

impl Cache {
    /// The value of `key`, loaded if it is not there yet.
    pub fn get(&mut self, key: &str, load: impl FnOnce(&str) -> String) -> &str {
        let result = if self.0.contains_key(key) {
            "hit"
        } else {
            "miss"
        };
        counter!("cache_requests_total", "result" => result).increment(1);
        self.0.entry(key.to_owned()).or_insert_with(|| {
            let value = load(key);
            gauge!("cache_entries").increment(1.0);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a value is shorter than 2^53 bytes"
            )]
            histogram!("cache_value_bytes").record(value.len() as f64);
            value
        })
    }
}

fn main() -> Result<(), metrics_recall::Error> {
    let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    let mut cache = Cache::default();
    recorder.scope(|| {
        for key in ["a", "b", "a", "a"] {
            cache.get(key, |key| key.repeat(100));
        }
    });
    for (labels, n) in recall.counters("cache_requests_total").by("result").total() {
        println!("{n} x {}", labels.get("result").unwrap_or("(none)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use metrics_recall::{Clock, Recall, secs};

    #[test]
    fn the_second_request_for_a_key_is_a_hit() -> Result<(), metrics_recall::Error> {
        let (recorder, recall) = Recall::builder().build()?;
        let mut cache = Cache::default();
        recorder.scope(|| {
            cache.get("a", str::to_owned);
            cache.get("a", str::to_owned);
        });
        // Totals are live: no tick is needed.
        let requests = recall.counters("cache_requests_total");
        assert_eq!(requests.clone().label("result", "hit").total(), Some(1));
        assert_eq!(requests.clone().label("result", "miss").total(), Some(1));
        assert_eq!(requests.total(), Some(2));
        assert_eq!(recall.gauges("cache_entries").current(), Some(1.0));
        Ok(())
    }

    #[test]
    fn the_size_of_each_loaded_value_is_recorded_once() -> Result<(), metrics_recall::Error> {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = Recall::builder().clock(clock).build()?;
        let mut cache = Cache::default();
        recorder.scope(|| {
            cache.get("a", |_| "x".repeat(300));
            cache.get("a", |_| "x".repeat(300));
        });
        hands.advance(secs(1)); // a window needs a tick; time is the test's
        recall.tick();
        let sizes = recall.histograms("cache_value_bytes").over(secs(60));
        assert_eq!(sizes.count(), Some(1));
        assert_eq!(sizes.max(), Some(300.0));
        Ok(())
    }

    #[test]
    fn a_cache_that_is_never_asked_records_nothing() -> Result<(), metrics_recall::Error> {
        let (recorder, recall) = Recall::builder().build()?;
        recorder.scope(|| drop(Cache::default()));
        assert!(recall.metrics().is_empty());
        Ok(())
    }
}
