//! An HTTP server under load that watches itself: every two seconds it prints, per route,
//! requests, errors and latency percentiles of the last ten seconds, and what two third-party
//! crates (`metrics-process`, `tokio-metrics`) record through the facade by themselves.
//! Run it with `cargo run --release --example service -- --seconds 10`.

use std::{
    cell::Cell, convert::Infallible, env, error::Error, net::SocketAddr, process::ExitCode,
    time::Duration,
};

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode, client, header, server, service::service_fn};
use hyper_util::rt::TokioIo;
use metrics::{counter, gauge, histogram};
use metrics_recall::{Labels, Recall, secs};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};
use tokio::{runtime, sync::mpsc};
use tokio_metrics::RuntimeMetricsReporterBuilder;

const ROUTES: [&str; 4] = ["/", "/search", "/pay", "/slow"];
const WINDOW: Duration = secs(10);
const REQUESTS_PER_SECOND: f64 = 400.0;
const CONNECTIONS: usize = 64;

type Failure = Box<dyn Error + Send + Sync>;
type Connection = client::conn::http1::SendRequest<Empty<Bytes>>;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(seconds) = seconds_from(&arguments) else {
        let given = arguments.join(" ");
        eprintln!("expected `--seconds N` with N from 1 to 3600, not `{given}`");
        return Ok(ExitCode::from(2));
    };
    let recall = Recall::builder().install()?;
    single_threaded()?.block_on(run(recall.clone(), secs(seconds)))?;

    recall.tick(); // commits what came since the worker's last tick
    println!("{}\n{}", recall.summary(), recall.health());
    Ok(ExitCode::SUCCESS)
}

fn seconds_from(arguments: &[String]) -> Option<u64> {
    match arguments {
        [] => Some(10),
        [flag, n] if flag == "--seconds" => n.parse().ok().filter(|n| (1..=3600).contains(n)),
        _ => None,
    }
}

fn single_threaded() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

async fn run(recall: Recall, duration: Duration) -> Result<(), Failure> {
    tokio::spawn(print_tables(recall));
    work(duration).await
}

/// The server and all that watches it on this thread, the load on another.
///
/// # Errors
///
/// When there is no port to listen at, or a request cannot be sent.
pub async fn work(duration: Duration) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    eprintln!("http://{address} for {duration:?}, {REQUESTS_PER_SECOND} requests/s\n");

    tokio::spawn(accept(listener));
    tokio::spawn(record_process());
    let runtime = RuntimeMetricsReporterBuilder::default().with_interval(secs(1));
    tokio::spawn(runtime.describe_and_run());
    tokio::task::spawn_blocking(move || single_threaded()?.block_on(load(address, duration)))
        .await?
}

async fn record_process() {
    let process = metrics_process::Collector::default();
    process.describe();
    loop {
        process.collect();
        sleep(secs(1)).await;
    }
}

/// The server: nothing from here to `print_tables` knows of `metrics_recall`.
async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(serve));
        tokio::spawn(connection);
    }
}

async fn serve(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let started = Instant::now();
    let in_flight = InFlight::enter();
    // A label never comes from the request itself: whoever asks would choose our series.
    let path = request.uri().path();
    let route = ROUTES.into_iter().find(|route| *route == path);
    let route = route.unwrap_or("(unknown)");

    let status = answer(route).await;
    drop(in_flight);
    histogram!("http_request_seconds", "route" => route).record(started.elapsed());
    counter!("http_requests_total", "route" => route, "status" => status.as_str().to_owned())
        .increment(1);

    let mut response = Response::new(Full::from(format!("{route}: {status}\n")));
    *response.status_mut() = status;
    Ok(response)
}

/// Counts itself out when dropped, so that a cancelled request does too.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        gauge!("http_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("http_in_flight").decrement(1.0);
    }
}

