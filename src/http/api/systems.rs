//! `/admin/v1/systems/{s}`: a system's own file, `system.toml`.

use axum::http::HeaderMap;
use axum::response::Response;

use super::super::auth::{At, needs};
use super::super::body::JsonBody;
use super::super::problem::Problem;
use super::rule_files::{self, FileRequest, FileResponse};
use crate::ruleset::{RulePath, Stage};

/// A system's `system.toml`
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}", operation_id = "get_system", tag = "Rules",
    params(("s" = String, Path, description = "The system")),
    responses(
        (status = 200, description = "The file; its `text` is null where there is none", body = FileResponse),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["systems:read"])),
)]
pub(crate) async fn show(at: At<needs::SystemsRead>) -> Response {
    rule_files::show(&at.rules, &RulePath::System)
}

/// Write a system's `system.toml`
///
/// Needs also `publish:<stage>`, of the stage that the system has and of the one that it gets.
#[utoipa::path(
    put, path = "/admin/v1/systems/{s}", operation_id = "put_system", tag = "Rules",
    params(
        ("s" = String, Path, description = "The system"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the file must still have"),
    ),
    request_body = FileRequest,
    responses(
        (status = 200, description = "Written and live", body = FileResponse),
        (status = 201, description = "Made and live", body = FileResponse),
        (status = 404, description = "Unknown system"),
        (status = 409, description = "Rules are read-only here"),
        (status = 412, description = "The file was changed meanwhile"),
        (status = 422, description = "The rules would not load with it"),
    ),
    security(("oauth2" = ["systems:write"])),
)]
pub(crate) async fn put(
    at: At<needs::SystemsWrite>,
    headers: HeaderMap,
    JsonBody(FileRequest { text }): JsonBody<FileRequest>,
) -> Result<Response, Problem> {
    if let Some(stage) = stage_in(&text) {
        at.demand_publish(stage)?;
    }
    rule_files::put(&at, RulePath::System, text, &headers).await
}

/// The stage that a system gets from a `system.toml`: production where the file does not say. One that can't be read
/// will not load either.
fn stage_in(text: &str) -> Option<Stage> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let Some(stage) = table.get("stage") else { return Some(Stage::Production) };
    match stage.as_str()? {
        "production" => Some(Stage::Production),
        "test" => Some(Stage::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_that_a_system_gets_is_found() {
        assert_eq!(stage_in("name = \"x\"\nstage = \"test\""), Some(Stage::Test));
        assert_eq!(stage_in("\"stage\" = 'production'"), Some(Stage::Production));
        assert_eq!(stage_in("name = \"x\""), Some(Stage::Production), "left out, it is production");
        assert_eq!(stage_in(""), Some(Stage::Production));
        assert_eq!(stage_in("stage = \"prod\""), None);
        assert_eq!(stage_in("stage = "), None);
    }
}
