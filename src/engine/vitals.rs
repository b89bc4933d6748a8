//! What the store tells alert rules of itself.

use super::{core::Core, info::Retention};
use crate::{
    alerts::{Now, Vitals},
    model::Timestamp,
};

impl Core {
    /// Evaluates all rules on the history that the tick has committed.
    pub(super) fn evaluate_alerts(&self, ns: u64, at: Timestamp) {
        let vitals = self.vitals();
        self.alerts.evaluate(self, &vitals, Now { ns, at });
    }

    #[expect(clippy::cast_precision_loss, reason = "shares, and counts for people")]
    fn vitals(&self) -> Vitals {
        let (used, budget) = self.live.ledger.used_of();
        Vitals {
            memory: used as f64 / budget as f64,
            overflowed: self.alerts.overflowed(self.live.denied()) as f64,
            disturbed: self.disturbed() as f64,
            dropped: self.alerts.dropped() as f64,
            retention: self.retention().iter().map(share).fold(1.0, f64::min),
        }
    }

    /// Ticks that were lost of late, and those that were late, if they are more than a few. Only a worker's are: whoever
    /// ticks by hand is never late.
    fn disturbed(&self) -> u64 {
        let lost = self.counts.lost.recent();
        let (ticks, late) = (self.counts.ticks.recent(), self.counts.late.recent());
        let has_worker = || self.with_worker(|_| ()).is_some();
        lost + if late * 10 > ticks && late > 3 && has_worker() {
            late
        } else {
            0
        }
    }
}

/// How far a tier reaches, of how far it is to, if memory shortens it.
fn share(tier: &Retention) -> f64 {
    if tier.shortened > 0 && tier.effective < tier.target {
        tier.effective.as_secs_f64() / tier.target.as_secs_f64()
    } else {
        1.0
    }
}
