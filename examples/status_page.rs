//! What a status page shows, straight from the process: for each route its traffic, errors and p99, minute by minute over the
//! last half hour, of which ten minutes went badly. Time is moved by hand. Run it with
//! `cargo run --release --example status_page`.

mod sparkline;

use metrics::{counter, histogram};
use metrics_recall::{Clock, Error, Labels, Point, Recall, mins, secs};
use sparkline::sparkline;

const ROUTES: [&str; 3] = ["/pay", "/search", "/"];

fn main() -> Result<(), Error> {
    let (clock, hands) = Clock::manual();
    let (recorder, recall) = Recall::builder().clock(clock).build()?;
    for second in 0..1800 {
        recorder.scope(|| traffic(second));
        hands.advance(secs(1));
        recall.tick();
    }
    println!("{}", page(&recall));
    Ok(())
}

/// Everything that the page shows. A handler would send the same lists as JSON.
fn page(recall: &Recall) -> String {
    let window = mins(30);
    let requests = recall.counters("requests_total").by("route").over(window);
    let errors = recall.counters("errors_total").by("route").over(window);
    let latency = recall
        .histograms("request_seconds")
        .by("route")
        .over(window);
    let (per_second, traffic) = (requests.rate(), requests.every(mins(1)).rate());
    let failing = errors.every(mins(1)).rate();
    let slow = latency.every(mins(1)).quantile(0.99);

    let mut lines =
        vec!["route       30 min ago → now, a column a minute            worst minute".to_owned()];
    for (labels, rate) in per_second {
        let route = labels.get("route").unwrap_or("(none)");
        lines.push(format!("{route}  {rate:.1} requests/s"));
        let rows = [
            ("requests", of(&traffic, &labels), 1.0, "/s"),
            ("errors", of(&failing, &labels), 1.0, "/s"),
            ("p99", of(&slow, &labels), 1e3, "ms"),
        ];
        for (what, points, scale, unit) in rows {
            if let Some(worst) = worst(points) {
                let worst = worst * scale;
                lines.push(format!(
                    "  {what:<9} {}  {worst:>10.1} {unit}",
                    sparkline(points)
                ));
            }
        }
    }
    lines.join("\n")
}

/// The line of one route.
fn of<'a>(rows: &'a [(Labels, Vec<Point<f64>>)], labels: &Labels) -> &'a [Point<f64>] {
    let row = rows.iter().find(|row| row.0 == *labels);
    row.map_or(&[], |row| &row.1)
}

fn worst(points: &[Point<f64>]) -> Option<f64> {
    points
        .iter()
        .filter_map(|point| point.value)
        .reduce(f64::max)
}

/// What the service does anyway.
fn traffic(second: u32) {
    let bad = (600..1200).contains(&second);
    for (weight, route) in (1..).zip(ROUTES) {
        for request in 0..4 * weight + second / 300 {
            let slow = bad && route == "/pay" && request % 3 == 0;
            let seconds = 0.010 * f64::from(weight) + f64::from(request) * 1e-3;
            histogram!("request_seconds", "route" => route).record(if slow {
                0.9
            } else {
                seconds
            });
            counter!("requests_total", "route" => route).increment(1);
            if slow && second.is_multiple_of(4) {
                counter!("errors_total", "route" => route).increment(1);
            }
        }
    }
}
