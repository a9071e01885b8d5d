//! `POST …/integrations/{i}/test`: a payload judged as the update API would judge it, and nothing stored.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Request;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body;
use super::super::problem::{Problem, ProblemPlace};
use crate::config::Limits;
use crate::engine::Record;
use crate::http::AppState;
use crate::intake::{IntakeError, read_call};
use crate::model::IntegrationId;
use crate::ruleset::{Integration, IntegrationKind, RuleSet};

/// Bytes of `ignored` in one answer: keys are as long as callers please, and each path repeats those above it.
const IGNORED_BYTES: usize = 1 << 20;

/// What a trial sends: `{"data": […]}`, or a whole update call, whose token does not matter here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrialRequest<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(default, rename = "token", borrow)]
    _token: Option<&'a RawValue>,
}

/// What a trial sends.
#[derive(ToSchema)]
#[schema(as = TrialRequest)]
#[expect(dead_code, reason = "describes the body for the API's document")]
pub(crate) struct TrialDocument {
    /// Not looked at.
    token: Option<String>,
    /// The records, as for the update API.
    #[schema(min_items = 1, value_type = Vec<Object>)]
    data: Vec<serde_json::Value>,
}

/// What would come of the call.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialResponse {
    /// Whether the call would be stored. If not, nothing of it would.
    pub(crate) accepted: bool,
    /// Every record that is good by itself.
    pub(crate) records: Vec<TrialRecord>,
    /// Every bad place.
    pub(crate) errors: Vec<ProblemPlace>,
}

/// What would come of one record.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TrialRecord {
    /// Its place in `data`, from 0.
    pub(crate) index: usize,
    /// The end user.
    pub(crate) id: String,
    /// The values that would be stored.
    pub(crate) attributes: BTreeMap<String, serde_json::Value>,
    /// The paths of fields that are not declared, and so not stored; of a long list, the first.
    pub(crate) ignored: Vec<String>,
}

