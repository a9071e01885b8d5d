//! `/openapi.json` and `/docs`: the API's document, and a page to read and try it, without anything from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use super::super::auth::Public;
use super::super::problem::Problem;
use super::super::router::document;

/// What the page reads. Unless told otherwise it would have the document judged by a validator on the internet.
static PAGE: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// This document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "Documentation",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(crate) async fn openapi(public: Public) -> Response {
    let document = document(public.state.accounts.has_sso());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response()
}

/// The page runs its own scripts, and asks this server alone.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Where the documentation is
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "Documentation",
    responses((status = 308, description = "At `/docs/`")),
)]
pub(crate) async fn redirect(_: Public) -> Redirect {
    Redirect::permanent("/docs/")
}

/// The documentation, to read and to try
#[utoipa::path(
    get, path = "/docs/", operation_id = "docs_page", tag = "Documentation",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub(crate) async fn page(_: Public) -> Result<Response, Problem> {
    serve("index.html")
}

/// A file of the documentation's page
#[utoipa::path(
    get, path = "/docs/{file}", operation_id = "docs_file", tag = "Documentation",
    params(("file" = String, Path, description = "The file's name")),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/plain"),
        (status = 404, description = "There is none of that name"),
    ),
)]
pub(crate) async fn file(
    _: Public,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = path?;
    serve(&name)
}

fn serve(name: &str) -> Result<Response, Problem> {
    match utoipa_swagger_ui::serve(name, Arc::clone(&PAGE)) {
        Ok(Some(file)) => {
            let headers =
                [(header::CONTENT_TYPE, file.content_type.as_str()), (header::CONTENT_SECURITY_POLICY, POLICY)];
            Ok((headers, file.bytes.into_owned()).into_response())
        }
        Ok(None) => Err(Problem::not_found("the documentation has no such file")),
        Err(error) => Err(Problem::internal(&error.to_string())),
    }
}
