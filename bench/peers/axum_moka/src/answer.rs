//! Answers over HTTP.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde::Serialize;

use crate::company::written;
use crate::failure::Failure;
use crate::service::{Found, LIFE};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

#[derive(Serialize)]
struct Told<'a> {
    id: &'a str,
    name: &'a str,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_until: Option<String>,
}

/// Says that the service is there.
pub(crate) async fn ready() -> Response {
    ([(CONTENT_TYPE, JSON)], r#"{"status":"ok"}"#).into_response()
}

/// Tells a company or why there is none; `active` is worked out now.
pub(crate) fn answer(id: &str, found: &Result<Found, Failure>) -> Response {
    match found {
        Ok(found) => company(id, found),
        Err(failure) => {
            let fields = [(CONTENT_TYPE, PROBLEM), (CACHE_CONTROL, NO_STORE)];
            (failure.status(), fields, failure.body()).into_response()
        }
    }
}

fn company(id: &str, found: &Found) -> Response {
    let (company, now) = (&found.known.company, Utc::now());
    let active = company.active_until.is_none_or(|until| now < until);
    let told = Told { id, name: &company.name, active, active_until: company.active_until.map(written) };
    let Ok(body) = serde_json::to_vec(&told) else { return StatusCode::BAD_GATEWAY.into_response() };
    let life = LIFE.saturating_sub(found.known.kept_at.elapsed());
    let until_flip = company.active_until.filter(|_| active).and_then(|until| (until - now).to_std().ok());
    let max_age_s = until_flip.unwrap_or(Duration::MAX).min(life).as_secs();
    let how = if found.hit {
        format!("backendify; hit; ttl={}", life.as_secs())
    } else {
        "backendify; fwd=uri-miss; fwd-status=200; stored".to_owned()
    };
    let mut response = Response::new(Body::from(body));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, JSON);
    for (name, value) in [(CACHE_CONTROL, format!("max-age={max_age_s}")), (CACHE_STATUS, how)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            fields.insert(name, value);
        }
    }
    response
}
