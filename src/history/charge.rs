//! Bytes of the budget that are given back when what they were for is dropped.

use crate::{
    ledger::{Full, Ledger, Part},
    util::{layout, sync::Arc},
};

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    ledger: Arc<Ledger>,
    part: Part,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(ledger: &Arc<Ledger>, part: Part, bytes: usize) -> Result<Self, Full> {
        ledger.reserve(part, bytes)?;
        Ok(Self {
            ledger: ledger.clone(),
            part,
            bytes,
        })
    }

    /// Takes over what was charged to another part.
    pub(super) fn adopt(ledger: &Arc<Ledger>, from: Part, to: Part, bytes: usize) -> Self {
        ledger.hand_over(from, to, bytes);
        Self {
            ledger: ledger.clone(),
            part: to,
            bytes,
        }
    }

    /// Charges `bytes` more.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Full> {
        self.ledger.reserve(self.part, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Sees to it that one more element fits into a vector that this charges.
    pub(crate) fn room<T>(&mut self, items: &mut Vec<T>) -> Result<(), Full> {
        let capacity = items.capacity();
        if items.len() == capacity {
            let larger = layout::grown(capacity);
            self.add(layout::vec::<T>(larger))?;
            layout::regrow(items, larger);
            self.give_back(layout::vec::<T>(capacity));
        }
        Ok(())
    }

    /// All of it, for another owner.
    pub(super) fn take(&mut self) -> Self {
        self.split(self.bytes)
    }

    /// `bytes` of it, for another owner.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            ledger: self.ledger.clone(),
            part: self.part,
            bytes,
        }
    }

    /// Takes over what another one has, of the same part.
    pub(super) fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives back `bytes` of what it charges.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.ledger.release(self.part, bytes);
        self.bytes -= bytes;
    }

    /// Charges `bytes` for something that goes before this does.
    pub(crate) fn beside(&self, bytes: usize) -> Result<Self, Full> {
        Self::new(&self.ledger, self.part, bytes)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.release(self.part, self.bytes);
    }
}
