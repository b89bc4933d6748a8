//! Exposition: the traversal of the store meets the encoder of a format.

use super::Recall;
use crate::{
    exposition::{Format, Style, encoder, families},
    model::family::Metric,
};
use std::{io, sync::atomic::Ordering::Relaxed};

/// Bytes that are gathered before they go to a writer.
const CHUNK: usize = 64 << 10;
/// The most by which an output grows at once, so that little of it is slack.
const GROWTH: usize = 1 << 20;

impl Recall {
    /// All metrics as Prometheus text 0.0.4: [`render_as`](Self::render_as) with [`Format::Text`].
    ///
    /// ```
    /// let (recorder, recall) = metrics_recall::Recall::builder().build()?;
    /// recorder.scope(|| metrics::counter!("orders_total", "region" => "eu").increment(12));
    /// assert!(recall.render().contains("\norders_total{region=\"eu\"} 12\n"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        // Labels, names and descriptions are text, and the encoder cuts none of them.
        String::from_utf8(self.render_as(Format::Text)).unwrap_or_default()
    }

    /// All metrics in a format: families by name, their series in the order in which they were registered. What was
    /// recorded until now is in it, since the call ticks first; totals are since the start or a reset.
    ///
    /// A name that the format does not allow becomes one that it does. If another metric has that, it becomes one that
    /// tells the two apart, and [`Recall::health`] names both; likewise for labels, whose names with two underscores in
    /// front, and `le` or `quantile` where the format has its own, get `exported_` in front. Evicted series are left out.
    ///
    /// Blocks neither recording nor ticks. Cost: a look at each series. Its working memory is 4 bytes a series of the
    /// largest metric and some pages, which like the output is the caller's, not the store's.
    ///
    /// ```
    /// use metrics_recall::{Format, Recall};
    ///
    /// let (recorder, recall) = Recall::builder().build()?;
    /// recorder.scope(|| metrics::gauge!("queue_depth").set(7.0));
    /// let text = recall.render_as(Format::OpenMetrics);
    /// assert!(text.ends_with(b"# TYPE queue_depth gauge\nqueue_depth 7\n# EOF\n"));
    /// # Ok::<(), metrics_recall::Error>(())
    /// ```
    #[must_use]
    pub fn render_as(&self, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        let grow = |out: &mut Vec<u8>| {
            if out.capacity() - out.len() < CHUNK {
                out.reserve_exact(out.len().clamp(CHUNK, GROWTH));
            }
            Ok(())
        };
        // Nothing that grows a vector fails.
        let _ = self.render_with(format, &mut out, grow);
        out
    }

    /// As [`render_as`](Self::render_as), to a writer, 64 KiB at a time.
    ///
    /// # Errors
    ///
    /// Those of the writer; it has got a part then.
    ///
    /// ```
    /// use metrics_recall::{Format, Recall};
    ///
    /// let (_recorder, recall) = Recall::builder().build()?;
    /// recall.render_to(Format::Text, &mut std::io::stdout())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render_to(&self, format: Format, to: &mut impl io::Write) -> io::Result<()> {
        let mut out = Vec::with_capacity(2 * CHUNK);
        self.render_with(format, &mut out, |out| {
            if out.len() >= CHUNK {
                to.write_all(out)?;
                out.clear();
            }
            Ok(())
        })?;
        to.write_all(&out)
    }

    /// Calls `next` after each series, which may empty `out`.
    fn render_with(
        &self,
        format: Format,
        out: &mut Vec<u8>,
        mut next: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.0.tick();
        self.0.is_exposed.store(true, Relaxed);
        let metrics = self.0.exposed();
        let (families, _) = families(&metrics, self.style(format));
        let mut encoder = encoder(
            format,
            self.0.plan.created,
            self.plan().globals.clone().into(),
        );
        encoder.begin(out);
        for family in &families {
            let Some(metric) = metrics.get(family.metric) else {
                continue;
            };
            let mut result = Ok(());
            let mut is_first = true;
            self.0
                .each_series(metric, format.has_native(), &mut |seen, value| {
                    if result.is_err() {
                        return;
                    }
                    // A family without series is none.
                    if std::mem::take(&mut is_first) {
                        encoder.family(family, out);
                    }
                    encoder.series(family, seen, value, out);
                    result = next(out);
                });
            result?;
            if !is_first {
                encoder.family_end(family, out);
            }
        }
        encoder.end(out);
        Ok(())
    }

    fn style(&self, format: Format) -> Style {
        Style {
            is_utf8: format.is_utf8(),
            is_plain: self.0.plan.plain_names,
            needs_total: format == Format::OpenMetrics,
        }
    }

    /// Metrics that are exposed under another name than theirs would give, since that is another's.
    pub(super) fn renamed(&self) -> Vec<String> {
        let metrics = self.0.exposed();
        let (_, renamed) = families(&metrics, self.style(Format::Text));
        let called = |at: usize| {
            let metric: Option<&Metric> = metrics.get(at);
            metric.map_or(String::new(), |metric| {
                format!("{} `{}`", metric.kind, metric.name.escape_debug())
            })
        };
        let sentences = renamed.iter().map(|renamed| {
            format!(
                "{} is exposed as `{}`, since `{}` is the {}",
                called(renamed.metric),
                renamed.given,
                renamed.wanted,
                called(renamed.holder)
            )
        });
        sentences.collect()
    }
}
