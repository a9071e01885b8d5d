//! `GET /sdk/rollcall.js`: the script that a page loads from here, whatever its own origin.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_128;

use super::super::auth::Public;
use super::super::problem::quoted_etag;

/// The script, as it is served.
const SCRIPT: &str = include_str!("../sdk/rollcall.js");
/// A new version of the server reaches pages within an hour, and a page that loads often asks once in that time.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

static ETAG: LazyLock<Option<HeaderValue>> =
    LazyLock::new(|| quoted_etag(&format!("{:032x}", xxh3_128(SCRIPT.as_bytes()))));

/// The script for pages in browsers
#[utoipa::path(
    get, path = "/sdk/rollcall.js", operation_id = "sdk", tag = "Browser",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the script that the caller has")),
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
        (status = 304, description = "The caller has it"),
    ),
)]
pub(crate) async fn script(_: Public, headers: HeaderMap) -> Response {
    let is_known = ETAG.as_ref().is_some_and(|etag| names(&headers, etag));
    let mut answer = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
    };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.extend(ETAG.clone().map(|etag| (header::ETAG, etag)));
    // It is the same for everyone: any page may load it, also with `crossorigin` or under a strict embedder policy.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    answer
}

/// Whether `If-None-Match` names this version (a proxy may have made it a weak one).
fn names(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = |text: &str| {
        let text = text.trim();
        text == "*" || text.strip_prefix("W/").unwrap_or(text).as_bytes() == etag.as_bytes()
    };
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_a_caller_has_is_found_among_others() {
        let etag = HeaderValue::from_static("\"a1\"");
        let asks = |value: &'static str| {
            names(&HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))]), &etag)
        };
        assert!(asks("\"a1\"") && asks("W/\"a1\"") && asks("\"x\", W/\"a1\"") && asks("*"));
        assert!(!asks("\"a\"") && !asks("a1") && !asks(""));
        assert!(!names(&HeaderMap::new(), &etag));
    }

    #[test]
    fn the_script_stays_small_and_asks_for_nothing_else() {
        assert!(SCRIPT.len() < 5 * 1024, "{} bytes", SCRIPT.len());
        for elsewhere in ["http://", "https://", "import", "eval(", "innerHTML", "cookie"] {
            assert!(!SCRIPT.contains(elsewhere), "{elsewhere}");
        }
    }
}
