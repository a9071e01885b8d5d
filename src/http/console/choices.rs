//! What a builder of conditions offers: attributes with their integrations and operators, and segments. As JSON, for the
//! module that draws it.
//!
//! Knows nothing of end users, so that it can be shown to whoever may read the rules.

use serde_json::{Value as Json, json};

use crate::predicate::{Operands, operators_of};
use crate::ruleset::{IntegrationKind, RuleSet};

/// Everything a condition may name, as JSON.
pub(super) fn choices(rules: &RuleSet) -> String {
    let enabled = rules.integrations.values().filter(|integration| integration.enabled);
    let attributes = enabled.flat_map(|integration| {
        integration.properties.iter().map(|property| {
            json!({
                "id": format!("{}.{}", integration.id, property.name),
                "name": property.name.as_str(),
                "type": property.kind.as_str(),
                "description": property.description,
                "integration": integration.id.as_str(),
                "integrationName": integration.name,
                "csv": integration.kind == IntegrationKind::Csv,
            })
        })
    });
    let attributes: Vec<Json> = attributes.collect();
    let segments: Vec<Json> =
        rules.segments.by_id().map(|segment| json!({ "id": segment.id.as_str(), "name": segment.name })).collect();
    json!({ "attributes": attributes, "segments": segments, "operators": operators() }).to_string()
}

/// The operators of each type: name, words, and what values it takes.
fn operators() -> Json {
    let of = |kind| -> Vec<Json> {
        let operator = |operator: crate::predicate::Operator| {
            let takes = match operator.operands() {
                Operands::None => "none",
                Operands::One => "one",
                Operands::Two => "two",
                Operands::List => "list",
                Operands::Days => "days",
            };
            json!({ "name": operator.as_str(), "words": operator.as_str().replace('_', " "), "takes": takes })
        };
        operators_of(kind).map(operator).collect()
    };
    let types = crate::model::AttributeType::ALL;
    Json::Object(types.into_iter().map(|kind| (kind.as_str().to_owned(), Json::from(of(kind)))).collect())
}
