//! `/public/v1/systems/{s}/attributes…`: what may be asked about end users, and which values they have.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{At, needs};
use super::super::problem::{Kind, Problem};
use super::super::turns::aside;
use super::asking::{Asked, SCRIPT_TIME};
use super::selection::Selection;
use crate::engine::{Buckets, Found, Reader, TopTexts};
use crate::model::{ATTRIBUTE_CAP, AttributeId, AttributeType, Date, IntegrationId, Value};
use crate::predicate::{Operator, operators_of};

/// Values that are named when the caller does not say how many.
const DEFAULT_TOP: usize = 20;
/// Most values that are named.
const MAX_TOP: usize = 1_000;

/// A system's attributes.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttributesResponse {
    /// Those of enabled integrations, by integration, each in its file's order.
    pub(crate) items: Vec<AttributeItem>,
    /// How many places under the cap are taken: disabled integrations keep theirs.
    pub(crate) used: usize,
    /// How many attributes a system may have.
    pub(crate) cap: usize,
}

/// An attribute.
#[derive(Serialize, ToSchema)]
#[schema(as = Attribute)]
pub(crate) struct AttributeItem {
    /// Its id, `<integration>.<name>`.
    pub(crate) id: String,
    /// The integration that it comes from.
    #[schema(value_type = String)]
    pub(crate) integration: IntegrationId,
    /// The name to show beside it.
    pub(crate) integration_name: String,
    /// Its name.
    pub(crate) name: String,
    /// `string`, `number` or `date`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub(crate) kind: AttributeType,
    /// What it means.
    pub(crate) description: String,
    /// The operators that filters may use on it.
    #[schema(value_type = Vec<String>)]
    pub(crate) operators: Vec<&'static str>,
    /// How many end users have a value of it.
    pub(crate) count: u64,
}

/// Whose values are counted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DistributionQuery {
    /// A filter as JSON, percent-encoded; left out: everybody.
    #[serde(rename = "where")]
    #[param(required = false, example = r#"{"attribute":"crm.Seats","operator":"at_least","value":50}"#)]
    condition: Option<String>,
    /// How many values to name at most, 1 to 1000; 20 if left out.
    #[param(minimum = 1, maximum = 1000, required = false)]
    top: Option<usize>,
}

/// How many end users have which value.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum DistributionResponse {
    /// Of a String.
    Values {
        /// The commonest values, the commonest first.
        values: Vec<ValueItem>,
        /// How many end users have a value that is not named.
        other: u64,
        /// How many different values there are.
        distinct: u64,
        /// How many end users have none.
        none: u64,
    },
    /// Of a Number or Date.
    Buckets {
        /// Spans of values, rising, without gaps.
        buckets: Vec<BucketItem>,
        /// How many end users have none.
        none: u64,
    },
}

/// A value and who has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValueItem {
    /// The value.
    pub(crate) value: String,
    /// How many end users have it.
    pub(crate) count: u64,
}

/// A span of values and who has one of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct BucketItem {
    /// The first value in it: a number, or `YYYY-MM-DD`.
    pub(crate) from: serde_json::Value,
    /// The first value beyond it; null where there is none, after the last of all dates.
    pub(crate) to: serde_json::Value,
    /// How many end users have a value in it.
    pub(crate) count: u64,
}

/// The attributes of a system
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/attributes", operation_id = "list_attributes", tag = "End users",
    params(("s" = String, Path, description = "The system")),
    responses(
        (status = 200, description = "All of them in one answer", body = AttributesResponse),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["end_users:read"])),
)]
pub(crate) async fn list(at: At<needs::EndUsersRead>) -> Result<Json<AttributesResponse>, Problem> {
    let reader = at.reader()?;
    aside(move || Ok(Json(all(&reader)))).await
}

