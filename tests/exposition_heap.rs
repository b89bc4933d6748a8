//! What a render needs beside its text, as an allocator sees it.

#[path = "common/peak.rs"]
mod peak;

use metrics::{counter, histogram};
use metrics_recall::{Clock, Format, Recall};
use peak::Peak;
use std::io::{self, Write};

#[global_allocator]
static HEAP: Peak = Peak;

/// Takes all bytes, and keeps none.
#[derive(Default)]
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_hundred_thousand_series_are_rendered_in_two_megabytes_beside_the_text() {
    let builder = Recall::builder().memory_budget(256 << 20);
    let builder = builder.max_series_per_metric(200_000);
    let (recorder, recall) = builder.clock(Clock::manual().0).build().unwrap();
    recorder.scope(|| {
        for i in 0..100_000 {
            counter!("requests_total", "route" => format!("/route/{i}")).increment(1);
        }
        for i in 0..2_000 {
            let wait = histogram!("wait_seconds", "route" => format!("/route/{i}"));
            (0..40).for_each(|n| wait.record(1.5_f64.powi(n)));
        }
        // A long label needs a smaller batch, and no more room.
        for i in 0..2_000 {
            counter!("long_total", "text" => format!("{i}{}", "x".repeat(4_000))).increment(1);
        }
    });
    recall.tick();
    for format in [Format::Text, Format::OpenMetrics, Format::Json] {
        let mut sink = Sink::default();
        let before = Peak::start();
        recall.render_to(format, &mut sink).unwrap();
        let used = Peak::most() - before;
        assert!(sink.0 > 10_000_000, "{} bytes of {format:?}", sink.0);
        assert!(used <= 2_000_000, "{used} bytes for {format:?}");
    }
}
