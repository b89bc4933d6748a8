//! Segments as bytes, and back. Only tests do that yet: it is the seam for a journal.

use super::{
    Charge,
    axis::{self, Axis},
    timeline::{Chunks, Segment, Shelved},
};
use crate::{
    codec::{
        segment::{Block, Row},
        stored::{Header, KINDS, Parts, Stored, StoredBlock},
    },
    ledger::{Full, Ledger, Part},
    model::frame::CLASSES,
    util::{layout, sync::Arc},
};

impl Segment {
    /// What is to be written of a segment of this tier, which is a coarse one or is not, with these rows.
    fn parts<'a>(&'a self, rows: &'a [Row], tier: &Shelved, is_coarse: bool) -> Parts<'a> {
        let mut blocks = [[&[][..]; KINDS]; CLASSES];
        for (blocks, chunks) in blocks.iter_mut().zip(&self.chunks) {
            if let Some(chunks) = chunks {
                *blocks = chunks.blocks.each_ref().map(|blocks| &**blocks);
            }
        }
        Parts {
            header: Header {
                tick: self.axis.tick,
                is_coarse,
                scale: tier.scale,
                kept: self.kept,
            },
            rows,
            blocks,
        }
    }

    /// The segment that was stored.
    fn restored(ledger: &Arc<Ledger>, stored: &Stored<'_>) -> Result<Self, Full> {
        let parts = axis::Parts::of(&stored.rows());
        let charge = Charge::new(ledger, Part::History, parts.bytes())?;
        let mut chunks = [const { None }; CLASSES];
        for (class, chunks) in chunks.iter_mut().enumerate() {
            let own = layout::arc::<Chunks>();
            let mut charge = charge.beside(own)?;
            let mut blocks = [const { Vec::new() }; KINDS];
            for (kind, blocks) in blocks.iter_mut().enumerate() {
                let all = || stored.blocks(class, kind);
                let bytes = all().map(StoredBlock::bytes).sum::<usize>();
                let n = all().count();
                charge.add(bytes + layout::vec::<Block>(n))?;
                blocks.reserve_exact(n);
                blocks.extend(all().map(StoredBlock::block));
            }
            if blocks.iter().any(|blocks| !blocks.is_empty()) {
                *chunks = Some(Arc::new(Chunks { blocks, charge }));
            }
        }
        let axis = Axis::new(&stored.rows(), &parts, stored.header.tick, charge);
        Ok(Self {
            axis: Arc::new(axis),
            kept: stored.header.kept,
            chunks,
        })
    }
}

mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        codec::{distribution, stored},
        history::{Commit, History, Tier},
        model::{
            MetricKind,
            frame::{Draft, GaugePoint, HistogramPoint, SeriesId, Span},
        },
    };

    const SECOND: u64 = 1_000_000_000;

    /// What a series does in one tick: as a counter, as a gauge, and as a histogram.
    type Change = (u64, f64, BTreeMap<i32, u64>);

    fn any_tick() -> impl Strategy<Value = BTreeMap<SeriesId, Change>> {
        let count = prop_oneof![4 => 1_u64..50, 1 => any::<u64>()];
        let level = prop_oneof![(-40_i16..40).prop_map(f64::from), any::<f64>()];
        let code = prop_oneof![4 => 16_000..16_040, 1 => -32_000..32_000];
        let buckets = btree_map(code, 1_u64..9, 1..6);
        btree_map(0_u32..200, (count, level, buckets), 0..40)
    }

    fn draft(tick: &BTreeMap<SeriesId, Change>) -> Draft {
        let mut draft = Draft::default();
        for (id, (count, level, buckets)) in tick {
            draft.counters.0.push(*id);
            draft.counters.1.push(*count);
            draft.gauges.0.push(*id);
            draft.gauges.1.push(GaugePoint {
                last: *level,
                min: *level,
                max: level + 1.0,
                prev: 0.5,
            });
            let buckets: Vec<(i32, u64)> = buckets.iter().map(|(code, n)| (*code, *n)).collect();
            distribution::encode(&[], &buckets, &mut draft.bytes);
            draft.histograms.0.push(*id);
            draft.histograms.1.push(HistogramPoint {
                count: buckets.iter().map(|bucket| bucket.1).sum(),
                sum: *level,
                min: *level,
                max: level + 1.0,
                end: u32::try_from(draft.bytes.len()).unwrap(),
            });
        }
        draft
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn sealed_segments_come_back_from_their_bytes(
            ticks in vec((any_tick(), 1_u64..4), 4..12),
            rounds in 1_usize..12,
        ) {
            let ledger = Arc::new(Ledger::new(64 << 20));
            let tier = |interval, keep: [u64; CLASSES], scale| Tier {
                interval_ns: interval * SECOND,
                keep_ns: keep.map(|seconds| seconds * SECOND),
                scale,
            };
            let tiers = [
                tier(1, [60, 0, 20, 30], 4),
                tier(10, [600, 300, 0, 0], 3),
                tier(60, [86_400, 0, 0, 86_400], 3),
            ];
            let mut history = History::new(ledger.clone(), &tiers, 0).expect("room");
            let all = ticks.iter().cycle().take(ticks.len() * rounds);
            let mut at = 0;
            for (number, (tick, seconds)) in (1..).zip(all) {
                let span = Span {
                    start_ns: at * SECOND,
                    end_ns: (at + seconds) * SECOND,
                    wall_ms: 0,
                };
                at += seconds;
                prop_assert_eq!(history.commit(&mut draft(tick), span, number), Commit::Added);
                history.seal();
            }
            for tier in 0..tiers.len() {
                history.seal_now(tier);
            }
            for (at, tier) in history.current.archive.tiers.iter().enumerate() {
                for segment in &tier.segments {
                    same_again(&ledger, segment, tier, at > 0)?;
                }
            }
        }
    }

    /// Everything that a question asks of a segment is the same in one that comes out of its bytes.
    fn same_again(
        ledger: &Arc<Ledger>,
        segment: &Segment,
        tier: &Shelved,
        is_coarse: bool,
    ) -> Result<(), TestCaseError> {
        let rows: Vec<Row> = segment.axis.rows().collect();
        let parts = segment.parts(&rows, tier, is_coarse);
        let mut bytes = Vec::new();
        parts.write(&mut bytes);
        prop_assert_eq!(bytes.len(), parts.encoded_len());
        let stored = stored::read(&bytes).expect("sound bytes");
        prop_assert_eq!(stored.header, parts.header);

        let used = ledger.used();
        let back = Segment::restored(ledger, &stored).expect("room");
        prop_assert!(back.bytes() <= segment.bytes());
        prop_assert_eq!(ledger.used() - used, back.bytes());
        prop_assert_eq!(back.axis.rows().collect::<Vec<_>>(), rows);
        prop_assert_eq!(
            (back.axis.tick, back.kept),
            (segment.axis.tick, segment.kept)
        );
        for (back, chunks) in back.chunks.iter().zip(&segment.chunks) {
            let blocks = |chunks: &Option<Arc<Chunks>>| chunks.is_some();
            prop_assert_eq!(blocks(back), blocks(chunks));
            if let (Some(back), Some(chunks)) = (back, chunks) {
                prop_assert_eq!(&back.blocks, &chunks.blocks);
            }
        }
        for kind in [
            MetricKind::Counter,
            MetricKind::Gauge,
            MetricKind::Histogram,
        ] {
            for id in 0..201 {
                prop_assert_eq!(back.chunk(kind, id), segment.chunk(kind, id));
            }
        }
        drop(back);
        prop_assert_eq!(ledger.used(), used);
        Ok(())
    }
}
