//! A batch job that leaves its metrics at a Pushgateway, since it ends before anybody scrapes it. A gateway that is not there
//! costs a line on stderr, and not the job. Run it with `cargo run --features push --example batch_push -- http://127.0.0.1:9091`;
//! `prometheus-pushgateway` is what starts one.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_recall::{HistogramRule, PushGateway, Recall, Timer, secs};
use std::{
    env,
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1);
    let url = url.as_deref().unwrap_or("http://127.0.0.1:9091");
    let recall = Recall::builder()
        .expose(HistogramRule::named("import_row_seconds").buckets([1e-6, 1e-5, 1e-4]))
        .install()?;
    describe_counter!("import_rows", Unit::Count, "Rows, by what became of them.");
    describe_histogram!("import_row_seconds", Unit::Seconds, "Time for a row.");
    describe_gauge!(
        "import_last_success_timestamp_seconds",
        Unit::Seconds,
        "When a run last ended well, since the Unix epoch."
    );

    import("id;amount\n1;10\n2;x\n3;30\n");
    // What alerts on batch jobs ask about: how long ago was the last success?
    let now = SystemTime::from(recall.now()).duration_since(UNIX_EPOCH)?;
    gauge!("import_last_success_timestamp_seconds").set(now);

    let gateway = PushGateway::new(url, "nightly_import")
        .group_by("source", "eu/orders")
        .timeout(secs(5));
    match recall.push(&gateway) {
        Ok(()) => println!("pushed to {url}:\n{}", recall.render()),
        // A mistake of whoever started the job is better seen at once.
        Err(error) if error.is_invalid() => return Err(error.into()),
        Err(error) => eprintln!("not pushed: {error}"),
    }
    Ok(())
}

/// What the job does anyway: nothing from here on knows of pushes.
fn import(text: &str) {
    for row in text.lines().skip(1) {
        let _timer = Timer::start(metrics::histogram!("import_row_seconds"));
        let amount = row.split_once(';').map(|(_, amount)| amount.parse::<u32>());
        let result = if let Some(Ok(_)) = amount {
            "ok"
        } else {
            "malformed"
        };
        counter!("import_rows", "result" => result).increment(1);
    }
}
