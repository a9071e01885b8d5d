//! `POST /admin/v1/systems/{s}/convert`: a rule's text and a filter's `where`, each made from the other.
//!
//! Nothing is asked of end users and nothing is kept. Invariant: both forms say the same of every end user.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body::JsonBody;
use super::super::problem::{Kind, Problem, ProblemPlace};
use super::super::turns::aside;
use super::asking::{DRAFT, refused, wrong_rule};
use super::memberships::Mode;
use crate::model::SegmentId;
use crate::predicate::{parse_where, to_rule, to_where};
use crate::ruleset::RuleSet;
use crate::segments::{Segment, is_reserved};

/// Said of a rule that is a condition which no filter can hold.
const TOO_MUCH: &str = "it holds a value, or is nested as deep, as no filter may: edit it as text";

/// One of the two forms.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConvertRequest {
    /// A filter, to be written as a rule.
    #[serde(rename = "where")]
    #[schema(value_type = Option<Object>, example = json!({"attribute": "crm.Seats", "operator": "at_least", "value": 50}))]
    condition: Option<serde_json::Value>,
    /// A rule, to be written as a filter. Not beside `where`.
    #[schema(example = "crm.Seats >= 50")]
    rule: Option<String>,
}

/// Both forms.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConvertResponse {
    /// The rule.
    pub(crate) rule: String,
    /// The filter that says the same; null where none does.
    #[serde(rename = "where")]
    #[schema(value_type = Option<Object>)]
    pub(crate) condition: Option<serde_json::Value>,
    /// How the rule runs.
    pub(crate) mode: Mode,
    /// Why no filter says the same; null where one does.
    pub(crate) why: Option<String>,
}

/// Write a filter as a rule, or a rule as a filter
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/convert", operation_id = "convert_rule", tag = "Rules",
    params(("s" = String, Path, description = "The system")),
    request_body = ConvertRequest,
    responses(
        (status = 200, description = "Both forms", body = ConvertResponse),
        (status = 400, description = "Not JSON of that shape"),
        (status = 404, description = "Unknown system"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The filter or the rule has mistakes"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn convert(
    at: At<needs::SegmentsRead>,
    JsonBody(ConvertRequest { condition, rule }): JsonBody<ConvertRequest>,
) -> Result<Json<ConvertResponse>, Problem> {
    let rules = at.rules;
    match (condition, rule) {
        (Some(json), None) => as_rule(json, &rules).map(Json),
        // A rule is tried when it is compiled, which may take a while.
        (None, Some(rule)) => aside(move || as_where(rule, &rules).map(Json)).await,
        _ => Err(refused("", "ambiguous", "send either `where` or `rule`".to_owned())),
    }
}

/// A filter with the rule that says the same.
pub(crate) fn as_rule(json: serde_json::Value, rules: &RuleSet) -> Result<ConvertResponse, Problem> {
    let condition = parse_where(&json, "/where", rules).map_err(|errors| {
        let places = errors.into_iter().map(ProblemPlace::from);
        Problem::new(Kind::Refused, "the filter has mistakes").with_errors(places)
    })?;
    // As it was written, part by part: who made it recognizes it.
    let rule = to_rule(&condition, &is_reserved);
    let rule = rule.ok_or_else(|| refused("/where", "number", "a rule can't hold one of its numbers".to_owned()))?;
    Ok(ConvertResponse { rule, condition: Some(json), mode: Mode::Index, why: None })
}

/// A rule with the filter that says the same, if one does. Takes its time.
pub(crate) fn as_where(rule: String, rules: &RuleSet) -> Result<ConvertResponse, Problem> {
    let segment = Segment::compile(SegmentId::new(DRAFT)?, &rule, &rules.schema()).map_err(wrong_rule)?;
    let (condition, why) = match segment.condition() {
        Ok(condition) => {
            let json = to_where(condition);
            let why = json.is_none().then(|| TOO_MUCH.to_owned());
            (json, why)
        }
        Err(why) => (None, Some(why.to_owned())),
    };
    Ok(ConvertResponse { rule, condition, mode: Mode::of(&segment), why })
}
