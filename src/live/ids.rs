//! What a series' id says: its shard, its place there, and its retention class; and the number of its pin.

use crate::model::frame::{CLASS_BITS, CLASSES, SeriesId};

/// Shards of series; the number is in the upper six bits of a [`SeriesId`]. Every lock slows a model down.
pub(crate) const SHARDS: usize = if cfg!(loom) { 1 } else { 64 };
pub(super) const SHARD_BITS: u32 = if cfg!(loom) { 1 } else { 6 };
pub(super) const PLACE_BITS: u32 = 32 - SHARD_BITS - CLASS_BITS;

/// Places of ids in the order of their shards, into `order`; gives where those of each shard begin, and at last their number.
pub(super) fn by_shard(ids: &[SeriesId], order: &mut Vec<u32>) -> [u32; SHARDS + 1] {
    let mut starts = [0; SHARDS + 1];
    for id in ids {
        if let Some(next) = starts.get_mut(split_id(*id).0 + 1) {
            *next += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    order.clear();
    order.resize(ids.len(), 0);
    let mut next = starts;
    for (place, id) in (0..).zip(ids) {
        if let Some(at) = next.get_mut(split_id(*id).0) {
            if let Some(slot) = order.get_mut(*at as usize) {
                *slot = place;
            }
            *at += 1;
        }
    }
    starts
}

/// The id of the series of a class at a place of a shard; the registry never fills a place that has none.
pub(crate) fn id_of(shard: usize, at: usize, class: usize) -> SeriesId {
    let id = (shard << PLACE_BITS | at) << CLASS_BITS | class;
    u32::try_from(id).unwrap_or(SeriesId::MAX)
}

/// Shard and place.
pub(super) fn split_id(id: SeriesId) -> (usize, usize) {
    let at = id as usize / CLASSES;
    (at >> PLACE_BITS, at & ((1 << PLACE_BITS) - 1))
}

/// Pins are numbered so that the first places of all shards come first. The series that have one place one after the
/// other share a pin, whatever their classes.
pub(crate) fn pin_of(id: SeriesId) -> u32 {
    let (shard, at) = split_id(id);
    let pin = at << SHARD_BITS | shard;
    u32::try_from(pin).unwrap_or(u32::MAX)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::model::frame::class_of;

    #[test]
    fn ids_ascend_as_the_sweep_visits_whatever_the_class() {
        let last = (1 << PLACE_BITS) - 2;
        let visited = [(0, 0), (0, 1), (0, last), (1, 0), (SHARDS - 1, last)];
        let mut before = None;
        for (shard, at) in visited {
            let ids = [0, 1, 2, 3].map(|class| id_of(shard, at, class));
            for (class, id) in ids.into_iter().enumerate() {
                assert_eq!((split_id(id), class_of(id)), ((shard, at), class));
                assert_eq!(pin_of(id), pin_of(ids[0]));
                assert!(Some(id) > before && id < SeriesId::MAX);
            }
            before = ids.last().copied();
        }
    }
}