/// What each route does: some CPU, a wait with a shape of its own, and now and then a failure.
async fn answer(route: &str) -> StatusCode {
    let (cpu_ms, wait_ms, failures) = match route {
        "/" => (0.05 + exponential(0.1), 0.0, 0.0),
        "/search" => (0.4, 5.0 + exponential(12.0), 0.002),
        "/pay" if uniform() < 0.05 => (0.2, 120.0 + 20.0 * uniform(), 0.2),
        "/pay" => (0.2, 18.0 + 6.0 * uniform(), 0.02),
        "/slow" => (0.2, 150.0 + 250.0 * uniform(), 0.1),
        _ => return StatusCode::NOT_FOUND,
    };
    let busy = Instant::now();
    while busy.elapsed() < millis(cpu_ms) {
        std::hint::spin_loop();
    }
    if wait_ms > 0.0 {
        sleep(millis(wait_ms)).await;
    }
    if uniform() < failures {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

/// The process asks itself.
async fn print_tables(recall: Recall) {
    loop {
        sleep(secs(2)).await;
        print_routes(&recall);
        print_process(&recall);
    }
}

fn print_routes(recall: &Recall) {
    let requests = || recall.counters("http_requests_total").by(["route"]);
    let rate = requests().over(WINDOW).rate();
    let failed = requests().label_not("status", "200").over(WINDOW).rate();
    let seconds = recall.histograms("http_request_seconds").by(["route"]);
    let seconds = seconds.over(WINDOW);
    let [p50, p90, p99] = [0.50, 0.90, 0.99].map(|q| seconds.quantile(q));

    println!("route       req/s  errors/s    p50 ms    p90 ms    p99 ms");
    for route in ROUTES {
        let [rate, failed] = [&rate, &failed].map(|answers| cell(answers, route, 1.0));
        let [p50, p90, p99] = [&p50, &p90, &p99].map(|answers| cell(answers, route, 1e3));
        println!("{route:<8}{rate:>9}{failed:>10}{p50:>10}{p90:>10}{p99:>10}");
    }
}

/// No answer means no such series yet: a route that never failed has no error rate.
fn cell(answers: &[(Labels, f64)], route: &str, scale: f64) -> String {
    let mut answers = answers.iter();
    let answer = answers.find(|(labels, _)| labels.get("route") == Some(route));
    answer.map_or("-".into(), |(_, value)| format!("{:.2}", value * scale))
}

fn print_process(recall: &Recall) {
    let now = |name| recall.gauges(name).current().unwrap_or(0.0);
    let total = |name| recall.counters(name).total().unwrap_or(0);

    let (running, dropped) = (now("http_in_flight"), total("load_dropped_total"));
    let most = recall.gauges("http_in_flight").over(WINDOW).max();
    let most = most.unwrap_or(0.0);
    println!("requests  {running} in flight, at most {most}; {dropped} not sent");

    let resident = now("process_resident_memory_bytes") / f64::from(1 << 20);
    let (threads, cpu) = (now("process_threads"), total("process_cpu_seconds_total"));
    println!("process   {resident:.1} MiB resident, {threads} threads, {cpu} s of CPU");

    let busy = recall.counters("tokio_total_busy_duration").over(WINDOW); // microseconds
    let busy = busy.rate().unwrap_or(0.0) / 1e4;
    let tasks = now("tokio_live_tasks_count");
    println!("tokio     worker {busy:.1} % busy, {tasks} tasks");

    let memory = recall.memory();
    let (used, budget) = (memory.used.div_ceil(1024), memory.budget / 1024);
    println!("recall    {used} KiB used of {budget} KiB\n");
}

/// An open loop: requests arrive at their own times, however slow the server is. Every connection
/// is either idle or with one request; when none is idle, the request is dropped and counted.
async fn load(address: SocketAddr, duration: Duration) -> Result<(), Failure> {
    // Known from the start: a counter that is zero is an answer, one that is missing is none.
    counter!("load_dropped_total").increment(0);
    let (give_back, mut idle) = mpsc::channel(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        let (connection, driver) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        give_back.send(connection).await?;
    }
    let mut next = Instant::now();
    let end = next + duration;
    while next < end {
        sleep_until(next).await;
        next += millis(exponential(1e3 / REQUESTS_PER_SECOND));
        match idle.try_recv() {
            Ok(connection) => drop(tokio::spawn(exchange(connection, give_back.clone()))),
            Err(_) => counter!("load_dropped_total").increment(1),
        }
    }
    drop(give_back);
    while idle.recv().await.is_some() {} // ends with the last answer
    Ok(())
}

async fn exchange(
    mut connection: Connection,
    give_back: mpsc::Sender<Connection>,
) -> Result<(), Failure> {
    let request = Request::get(pick_route()).header(header::HOST, "localhost");
    connection.ready().await?;
    let response = connection.send_request(request.body(Empty::new())?).await?;
    response.into_body().collect().await?;
    Ok(give_back.send(connection).await?)
}

fn pick_route() -> &'static str {
    match uniform() {
        x if x < 0.50 => "/",
        x if x < 0.80 => "/search",
        x if x < 0.97 => "/pay",
        _ => "/slow",
    }
}

fn millis(n: f64) -> Duration {
    Duration::from_secs_f64(n / 1e3)
}

fn exponential(mean: f64) -> f64 {
    -mean * (1.0 - uniform()).ln()
}

/// Splitmix64, in `0.0..1.0`: the same sequence in every run and on every thread.
fn uniform() -> f64 {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0) });
    STATE.set(STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
    let mut x = STATE.get();
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((x >> 32) as u32) / 2_f64.powi(32)
}
