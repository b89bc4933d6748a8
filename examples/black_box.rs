//! A program that panics, and what it leaves behind: the file is read back, and says what the last seconds were like.
//! Run it with `cargo run --example black_box`; `examples/recall_dump.rs` shows such a file in full.
#![expect(
    clippy::disallowed_methods,
    reason = "an example has a thread of its own"
)]

use metrics::{counter, gauge};
use metrics_recall::{Clock, Recall, secs};
use serde_json::Value;
use std::{env, error::Error, fs, thread};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::temp_dir().join("black_box_example.json");
    // A program says `install()` and is done; the clock is moved by hand so that this ends at once.
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder()
        .clock(clock)
        .dump_on_panic(&path)
        .build()?;
    let worker = {
        let recall = recall.clone();
        thread::Builder::new()
            .name("till".to_owned())
            .spawn(recorder.wrap(move || {
                for second in 1..=30u32 {
                    counter!("orders_total").increment(5);
                    gauge!("open_files").set(f64::from(second * second));
                    hands.advance(secs(1));
                    recall.tick();
                    assert!(second < 30, "too many open files: {}", second * second);
                }
            }))?
    };
    let died = worker.join().is_err();

    let dump: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    println!("the worker died: {died}");
    println!(
        "thread `{}` at {}: {}",
        dump["panic"]["thread"].as_str().unwrap_or("?"),
        dump["panic"]["location"].as_str().unwrap_or("?"),
        dump["panic"]["message"].as_str().unwrap_or("?"),
    );
    let empty = Vec::new();
    for metric in dump["metrics"].as_array().unwrap_or(&empty) {
        let series = &metric["series"][0];
        println!("{} over the window: {}", metric["name"], series["window"]);
    }
    fs::remove_file(&path)?;
    Ok(())
}