/// Every attribute that a reader sees. Takes its time.
pub(crate) fn all(reader: &Reader) -> AttributesResponse {
    let ids: Vec<AttributeId> = Selection::all(reader.rules()).attributes().cloned().collect();
    let counts = reader.attribute_counts(&ids);
    let items = ids.iter().zip(counts).filter_map(|(id, count)| item(reader, id, count)).collect();
    AttributesResponse { items, used: reader.rules().attributes_used(), cap: ATTRIBUTE_CAP }
}

fn item(reader: &Reader, id: &AttributeId, count: u64) -> Option<AttributeItem> {
    let integration = reader.rules().integrations.get(&id.integration)?;
    let property = integration.property(&id.name)?;
    Some(AttributeItem {
        id: id.to_string(),
        integration: integration.id.clone(),
        integration_name: integration.name.clone(),
        name: id.name.to_string(),
        kind: property.kind,
        description: property.description.clone(),
        operators: operators_of(property.kind).map(Operator::as_str).collect(),
        count,
    })
}

/// Which values of an attribute end users have
///
/// The commonest values of a String, and buckets with round edges of a Number or Date; of everybody or of those whom a
/// filter finds.
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/attributes/{a}/distribution", operation_id = "get_distribution", tag = "End users",
    params(
        ("s" = String, Path, description = "The system"),
        ("a" = String, Path, description = "The attribute, `<integration>.<name>`"),
        DistributionQuery,
    ),
    responses(
        (status = 200, description = "How many have which", body = DistributionResponse),
        (status = 400, description = "`where` is no JSON, or `top` out of bounds"),
        (status = 404, description = "Unknown system or attribute"),
        (status = 422, description = "The filter has mistakes"),
    ),
    security(("oauth2" = ["end_users:read"])),
)]
pub(crate) async fn distribution(
    at: At<needs::EndUsersRead>,
    query: Result<Query<DistributionQuery>, QueryRejection>,
) -> Result<Json<DistributionResponse>, Problem> {
    let Query(query) = query?;
    let top = query.top.unwrap_or(DEFAULT_TOP);
    if !(1..=MAX_TOP).contains(&top) {
        return Err(Problem::new(Kind::Malformed, format!("`top` must be 1 to {MAX_TOP}")));
    }
    let reader = at.reader()?;
    let shown = |id: &AttributeId| Some((reader.rules().attribute_type(id)?, id.clone()));
    let attribute = at.param("a").parse::<AttributeId>().ok().and_then(|id| shown(&id));
    let (kind, attribute) = attribute.ok_or_else(|| {
        Problem::not_found(format!("there is no attribute `{}` of an enabled integration", at.param("a")))
    })?;
    let condition = query.condition.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
        Problem::new(Kind::Malformed, format!("`where` must be a filter as JSON, percent-encoded: {error}"))
    })?;
    let (asked, reader) = Asked::read(&at, condition, None, reader).await?;
    aside(move || {
        let found = reader.find(&asked.question(&reader), SCRIPT_TIME)?;
        Ok(Json(answer(&reader, &attribute, kind, &found, top)))
    })
    .await
}

/// How the values of those who were found are spread.
pub(crate) fn answer(
    reader: &Reader,
    attribute: &AttributeId,
    kind: AttributeType,
    found: &Found,
    top: usize,
) -> DistributionResponse {
    if kind == AttributeType::String {
        let TopTexts { top, other, distinct, none } = reader.top_texts(attribute, found, top);
        let values = top.into_iter().map(|(value, count)| ValueItem { value, count }).collect();
        return DistributionResponse::Values { values, other, distinct, none };
    }
    let edge = |edge: f64| match kind {
        #[expect(clippy::cast_possible_truncation, reason = "an edge between dates is a whole day near them")]
        AttributeType::Date => Date::from_days(edge as i32).map(|date| Value::Date(date).to_json()),
        _ => Some(Value::Number(edge).to_json()),
    };
    let Buckets { buckets, none } = reader.buckets(attribute, found);
    let items = buckets.into_iter().map(|(from, to, count)| BucketItem {
        from: edge(from).unwrap_or_default(),
        to: edge(to).unwrap_or_default(),
        count,
    });
    DistributionResponse::Buckets { buckets: items.collect(), none }
}