/// Judge a payload without storing it
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/integrations/{i}/test", operation_id = "test_integration", tag = "Integrations",
    params(("s" = String, Path, description = "The system"), ("i" = String, Path, description = "The integration")),
    request_body = TrialDocument,
    responses(
        (status = 200, description = "What would be stored, and what refused and why", body = TrialResponse),
        (status = 400, description = "Not JSON, a duplicate key, or not that shape"),
        (status = 404, description = "Unknown system or integration"),
        (status = 413, description = "The body or `data` is too large"),
        (status = 415, description = "Not application/json"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn judge(at: At<needs::IntegrationsWrite>, request: Request) -> Result<Json<TrialResponse>, Problem> {
    at.integration()?;
    body::demand_json(request.headers())?;
    let body = body::read(request, at.state.config.limits.body_mib << 20).await?;
    judged(&at, body).await.map(Json)
}

/// What would come of a body for the integration that the path names.
pub(crate) async fn judged<P>(at: &At<P>, body: impl AsRef<[u8]> + Send + 'static) -> Result<TrialResponse, Problem> {
    let integration = at.integration()?.id.clone();
    let (state, rules) = (AppState::clone(&at.state), std::sync::Arc::clone(&at.rules));
    // A payload may be as large as the update API takes, and here every record is judged twice.
    let judge = move || trial(body.as_ref(), &rules, &integration, &state.config.limits);
    tokio::task::spawn_blocking(judge).await.map_err(|error| Problem::internal(&error.to_string()))?
}

fn trial(body: &[u8], rules: &RuleSet, id: &IntegrationId, limits: &Limits) -> Result<TrialResponse, Problem> {
    let TrialRequest { data, .. } = body::from_slice(body)?;
    let integration =
        rules.integrations.get(id).ok_or_else(|| Problem::not_found(format!("there is no integration `{id}`")))?;
    let mut errors = match verdict(data.get(), rules, id, limits) {
        Ok(_) => Vec::new(),
        Err(IntakeError::Refused(places)) => places.into_iter().map(ProblemPlace::from).collect(),
        Err(error) => return Err(error.into()),
    };
    errors.extend(deaf(integration));
    let records: Vec<&RawValue> = body::part(data.get().as_bytes())?;
    let mut room = IGNORED_BYTES;
    let records = records.iter().enumerate().filter_map(|(index, raw)| {
        let record = verdict(&format!("[{}]", raw.get()), rules, id, limits).ok()?.pop()?;
        let fields = serde_json::from_str(raw.get()).ok()?;
        Some(TrialRecord {
            index,
            id: record.id.as_str().to_owned(),
            attributes: record
                .sets
                .iter()
                .filter_map(|(place, value)| Some((integration.names.get(*place)?.to_string(), value.to_json())))
                .collect(),
            ignored: ignored(&fields, integration, &mut room),
        })
    });
    let records = records.collect();
    Ok(TrialResponse { accepted: errors.is_empty(), records, errors })
}

/// What the update API would say to these records.
fn verdict(data: &str, rules: &RuleSet, id: &IntegrationId, limits: &Limits) -> Result<Vec<Record>, IntakeError> {
    let call = format!(r#"{{"token":"","data":{data}}}"#);
    read_call(call.as_bytes())?.to_records(rules, id, limits)
}

/// Why the integration takes no calls at all, if so.
fn deaf(integration: &Integration) -> Option<ProblemPlace> {
    let (code, detail) = match (integration.enabled, integration.kind) {
        (false, _) => ("disabled", "the integration is disabled: calls with its token are refused"),
        (true, IntegrationKind::Csv) => ("csv", "the integration is of kind `csv`: it takes files, not calls"),
        (true, IntegrationKind::Api) => return None,
    };
    Some(ProblemPlace { pointer: String::new(), code: code.to_owned(), detail: detail.to_owned() })
}

/// The paths of a record's fields that are neither the identifier nor declared.
fn ignored(record: &serde_json::Value, integration: &Integration, room: &mut usize) -> Vec<String> {
    let mut declared = vec![integration.user_identifier.as_str()];
    declared.extend(integration.properties.iter().map(|property| property.field.as_str()));
    let mut paths = Vec::new();
    undeclared(record, "", &declared, room, &mut paths);
    paths
}

/// Collects the paths of leaves under `prefix` that are not declared, as long as there is room. A literal key `a.b` and
/// a nested one have the same path, as they have for the intake.
fn undeclared(value: &serde_json::Value, prefix: &str, declared: &[&str], room: &mut usize, paths: &mut Vec<String>) {
    if !prefix.is_empty() && declared.contains(&prefix) {
        return;
    }
    match value {
        serde_json::Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                if *room == 0 {
                    return;
                }
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                undeclared(member, &path, declared, room, paths);
            }
        }
        _ => {
            *room = room.saturating_sub(prefix.len().max(1));
            paths.push(prefix.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_declared_is_named_by_its_path() {
        let paths = |record: serde_json::Value| {
            let (mut room, mut paths) = (IGNORED_BYTES, Vec::new());
            undeclared(&record, "", &["Email", "properties.ID", "nested.field"], &mut room, &mut paths);
            paths
        };
        assert_eq!(
            paths(json!({"Email": "a", "properties.ID": 1, "nested": {"field": 2, "other": 3}, "x": {}, "y": [1]})),
            ["nested.other", "x", "y"]
        );
        assert_eq!(paths(json!({"properties": {"ID": 1}, "nested.field": 2})), Vec::<String>::new());
    }

    #[test]
    fn paths_of_what_is_not_declared_are_named_while_there_is_room() {
        let (mut room, mut paths) = (7, Vec::new());
        undeclared(&json!({"long": {"a": 1, "b": 1, "c": 1}, "d": 1}), "", &[], &mut room, &mut paths);
        assert_eq!((room, paths.len()), (0, 2), "{paths:?}");
    }

    #[test]
    fn a_trial_takes_records_with_or_without_a_token() {
        for good in [r#"{"data":[{"a":1}]}"#, r#"{"token":"x","data":[]}"#, r#"{"token":null,"data":1}"#] {
            assert!(body::from_slice::<TrialRequest<'_>>(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [r#"{"data":[],"data":[]}"#, r#"{"token":"x"}"#, r#"{"data":[],"mode":1}"#, "[]"] {
            assert!(body::from_slice::<TrialRequest<'_>>(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
