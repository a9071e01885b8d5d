//! Pages for people: HTML made here, that works without scripts.
//!
//! | file | owns |
//! | --- | --- |
//! | `door` | log-in, activation, reset, forgotten passwords |
//!
//! Invariant: a page loads nothing and runs nothing (its Content-Security-Policy allows the style that stands in it, by its
//! hash, and no more), is framed by nobody and kept by no cache; a form is taken only from a page of this server.

pub(super) mod door;

use std::sync::LazyLock;

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::auth::is_own_origin;
use super::body;
use super::problem::Problem;

/// The style of every page; it stands in the page itself.
const STYLE: &str = include_str!("style.css");
/// Largest form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;
/// Where a person goes after log-in who did not come from anywhere.
pub(super) const HOME: &str = "/console";

/// A page as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, page_headers(), html).into_response(),
        Err(error) => Problem::internal(&format!("a page's template failed: {error}")).into_response(),
    }
}

fn page_headers() -> HeaderMap {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        // Base 64 and these words always make a header.
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // With `no-referrer`, browsers send forms with `Origin: null`.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ])
}

/// Sends the browser on, after a form or a log-in.
pub(super) fn go_to(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response(),
        Err(_) => Problem::internal("a path to go to is no header").into_response(),
    }
}

/// The path, if it is one of this server, else [`HOME`]: `//evil`, `/\evil` and whole addresses lead elsewhere.
pub(super) fn local_path(path: &str) -> &str {
    let mut bytes = path.bytes();
    let begins_well = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let is_plain = path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if begins_well && is_plain { path } else { HOME }
}

/// A form that was sent from one of our pages.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads it: 403 when another site's page sent it.
    pub(super) async fn read(request: Request, public_url: &str) -> Result<Self, Problem> {
        if !is_own_origin(request.headers(), public_url) {
            return Err(Problem::foreign_origin());
        }
        let body = body::read(request, FORM_LIMIT).await?;
        Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
    }

    /// A field's text; empty when there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_to() {
        for own in ["/", "/console", "/console/users?role=a%20b#x"] {
            assert_eq!(local_path(own), own);
        }
        let long = format!("/{}", "x".repeat(1024));
        for foreign in [
            "",
            "console",
            "//evil",
            "/\\evil",
            "\\\\evil",
            "https://evil",
            "javascript:x",
            "/a\\b",
            "/a\r\nb",
            "/a b",
            "/é",
            &long,
        ] {
            assert_eq!(local_path(foreign), HOME, "{foreign:?}");
        }
    }

    #[test]
    fn a_page_runs_nothing() {
        let headers = page_headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
    }
}
