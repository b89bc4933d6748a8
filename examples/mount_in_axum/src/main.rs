//! The answers of the sidecar below a path of a service's own server, with its port, its TLS, its authentication and its
//! limits. A built-in client asks for each of them. Run it in this folder with `cargo run --release`, or with
//! `cargo run --release -- --stay` to look at `http://127.0.0.1:3000/recall/` with a browser.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{any, get},
};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use metrics::{counter, describe_counter, describe_histogram, histogram};
use metrics_recall::{HttpRequest, Recall};
use std::{env, error::Error, process::ExitCode, time::Instant};
use tokio::{net::TcpListener, task::spawn_blocking};

/// A service has a better place for it.
const TOKEN: &str = "Bearer c2VjcmV0";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (port, stays) = match arguments.as_slice() {
        [] => (0, false),
        [flag] if flag == "--stay" => (3000, true),
        _ => {
            eprintln!(
                "expected `--stay` or nothing, not `{}`",
                arguments.join(" ")
            );
            return Ok(ExitCode::from(2));
        }
    };
    let recall = Recall::builder().install()?;
    describe_counter!("payments_total", "Payments that were taken.");
    describe_histogram!("pay_seconds", "Time of a payment.");
    // Whatever the service does to protect a path protects this one.
    let mut mounted = Router::new()
        .route("/recall/", any(answer))
        .route("/recall/{*path}", any(answer))
        .with_state(recall);
    if !stays {
        mounted = mounted.layer(middleware::from_fn(only_with_token));
    }
    let app = Router::new()
        .route("/pay", get(pay))
        .route("/recall", get(Redirect::permanent("/recall/")))
        .merge(mounted);

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    println!("{base}/recall/ answers");
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    for _ in 0..100 {
        ask(&base, "/pay", "").await?;
    }
    if stays {
        serving.await??;
        return Ok(ExitCode::SUCCESS);
    }
    ask(&base, "/recall/metrics", "").await?;
    for path in [
        "/recall/",
        "/recall/healthz",
        "/recall/metrics",
        "/recall/nowhere",
    ] {
        let (status, body) = ask(&base, path, TOKEN).await?;
        println!("\n{path}: {status}\n{}", body.trim_end());
    }
    let (status, _) = ask(&base, "/recall/metrics", "").await?;
    println!("\n/recall/metrics without the token: {status}");
    Ok(ExitCode::SUCCESS)
}

/// All of it: hand over method, path and headers, and take status, headers and body.
async fn answer(State(recall): State<Recall>, request: Request) -> Response {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let mut asked = HttpRequest::new(
        request.method().as_str(),
        target.strip_prefix("/recall").unwrap_or(target),
    );
    for (name, value) in request.headers() {
        if let Ok(value) = value.to_str() {
            asked = asked.header(name, value);
        }
    }
    // Rendering a large store takes milliseconds, in which this thread would answer nobody.
    let Ok(answer) = spawn_blocking(move || recall.respond(&asked)).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap_or_default()
}

/// What stands for the service's own authentication.
async fn only_with_token(headers: HeaderMap, request: Request, next: Next) -> Response {
    if headers
        .get(AUTHORIZATION)
        .is_some_and(|value| value == TOKEN)
    {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

/// What the service is for.
async fn pay() -> &'static str {
    let start = Instant::now();
    counter!("payments_total", "method" => "card").increment(1);
    histogram!("pay_seconds").record(start.elapsed());
    "paid\n"
}

async fn ask(base: &str, path: &str, token: &str) -> Result<(u16, String), Box<dyn Error>> {
    let client: Client<_, Empty<axum::body::Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = axum::http::Request::get(format!("{base}{path}")).header(AUTHORIZATION, token);
    let answer = client.request(request.body(Empty::new())?).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
