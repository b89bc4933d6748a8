//! A web service whose `/health` consults its own p99: after some seconds a dependency gets slow, `/health` says so with the
//! number, and says when it is over. A built-in client makes the load and asks `/health` every second.
//! Run it in this folder with `cargo run --release -- --seconds 24`.

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use metrics::{counter, histogram};
use metrics_recall::{Recall, secs};
use std::{
    env,
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::TcpListener,
    time::{Instant, interval, sleep},
};

/// A p99 above this is no service.
const LIMIT: f64 = 0.500;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let seconds = match arguments.as_slice() {
        [] => Some(24),
        [flag, n] if flag == "--seconds" => n.parse().ok().filter(|n| (3..=3600).contains(n)),
        _ => None,
    };
    let Some(seconds) = seconds else {
        let given = arguments.join(" ");
        eprintln!("expected `--seconds N` with N from 3 to 3600, not `{given}`");
        return Ok(ExitCode::from(2));
    };

    let recall = Recall::builder().install()?; // the one line
    let slow = Arc::new(AtomicBool::new(false));
    let pay = {
        let slow = slow.clone();
        move || pay(slow.load(Relaxed))
    };
    let app = Router::new()
        .route("/pay", get(pay))
        .route_layer(middleware::from_fn(measure))
        .route("/health", get(health).with_state(recall.clone()));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    println!("{base}/pay is slow in the second third of {seconds} s; {base}/health says:");
    tokio::spawn(async move { axum::serve(listener, app).await });
    tokio::spawn(load(format!("{base}/pay")));
    watch(&format!("{base}/health"), seconds, &slow).await?;

    recall.shutdown(); // commits what came since the last tick
    println!("\n{}", recall.summary());
    Ok(ExitCode::SUCCESS)
}

/// What the service is for; a third party decides how long it takes.
async fn pay(is_slow: bool) -> &'static str {
    sleep(Duration::from_millis(if is_slow { 900 } else { 8 })).await;
    "paid\n"
}

/// Times every request of a known route, by route and status.
async fn measure(path: MatchedPath, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let route = path.as_str().to_owned();
    let status = response.status().as_str().to_owned();
    histogram!("http_request_seconds", "route" => route.clone()).record(started.elapsed());
    counter!("http_requests_total", "route" => route, "status" => status).increment(1);
    response
}

/// The whole health check: ask the last seconds, and answer for a load balancer and for a person.
async fn health(State(recall): State<Recall>) -> (StatusCode, String) {
    let requests = recall.histograms("http_request_seconds").over(secs(5));
    match requests.quantile(0.99) {
        Some(p99) if p99 > LIMIT => {
            let text = format!(
                "p99 is {:.0} ms, allowed are {:.0} ms",
                p99 * 1e3,
                LIMIT * 1e3
            );
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Some(p99) => {
            let rate = requests.rate().unwrap_or(0.0);
            (
                StatusCode::OK,
                format!("p99 is {:.0} ms at {rate:.0} requests/s", p99 * 1e3),
            )
        }
        None => (StatusCode::OK, "no request in the last 5 s".to_owned()),
    }
}

/// Thirty requests a second, not waiting for answers.
async fn load(url: String) {
    let client: Client<_, Empty<axum::body::Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut pace = interval(Duration::from_millis(33));
    loop {
        pace.tick().await;
        if let Ok(url) = url.parse() {
            tokio::spawn(client.get(url));
        }
    }
}

/// Asks `/health` every second, as a load balancer does.
async fn watch(url: &str, seconds: u32, slow: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let client: Client<_, Empty<axum::body::Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    for second in 1..=seconds {
        sleep(secs(1)).await;
        slow.store((seconds / 3..2 * seconds / 3).contains(&second), Relaxed);
        let answer = client.get(url.parse()?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        println!(
            "{second:>4} s  {}  {}",
            status.as_u16(),
            String::from_utf8_lossy(&body)
        );
    }
    Ok(())
}
