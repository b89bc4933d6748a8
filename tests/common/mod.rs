//! A store whose clock the test moves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use metrics_recall::{Clock, ManualClock, Recall, RecallBuilder, RecallRecorder, Tick};
use std::time::Duration;

/// A store without a worker, its recorder, and the hands of its clock.
pub struct Store {
    pub recorder: RecallRecorder,
    pub recall: Recall,
    pub hands: ManualClock,
}

impl Store {
    /// Lets `by` pass, and ticks.
    pub fn tick(&self, by: Duration) -> Tick {
        self.hands.advance(by);
        self.recall.tick()
    }
}

impl From<RecallBuilder> for Store {
    fn from(builder: RecallBuilder) -> Self {
        let (clock, hands) = Clock::manual();
        let (recorder, recall) = builder.clock(clock).build().unwrap();
        Self {
            recorder,
            recall,
            hands,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Recall::builder().into()
    }
}
