//! A closure as a collector.

use crate::intake::{CollectError, Collector, Outcome};
use std::time::Duration;

pub(super) struct Closure<F> {
    name: String,
    interval: Duration,
    run: F,
}

impl<F> Closure<F> {
    pub(super) fn new(name: String, interval: Duration, run: F) -> Self {
        Self {
            name,
            interval,
            run,
        }
    }
}

impl<O: Outcome, F: FnMut() -> O + Send> Collector for Closure<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn collect(&mut self) -> Result<(), CollectError> {
        (self.run)().outcome()
    }
}
