//! Bytes that alerts hold: reserved before, released after.

use crate::ledger::{Full, Ledger, Part};
use std::sync::Arc;

/// A charge that is released when it is dropped. It stands last in what it charges, so that the rest is freed before.
pub(crate) struct Kept {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Kept {
    pub(crate) fn new(ledger: &Arc<Ledger>, bytes: usize) -> Result<Self, Full> {
        ledger.reserve(Part::Alerts, bytes)?;
        Ok(Self {
            ledger: ledger.clone(),
            bytes,
        })
    }

    /// Charges `bytes` more.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Full> {
        self.ledger.reserve(Part::Alerts, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back `bytes` of it, which were freed.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.ledger.release(Part::Alerts, bytes);
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.ledger.release(Part::Alerts, self.bytes);
    }
}
