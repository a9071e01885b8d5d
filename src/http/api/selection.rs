//! Which attributes of end users an answer shows, and how one end user looks through them.
//!
//! Invariant: an attribute that the rules do not show (undeclared, or of a disabled integration) is in no answer.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::super::problem::{Kind, Problem, ProblemPlace};
use crate::engine::EndUser;
use crate::model::{AttributeId, AttributeName, AttributeType, IntegrationId, Value};
use crate::ruleset::RuleSet;

/// Attributes and their types, in the order in which they are shown.
#[derive(Debug, Clone)]
pub(crate) struct Selection(Vec<(AttributeId, AttributeType)>);

/// An end user in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndUserItem {
    /// The identifier.
    id: String,
    /// The attributes that were selected, of each integration: strings, numbers, dates as `YYYY-MM-DD`.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, serde_json::Value>>)]
    attributes: BTreeMap<IntegrationId, BTreeMap<AttributeName, Json>>,
}

impl Selection {
    /// Every attribute of enabled integrations.
    pub(crate) fn all(rules: &RuleSet) -> Self {
        Self::of_integrations(rules, |_| true)
    }

    /// Every attribute of one integration, if it is enabled.
    pub(crate) fn of(rules: &RuleSet, integration: &IntegrationId) -> Self {
        Self::of_integrations(rules, |id| id == integration)
    }

    fn of_integrations(rules: &RuleSet, wanted: impl Fn(&IntegrationId) -> bool) -> Self {
        let shown = rules.integrations.values().filter(|integration| integration.enabled && wanted(&integration.id));
        let attributes = shown.flat_map(|integration| {
            integration.properties.iter().map(|property| {
                let id = AttributeId { integration: integration.id.clone(), name: property.name.clone() };
                (id, property.kind)
            })
        });
        Self(attributes.collect())
    }

    /// What a caller lists as `select`; nothing listed: all. 422 for what is no attribute here, or is listed twice.
    pub(crate) fn read(select: Option<&[String]>, rules: &RuleSet) -> Result<Self, Problem> {
        let Some(select) = select else { return Ok(Self::all(rules)) };
        let mut selection = Self(Vec::with_capacity(select.len()));
        let mut wrong = Vec::new();
        for (at, text) in select.iter().enumerate() {
            let found = text.parse::<AttributeId>().ok().and_then(|id| Some((rules.attribute_type(&id)?, id)));
            let (code, detail) = match found {
                Some((_, id)) if selection.0.iter().any(|(known, _)| *known == id) => {
                    ("duplicate", format!("`{id}` is listed twice"))
                }
                Some((kind, id)) => {
                    selection.0.push((id, kind));
                    continue;
                }
                None => ("unknown_attribute", format!("there is no attribute `{text}` of an enabled integration")),
            };
            wrong.push(ProblemPlace { pointer: format!("/select/{at}"), code: code.to_owned(), detail });
        }
        if wrong.is_empty() {
            return Ok(selection);
        }
        Err(Problem::new(Kind::Refused, "`select` lists what can't be shown").with_errors(wrong))
    }

    /// The attributes, in order.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &AttributeId> {
        self.0.iter().map(|(id, _)| id)
    }

    /// An end user's values, in the order of the attributes.
    pub(crate) fn values<'a>(&'a self, end_user: &'a EndUser<'_>) -> impl Iterator<Item = Option<Value>> + 'a {
        self.0.iter().map(|(id, kind)| end_user.value(id, *kind))
    }

    /// An end user as an item of a list.
    pub(crate) fn item(&self, end_user: &EndUser<'_>) -> EndUserItem {
        let mut attributes: BTreeMap<IntegrationId, BTreeMap<AttributeName, Json>> = BTreeMap::new();
        for ((id, _), value) in self.0.iter().zip(self.values(end_user)) {
            if let Some(value) = value {
                attributes.entry(id.integration.clone()).or_default().insert(id.name.clone(), value.to_json());
            }
        }
        EndUserItem { id: end_user.id().to_owned(), attributes }
    }
}
