//! What a request asks for, or why it is refused before any cache or registry is looked at.

use crate::answer::Problem;
use crate::query::{self, Question};

/// Longest request target (path and query together), in bytes; over it the answer is 414.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// All field names and values of a request together, in bytes; over it the answer is 431.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// The parts of a request that decide its answer.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// As sent: methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The path, percent-decoded.
    pub path: &'a str,
    /// What stands after the `?`, as sent.
    pub query: &'a [u8],
    /// Length of path and query as sent.
    pub target_bytes: usize,
    /// Length of all field names and values.
    pub headers_bytes: usize,
    /// How many `Host` fields there are, where a single one that is no host counts as none.
    pub hosts: usize,
    /// HTTP/1.0 knew no `Host`; every later version demands exactly one (RFC 9112 §3.2).
    pub is_http_10: bool,
}

/// What is asked for.
#[derive(PartialEq, Eq, Debug)]
pub enum Route<'a> {
    /// `GET /`: what runs here.
    Root,
    /// `GET /status`: is it ready to serve.
    Status,
    /// `GET /company`: one company.
    Company(Question<'a>),
}

/// Can this be the value of a `Host` field: `uri-host [ ":" port ]` (RFC 9112 §3.2, RFC 3986 §3.2.2)?
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(byte))
}

/// Finds what `request` asks for.
///
/// # Errors
/// The [`Problem`] to answer with: 414, 431, 400, 404 or 405, the first that applies in this order.
pub fn route<'a>(request: &Request<'a>) -> Result<Route<'a>, Problem> {
    if request.target_bytes > TARGET_BYTES_MAX {
        return Err(Problem::TargetTooLong);
    }
    if request.headers_bytes > HEADERS_BYTES_MAX {
        return Err(Problem::HeadersTooLarge);
    }
    if request.hosts > 1 || (request.hosts == 0 && !request.is_http_10) {
        return Err(Problem::BadHost);
    }
    if !matches!(request.path, "/company" | "/status" | "/") {
        return Err(Problem::UnknownPath);
    }
    if !matches!(request.method, "GET" | "HEAD") {
        return Err(Problem::MethodNotAllowed);
    }
    match request.path {
        "/company" => query::parse(request.query).map(Route::Company).map_err(Problem::BadQuery),
        "/status" => Ok(Route::Status),
        _ => Ok(Route::Root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Request<'static> = Request {
        method: "GET",
        path: "/company",
        query: b"id=1&country_iso=im",
        target_bytes: 28,
        headers_bytes: 100,
        hosts: 1,
        is_http_10: false,
    };

    #[test]
    fn a_good_request_is_a_question() {
        assert!(
            matches!(route(&GOOD), Ok(Route::Company(question)) if question.id == "1" && question.country == "im")
        );
        assert_eq!(route(&Request { path: "/status", ..GOOD }), Ok(Route::Status));
        assert_eq!(route(&Request { path: "/", method: "HEAD", ..GOOD }), Ok(Route::Root));
    }

    #[test]
    fn the_first_fault_in_order_is_told() {
        let table: [(Request<'_>, u16); 14] = [
            (Request { target_bytes: TARGET_BYTES_MAX, ..GOOD }, 200),
            (Request { target_bytes: TARGET_BYTES_MAX + 1, ..GOOD }, 414),
            (Request { target_bytes: TARGET_BYTES_MAX + 1, hosts: 0, path: "/x", ..GOOD }, 414),
            (Request { headers_bytes: HEADERS_BYTES_MAX, ..GOOD }, 200),
            (Request { headers_bytes: HEADERS_BYTES_MAX + 1, ..GOOD }, 431),
            (Request { hosts: 0, ..GOOD }, 400),
            (Request { hosts: 2, ..GOOD }, 400),
            (Request { hosts: 0, is_http_10: true, ..GOOD }, 200),
            (Request { hosts: 2, is_http_10: true, ..GOOD }, 400),
            (Request { path: "/company/", ..GOOD }, 404),
            (Request { path: "/nowhere", method: "POST", ..GOOD }, 404),
            (Request { method: "POST", ..GOOD }, 405),
            (Request { method: "get", ..GOOD }, 405),
            (Request { query: b"id=1", ..GOOD }, 400),
        ];
        for (request, status) in table {
            let told = route(&request).map_or_else(|problem| problem.status(), |_| 200);
            assert_eq!(told, status, "{request:?}");
        }
    }
}
