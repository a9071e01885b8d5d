//! A page as an answer: its headers, and what a page says when something went wrong.
//!
//! Invariant: a page loads and runs nothing but what this server serves as files, is framed by nobody, and is kept by no
//! cache.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::problem::Problem;

/// What a page may do. Nothing that stands in a page itself runs, and nothing comes from elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// A page as an answer.
pub(in crate::http) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, page_headers(), html).into_response(),
        Err(error) => Problem::internal(&format!("a page's template failed: {error}")).into_response(),
    }
}

fn page_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // With `no-referrer`, browsers send forms with `Origin: null`.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ])
}

/// Sends the browser on, after a form or a log-in.
pub(in crate::http) fn go_to(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response(),
        Err(_) => Problem::internal("a path to go to is no header").into_response(),
    }
}

#[derive(Template)]
#[template(path = "http/console/message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
    link: (&'a str, &'a str),
}

/// A page with a message and one way on (its path and its words).
pub(in crate::http) fn message(status: StatusCode, title: &str, text: &str, link: (&str, &str)) -> Response {
    page(status, &MessagePage { title, text, link })
}

/// What a handler of a page fails with: any [`Problem`], told by a page.
pub(in crate::http) struct Failure(Problem);

impl<E: Into<Problem>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let text = sentences(&self.0).join(" ");
        let mut answer = message(self.0.status(), self.0.title(), &text, ("/console", "To the console"));
        // What the problem says of itself beside its text, such as when to try again.
        let told = self.0.into_response();
        answer
            .headers_mut()
            .extend(told.headers().get(header::RETRY_AFTER).cloned().map(|at| (header::RETRY_AFTER, at)));
        answer
    }
}

/// What a problem says, as sentences: its bad places where there are any, else its detail.
pub(in crate::http) fn sentences(problem: &Problem) -> Vec<String> {
    if problem.errors().is_empty() {
        return vec![sentence(problem.detail())];
    }
    problem.errors().iter().map(|place| sentence(&place.detail)).collect()
}

/// A message as a sentence.
pub(in crate::http) fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_nothing_that_stands_in_it() {
        let headers = page_headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    }

    #[test]
    fn messages_are_sentences() {
        assert_eq!(sentence("this is wrong"), "This is wrong.");
        assert_eq!(sentence("`x` is."), "`x` is.");
        assert_eq!(sentence(""), "");
    }
}
