//! Blocks of chunks, and whole segments as bytes.

use crate::{
    codec::{
        segment::{self, Block, Builder, Row},
        stored::{self, Broken, Header, Parts, Stored, StoredBlock},
    },
    model::frame,
};

/// Retention classes.
pub const CLASSES: usize = frame::CLASSES;

/// Kinds of metrics.
pub const KINDS: usize = stored::KINDS;

/// Points that a segment may have.
pub const MOST_POINTS: usize = stored::MOST_POINTS;

/// Blocks of chunks, found by their series' ids.
#[derive(Debug, Default, PartialEq)]
pub struct Blocks(Vec<Block>);

impl Blocks {
    /// Appends a block of series whose ids ascend, and are behind those of the block before.
    pub fn push<'a>(&mut self, series: impl IntoIterator<Item = (u32, &'a [u8])>) {
        let mut builder = Builder::default();
        for (id, chunk) in series {
            builder.bytes.extend_from_slice(chunk);
            builder.push(id, chunk.len());
        }
        builder.finish();
        self.0.extend(builder.take());
    }

    /// Appends a block of any bytes, with any index: first id and place of the directory of each group.
    pub fn push_bytes(&mut self, index: &[(u32, u32)], bytes: &[u8]) {
        self.0.push(Block::of(index.into(), bytes.into()));
    }

    /// The chunk of one series.
    #[must_use]
    pub fn find(&self, id: u32) -> Option<&[u8]> {
        segment::find(&self.0, id)
    }
}

/// A whole segment.
#[derive(Debug, PartialEq)]
pub struct Segment {
    /// Number of the first tick.
    pub tick: u64,
    /// Whether the tier is a coarse one.
    pub is_coarse: bool,
    /// Of the histograms.
    pub scale: u8,
    /// Bit `c`: class `c` is kept.
    pub kept: u8,
    /// Start, end and ticks of each point.
    pub rows: Vec<(u64, u64, u32)>,
    /// By class and kind.
    pub blocks: [[Blocks; KINDS]; CLASSES],
}

impl Segment {
    /// As bytes, and how many were foretold.
    #[must_use]
    pub fn encode(&self) -> (Vec<u8>, usize) {
        let row = |&(start_ns, end_ns, ticks): &(u64, u64, u32)| Row {
            start_ns,
            end_ns,
            ticks,
        };
        let rows: Vec<Row> = self.rows.iter().map(row).collect();
        let parts = Parts {
            header: Header {
                tick: self.tick,
                is_coarse: self.is_coarse,
                scale: self.scale,
                kept: self.kept,
            },
            rows: &rows,
            blocks: self
                .blocks
                .each_ref()
                .map(|kinds| kinds.each_ref().map(|blocks| &*blocks.0)),
        };
        let mut bytes = Vec::new();
        parts.write(&mut bytes);
        (bytes, parts.encoded_len())
    }

    /// Reads a segment.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        Self::of(stored::read(bytes))
    }

    /// Reads what is in front of the checksum; nothing looks at its first five bytes, and at the length.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    pub fn read_body(body: &[u8]) -> Result<Self, String> {
        Self::of(stored::read_body(body))
    }

    fn of(stored: Result<Stored<'_>, Broken>) -> Result<Self, String> {
        let stored = stored.map_err(|broken| broken.to_string())?;
        let rows = stored.rows();
        let Header {
            tick,
            is_coarse,
            scale,
            kept,
        } = stored.header;
        Ok(Self {
            tick,
            is_coarse,
            scale,
            kept,
            rows: rows
                .map(|row| (row.start_ns, row.end_ns, row.ticks))
                .collect(),
            blocks: std::array::from_fn(|class| {
                std::array::from_fn(|kind| Blocks(stored.blocks(class, kind).map(block).collect()))
            }),
        })
    }
}

fn block(stored: StoredBlock<'_>) -> Block {
    let block = stored.block();
    let len = stored.bytes();
    assert_eq!(block.bytes(), len, "another size than was charged");
    block
}
