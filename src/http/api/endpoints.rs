//! `GET …/integrations/{i}/endpoint` and `POST …/rotate-token`: where an integration's calls go, and its token.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::Query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{At, needs};
use super::super::problem::{Kind, Problem};
use crate::model::{AttributeType, Date};
use crate::ruleset::{Integration, IntegrationKind};

/// The path of the update API.
const UPDATE_PATH: &str = "/public/v1/user/data";
/// Longest grace of an old token, in hours: 30 days.
const MAX_GRACE_HOURS: u32 = 720;

/// Where and how an integration is called.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointResponse {
    /// The address to send updates to.
    pub(crate) url: String,
    /// The integration's token, for the body; not the access token.
    pub(crate) token: String,
    /// A command that sends one update; put an access token into it.
    pub(crate) curl: String,
}

/// Where an integration's updates go, with its token
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/integrations/{i}/endpoint", operation_id = "get_endpoint", tag = "Integrations",
    params(("s" = String, Path, description = "The system"), ("i" = String, Path, description = "The integration")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointResponse),
        (status = 404, description = "Unknown system or integration"),
        (status = 409, description = "The integration takes CSV files and has no endpoint"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn show(at: At<needs::IntegrationsWrite>) -> Result<Json<EndpointResponse>, Problem> {
    endpoint(&at).map(Json)
}

/// What a rotation is told.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationQuery {
    /// Hours for which what is replaced stays good, 0 to 720; 0 if left out.
    #[param(minimum = 0, maximum = 720, required = false)]
    #[serde(default)]
    grace_hours: u32,
}

/// Give an integration a new token
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/integrations/{i}/rotate-token", operation_id = "rotate_token", tag = "Integrations",
    params(
        ("s" = String, Path, description = "The system"),
        ("i" = String, Path, description = "The integration"),
        RotationQuery,
    ),
    responses(
        (status = 200, description = "The endpoint with the new token", body = EndpointResponse),
        (status = 400, description = "No such number of hours"),
        (status = 404, description = "Unknown system or integration"),
        (status = 409, description = "The integration takes CSV files and has no token"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn rotate(
    at: At<needs::IntegrationsWrite>,
    query: Result<Query<RotationQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<EndpointResponse>, Problem> {
    renew(&at, grace_hours(query)?).await?;
    endpoint(&at).map(Json)
}

/// Gives the integration a new token; the old one lives on for some hours.
pub(crate) async fn renew(at: &At<needs::IntegrationsWrite>, grace_hours: u32) -> Result<(), Problem> {
    let integration = api_integration(at)?;
    Ok(at.state.accounts.rotate_integration_token(at.actor.clone(), at.system(), &integration.id, grace_hours).await?)
}

/// The grace that a rotation is told: 400 when it is too long or no number.
pub(super) fn grace_hours(
    query: Result<Query<RotationQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<u32, Problem> {
    let Query(RotationQuery { grace_hours }) = query?;
    if grace_hours > MAX_GRACE_HOURS {
        return Err(Problem::new(Kind::Malformed, format!("`grace_hours` must be 0 to {MAX_GRACE_HOURS}")));
    }
    Ok(grace_hours)
}

fn api_integration(at: &At<needs::IntegrationsWrite>) -> Result<&Integration, Problem> {
    let integration = at.integration()?;
    match integration.kind {
        IntegrationKind::Api => Ok(integration),
        IntegrationKind::Csv => Err(Problem::new(
            Kind::Conflict,
            "the integration is of kind `csv`: it takes files, and has neither endpoint nor token",
        )),
    }
}

/// Where the integration of the path is called.
pub(crate) fn endpoint(at: &At<needs::IntegrationsWrite>) -> Result<EndpointResponse, Problem> {
    let integration = api_integration(at)?;
    let url = format!("{}{UPDATE_PATH}", at.state.config.server.public_url);
    let token = at.state.accounts.integration_token(at.system(), &integration.id);
    let curl = curl(&url, &token, integration, at.rules.today(at.state.clock.now()));
    Ok(EndpointResponse { url, token, curl })
}

/// A command that sends one record with a value of the right type for every field.
fn curl(url: &str, token: &str, integration: &Integration, today: Date) -> String {
    let body = sample_body(Some(token), integration, today);
    format!(
        "curl --request POST {} \\\n  --header 'Authorization: Bearer <access token>' \\\n  --header 'Content-Type: application/json' \\\n  --data-raw {}",
        shell_text(url),
        shell_text(&body)
    )
}

/// A body with one record that has a value of the right type for every field.
pub(crate) fn sample_body(token: Option<&str>, integration: &Integration, today: Date) -> String {
    let token = token.map(|token| format!("  \"token\": {},\n", json_text(token))).unwrap_or_default();
    let fields = sample_fields(integration, today).join(",\n");
    format!("{{\n{token}  \"data\": [\n    {{\n{fields}\n    }}\n  ]\n}}")
}

/// A line for each field of a sample record, the identifier's first. A dotted path is written as one literal key.
fn sample_fields(integration: &Integration, today: Date) -> Vec<String> {
    let identifier = integration.user_identifier.as_str();
    let line = |field: &str, value: &str| {
        let mut line = String::from("      ");
        let _ = write!(line, "{}: {value}", json_text(field));
        line
    };
    let sample = |kind: AttributeType| match kind {
        AttributeType::String => json_text("text"),
        AttributeType::Number => "1".to_owned(),
        AttributeType::Date => json_text(&today.to_string()),
    };
    // The identifier may be stored as an attribute too, whose type it then must fit.
    let stored = integration.properties.iter().find(|property| property.field.as_str() == identifier);
    let id = match stored.map(|property| property.kind) {
        None | Some(AttributeType::String) => json_text("jane@example.com"),
        Some(kind) => sample(kind),
    };
    let mut lines = vec![line(identifier, &id)];
    for property in integration.properties.iter().filter(|property| property.field.as_str() != identifier) {
        lines.push(line(property.field.as_str(), &sample(property.kind)));
    }
    if lines.len() == 1 {
        lines.push(line("note", &json_text("a record needs another field")));
    }
    lines
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text as one word of a shell command.
fn shell_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_name_breaks_out_of_the_command() {
        assert_eq!(shell_text("it's"), r"'it'\''s'");
        assert_eq!(json_text("a\"b"), r#""a\"b""#);
    }
}
