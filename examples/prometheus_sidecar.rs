//! One line serves a program's metrics: to Prometheus, to a load balancer, to `curl`, and to a browser. A small shop makes
//! the numbers. Run it with `cargo run --release --example prometheus_sidecar -- --seconds 60`, and open what it prints.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_recall::{AlertRule, Condition, Recall, secs};
use std::{
    env,
    error::Error,
    io::{Read, Write},
    net::TcpStream,
    process::ExitCode,
    thread,
    time::Duration,
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let seconds = match arguments.as_slice() {
        [] => Some(60),
        [flag, n] if flag == "--seconds" => n.parse().ok().filter(|n| (1..=86_400).contains(n)),
        _ => None,
    };
    let Some(seconds) = seconds else {
        let given = arguments.join(" ");
        eprintln!("expected `--seconds N` with N from 1 to 86400, not `{given}`");
        return Ok(ExitCode::from(2));
    };

    // In a program: `Recall::builder().serve("127.0.0.1:9100").install()?`. Port 0 is any free one.
    let slow = Condition::histograms("checkout_seconds")
        .over(secs(10))
        .quantile(0.99)
        .above(0.5);
    let recall = Recall::builder()
        .global_label("service", "shop")
        .alert(
            AlertRule::new("SlowCheckout")
                .when(slow)
                .label("team", "payments"),
        )
        .install()?;
    let sidecar = recall.serve("127.0.0.1:0")?;
    let at = sidecar.local_addr();
    println!(
        "for {seconds} s: curl http://{at}/   curl http://{at}/metrics   or a browser at http://{at}/"
    );

    describe_counter!("orders_total", "Orders that were taken");
    describe_counter!("errors_total", "Payments that failed");
    describe_gauge!("queue_depth", "Orders that wait to be packed");
    describe_gauge!("stock_items", "What lies on each shelf");
    describe_histogram!("receipt_bytes", metrics::Unit::Bytes, "Size of a receipt");
    describe_histogram!(
        "checkout_seconds",
        metrics::Unit::Seconds,
        "From the cart to the receipt"
    );
    let mut dice = 1;
    for tenth in 0..seconds * 10 {
        trade(tenth, &mut dice);
        thread::park_timeout(Duration::from_millis(100));
    }

    for path in ["/", "/healthz", "/metrics"] {
        let answer = get(&at.to_string(), path)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        println!("\n$ curl http://{at}{path}\n{}", body.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// A tenth of a second of a shop. The eastern one is slow half of the time.
fn trade(tenth: u64, dice: &mut u64) {
    let mut roll = |sides: u64| {
        *dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*dice >> 33) % sides
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let float = |n: u64| n as f64;
    let tide = 1.0 + (float(tenth) / 80.0).sin();
    for (region, share) in [("eu", 5), ("us", 3), ("east", 2)] {
        let orders = roll(share + 1) + u64::from(tide > 1.0) * share;
        counter!("orders_total", "region" => region).increment(orders);
        let is_slow = region == "east" && (tenth / 150) % 2 == 1;
        for _ in 0..orders {
            let took = 0.004 * float(1 + roll(40)) * if is_slow { 9.0 } else { 1.0 };
            histogram!("checkout_seconds", "region" => region).record(took);
        }
        if roll(40) == 0 {
            counter!("errors_total", "region" => region, "code" => "502").increment(1);
        }
    }
    histogram!("receipt_bytes").record(float(800 + roll(3_000)));
    gauge!("queue_depth").set(20.0 * tide + float(roll(6)));
    gauge!("stock_items", "shelf" => format!("{:02}", roll(6))).set(float(roll(500)));
}

/// What `curl` would show.
fn get(at: &str, path: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(at)?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
