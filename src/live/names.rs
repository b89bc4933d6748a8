//! Names of one kind: admitted by the limit and the ledger, each with the overflow series for what its own limit refuses.

use super::{
    admit::Wanted,
    key,
    name::{Grain, Name},
    registry::{Grant, NAME_SHARDS, Registry, high, use_overflow},
    series::{END, Kind},
    shard::insert,
};
use crate::{
    ledger::Part,
    model::{matcher::Subject, schema::Schema},
    util::{
        bits::low,
        fork, layout,
        sync::{Arc, MutexGuard},
        table::Table,
    },
};
use metrics::Key;
use std::sync::atomic::Ordering::Relaxed;

/// Names of one shard, found by their hash.
pub(super) struct NameShard<K: Kind> {
    table: Table,
    entries: Vec<Named<K>>,
}

/// A name, and the series for what its own limits refuse.
struct Named<K: Kind> {
    name: Arc<Name>,
    overflow: Arc<K::Cell>,
}

impl<K: Kind> Registry<K> {
    /// The name of `key`, admitted if it is new. `None`: there is no room for a further name.
    pub(super) fn name(&self, key: &Key, me: u32) -> Option<Arc<Name>> {
        let found = self.find_name(key.name());
        if found.is_some() || self.name_count.load(Relaxed) > self.limits.metrics {
            return found;
        }
        self.admit_name(key, me).map(|(name, _)| name)
    }

    fn name_shard(&self, hash: u64) -> Option<MutexGuard<'_, NameShard<K>>> {
        fork::lock(&self.names[high(hash, NAME_SHARDS)])
    }

    /// Adds a name and its overflow series, or finds it, if another thread was faster. The overflow series is many
    /// callers', so its class does not depend on the one that came first.
    pub(super) fn admit_name(&self, key: &Key, me: u32) -> Option<(Arc<Name>, Arc<K::Cell>)> {
        self.admit_grained(key, Grain::Whole, me)
    }

    /// As [`admit_name`](Self::admit_name); a name that is new counts in these grains.
    pub(super) fn admit_grained(
        &self,
        key: &Key,
        grain: Grain,
        me: u32,
    ) -> Option<(Arc<Name>, Arc<K::Cell>)> {
        let text = key.name();
        let hash = self.seed.hash(text.as_bytes());
        let mut shard = self.name_shard(hash)?;
        let found = shard.table.find(low(hash), |at| shard.is(at, text));
        if let Some(named) = found.and_then(|at| shard.entries.get(at as usize)) {
            return Some((named.name.clone(), named.overflow.clone()));
        }
        let table = shard.table.needs().unwrap_or(0);
        let capacity = shard.entries.capacity();
        let room = if shard.entries.len() < capacity {
            0
        } else {
            layout::vec::<Named<K>>(layout::grown(capacity))
        };
        let bytes = Name::bytes(text);
        self.claim_name()?;
        if self.ledger.reserve(Part::Names, bytes + room).is_err() {
            self.name_count.fetch_sub(1, Relaxed);
            return None;
        }
        if self.ledger.reserve(Part::Index, table).is_err() {
            self.name_count.fetch_sub(1, Relaxed);
            self.ledger.release(Part::Names, bytes + room);
            return None;
        }
        let schema = Schema::get(self.limits.schema);
        let name = Arc::new(Name::new(
            key,
            schema,
            self.folds.of(text),
            grain,
            self.ledger.clone(),
            self.tee.clone(),
            self.news.clone(),
        ));
        let claim = self.classes.claim(&Subject {
            name: text,
            kind: K::KIND,
            labels: key::OVERFLOW,
            origin: None,
        });
        let wanted = Wanted {
            labels: key::OVERFLOW,
            hash: self.hash(text, key::OVERFLOW),
            class: claim.class(),
            me,
        };
        let Ok(Grant { cell: overflow, .. }) = self.series(&name, &wanted) else {
            self.name_count.fetch_sub(1, Relaxed);
            drop(name);
            self.ledger.release(Part::Names, bytes + room);
            self.ledger.release(Part::Index, table);
            return None;
        };
        if room > 0 {
            layout::regrow(&mut shard.entries, layout::grown(capacity));
            self.ledger
                .release(Part::Names, layout::vec::<Named<K>>(capacity));
        }
        shard.entries.push(Named {
            name: name.clone(),
            overflow: overflow.clone(),
        });
        let at = u32::try_from(shard.entries.len() - 1).unwrap_or(END);
        insert(&mut shard.table, low(hash), at, &self.ledger);
        Some((name, overflow))
    }

    /// Counts one more name, if the limit allows. The kind's own name has a place beyond it.
    fn claim_name(&self) -> Option<()> {
        let mut now = self.name_count.load(Relaxed);
        while now <= self.limits.metrics {
            match self
                .name_count
                .compare_exchange_weak(now, now + 1, Relaxed, Relaxed)
            {
                Ok(_) => return Some(()),
                Err(seen) => now = seen,
            }
        }
        None
    }

    /// The overflow cell of a name. It is not to be cached for the key that it stands in for.
    pub(super) fn overflow(&self, name: &Name) -> Option<Grant<K>> {
        let hash = self.seed.hash(name.text.as_bytes());
        let shard = self.name_shard(hash)?;
        let at = shard.table.find(low(hash), |at| shard.is(at, &name.text))?;
        let named = shard.entries.get(at as usize)?;
        use_overflow::<K>(&named.overflow);
        Some(Grant {
            cell: named.overflow.clone(),
            id: None,
        })
    }

    /// The overflow cell of the kind; `None` only while the registry is being built.
    pub(crate) fn spare(&self) -> Option<Grant<K>> {
        let spare = self.spare.as_ref()?;
        use_overflow::<K>(spare);
        Some(Grant {
            cell: spare.clone(),
            id: None,
        })
    }

    /// Calls `look` with every name.
    pub(crate) fn for_each_name(&self, mut look: impl FnMut(&Arc<Name>)) {
        for shard in &self.names {
            if let Some(shard) = fork::lock(shard) {
                shard.entries.iter().for_each(|named| look(&named.name));
            }
        }
    }

    /// The same, without any lock while `look` is called. Names that come meanwhile may be met or not.
    pub(crate) fn walk_names(&self, mut look: impl FnMut(&Name)) {
        for shard in &self.names {
            let mut at = 0;
            loop {
                let shard = fork::lock(shard);
                let named = shard.as_ref().and_then(|shard| shard.entries.get(at));
                let Some(name) = named.map(|named| named.name.clone()) else {
                    break;
                };
                drop(shard);
                look(&name);
                at += 1;
            }
        }
    }

    /// The name that reads `text`.
    pub(crate) fn find_name(&self, text: &str) -> Option<Arc<Name>> {
        let hash = self.seed.hash(text.as_bytes());
        let shard = self.name_shard(hash)?;
        let at = shard.table.find(low(hash), |at| shard.is(at, text))?;
        shard
            .entries
            .get(at as usize)
            .map(|named| named.name.clone())
    }
}

impl<K: Kind> NameShard<K> {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            entries: Vec::new(),
        }
    }

    fn is(&self, at: u32, text: &str) -> bool {
        self.entries
            .get(at as usize)
            .is_some_and(|named| *named.name.text == *text)
    }
}
