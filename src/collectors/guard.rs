//! The guard of collectors.

use crate::engine::{CollectorStatus, Crew};
use std::{fmt, sync::Arc};

/// Collectors that run. Dropping it takes them off the schedule: no further run begins, and one that is under way ends by
/// itself, which is not waited for.
#[must_use = "dropping it stops collecting, `let _ =` does so at once; keep it or call `.detach()`"]
pub struct Collecting {
    crews: Vec<Arc<Crew>>,
    is_detached: bool,
}

impl Collecting {
    pub(super) fn new(crews: Vec<Arc<Crew>>) -> Self {
        Self {
            crews,
            is_detached: false,
        }
    }

    /// Whether any of it is on the schedule: after a shutdown nothing is.
    pub(super) fn is_over(&self) -> bool {
        self.crews.iter().all(|crew| crew.is_over())
    }

    /// Guards others, too.
    #[cfg(feature = "system")]
    pub(super) fn join(&mut self, mut other: Self) {
        self.crews.append(&mut other.crews);
    }

    /// What they did so far, as [`Recall::collectors`](crate::Recall::collectors) has it.
    #[must_use]
    pub fn collectors(&self) -> Vec<CollectorStatus> {
        self.crews.iter().flat_map(|crew| crew.statuses()).collect()
    }

    /// Runs these collectors now, on this thread, but for those that are running.
    pub fn collect_now(&self) {
        self.crews.iter().for_each(|crew| crew.collect_now());
    }

    /// They stay on the schedule and in lists, and do not run until [`start`](Self::start).
    ///
    /// ```
    /// use metrics_recall::{Recall, secs};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// let queue = recall.collect_as("queue", secs(5), || metrics::gauge!("queue_depth").set(3.0))?;
    /// queue.stop();
    /// recall.tick();
    /// assert_eq!(recall.gauges("queue_depth").current(), None);
    /// queue.start();
    /// recall.tick();
    /// assert_eq!(recall.gauges("queue_depth").current(), Some(3.0));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    pub fn stop(&self) {
        self.crews.iter().for_each(|crew| crew.stop());
    }

    /// They run with the next tick, whether they were stopped, or are waiting after failures.
    pub fn start(&self) {
        self.crews.iter().for_each(|crew| crew.start());
    }

    /// Leaves them running for as long as the store does.
    pub fn detach(mut self) {
        self.is_detached = true;
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if !self.is_detached {
            self.crews.iter().for_each(Crew::leave);
        }
    }
}

impl fmt::Debug for Collecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.collectors()).finish()
    }
}
