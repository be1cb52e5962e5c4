//! The service as one would write it in Rust alone: axum in front, moka as the cache, reqwest behind.
//!
//!     axum-moka --port 9000 ru=http://localhost:9001 us=http://localhost:9002

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::answer::{answer, ready};
use crate::failure::Failure;
use crate::service::{Key, Service};

mod answer;
mod company;
mod failure;
mod service;

#[derive(Deserialize)]
struct Asked {
    id: String,
    country_iso: String,
}

// One core is given to it, so one thread is right.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (port, registries) = match read(std::env::args().skip(1)) {
        Ok(read) => read,
        Err(message) => {
            eprintln!("axum-moka: {message}");
            return ExitCode::from(2);
        }
    };
    match serve(port, registries).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-moka: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line: the port, and the base URL of each country's registry.
fn read(mut arguments: impl Iterator<Item = String>) -> Result<(u16, HashMap<String, String>), String> {
    let (mut port, mut registries) = (9000, HashMap::new());
    while let Some(argument) = arguments.next() {
        if argument == "--port" {
            let value = arguments.next().unwrap_or_default();
            port = value.parse().map_err(|_| format!("--port {value}: expected a number"))?;
        } else if let Some((country, url)) = argument.split_once('=') {
            registries.insert(country.to_ascii_lowercase(), url.trim_end_matches('/').to_owned());
        } else {
            return Err(format!("{argument}: expected iso=url"));
        }
    }
    Ok((port, registries))
}

async fn serve(port: u16, registries: HashMap<String, String>) -> Result<(), Box<dyn std::error::Error>> {
    let service = Arc::new(Service::new(registries)?);
    let router =
        Router::new().route("/status", get(ready)).route("/company", get(company)).with_state(service);
    let listener = TcpListener::bind(("0.0.0.0", port)).await?.tap_io(|stream| {
        let _nodelay = stream.set_nodelay(true);
    });
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move {
        terminated.recv().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    Ok(())
}

async fn company(
    State(service): State<Arc<Service>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(Asked { id, mut country_iso })) = asked else { return answer("", &Err(Failure::BadQuery)) };
    if id.is_empty() || country_iso.is_empty() {
        return answer("", &Err(Failure::BadQuery));
    }
    country_iso.make_ascii_lowercase();
    let key = Key { country: country_iso, id };
    let found = service.find(&key).await;
    answer(&key.id, &found)
}
