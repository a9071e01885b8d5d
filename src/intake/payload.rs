//! The update call's payload: its shape, and what each record means for an integration.
//!
//! Shape mistakes (not JSON, a key twice, not `{"token", "data": [{…}]}`) make the call unreadable. Everything else
//! is judged against the integration, and every bad place of the whole call is named before anything is stored.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::json::{Members, Node, Place, Text, TreeError};
use crate::config::Limits;
use crate::engine::{Mode, Record, Update};
use crate::model::{self, EndUserId, Input, IntegrationId, number_text_of_json};
use crate::ruleset::{Integration, RuleSet};

/// Most bad places that an answer names.
const MAX_BAD_PLACES: usize = 1_000;
/// Bytes of pointers after which an answer names no further bad place: keys are as long as callers please.
const MAX_POINTER_BYTES: usize = 1 << 20;

/// The body as a place.
const BODY: Place<'static> = Place::Top("");
/// The list of records.
const DATA: Place<'static> = Place::Key(&BODY, "data");

/// One bad place of a call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BadPlace {
    /// A JSON pointer into the body, such as `/data/2/Status`.
    pub pointer: String,
    /// A short stable code, such as `not_a_date`.
    pub code: String,
    /// What is wrong and how to mend it.
    pub detail: String,
}

/// Why a call is refused. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Not JSON, a duplicate key, or not `{"token": "…", "data": [{…}, …]}`.
    #[error("{detail}")]
    Shape {
        /// Where, as a JSON pointer; empty for the whole body.
        pointer: String,
        /// What is wrong.
        detail: String,
    },
    /// More records than `limits.records_per_call`.
    #[error("`data` has {count} records; at most {limit} are allowed in one call (`limits.records_per_call`)")]
    TooManyRecords {
        /// Records sent.
        count: usize,
        /// Records allowed.
        limit: usize,
    },
    /// The records can't be stored: every bad place, in the order of the body.
    #[error("{} of the call can't be stored; nothing of it was", places(.0.len()))]
    Refused(Vec<BadPlace>),
}

fn places(count: usize) -> String {
    if count == 1 { "1 place".to_owned() } else { format!("{count} places") }
}

fn shape(pointer: &str, detail: impl Into<String>) -> IntakeError {
    IntakeError::Shape { pointer: pointer.to_owned(), detail: detail.into() }
}

impl From<TreeError> for IntakeError {
    fn from(error: TreeError) -> Self {
        Self::Shape { pointer: error.pointer, detail: error.detail }
    }
}

/// Why a body is no JSON object.
fn no_object(body: &str, error: &serde_json::Error) -> String {
    const FORM: &str = r#"send {"token": "…", "data": [{…}, …]}"#;
    match body.trim_start().chars().next() {
        None => format!("the body is empty: {FORM}"),
        Some('{') if error.to_string().starts_with("key must be a string") => {
            format!("the body is not JSON: {error} (a comma too many before it, or a key without double quotes?)")
        }
        Some('{') => format!("the body is not JSON: {error}"),
        Some(_) => format!("the body is no JSON object: {FORM}"),
    }
}

/// An update call whose outer shape is right.
#[derive(Debug)]
pub struct Call<'a> {
    /// The integration token, as sent.
    pub token: Cow<'a, str>,
    records: Vec<&'a RawValue>,
}

/// Reads the outer shape of an update call. Keys beside `token` and `data` are ignored, once they are good JSON without
/// a duplicate key.
///
/// # Errors
/// [`IntakeError::Shape`].
pub fn read_call(body: &[u8]) -> Result<Call<'_>, IntakeError> {
    let text = std::str::from_utf8(body).map_err(|error| shape("", format!("the body is not UTF-8: {error}")))?;
    let Members(members) = serde_json::from_str(text).map_err(|error| shape("", no_object(text, &error)))?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    let token = member("token").ok_or_else(|| shape("/token", "`token` is missing: send the integration's token"))?;
    let Text(token) = serde_json::from_str(token.get())
        .map_err(|_| shape("/token", "`token` must be a string: the integration's token"))?;
    let data = member("data").ok_or_else(|| shape("/data", "`data` is missing: send a list of records"))?;
    for (key, value) in members.iter().filter(|(key, _)| key != "token" && key != "data") {
        Node::read(value, Place::Key(&BODY, key))?;
    }
    let records: Vec<&RawValue> =
        serde_json::from_str(data.get()).map_err(|_| shape("/data", "`data` must be a list of records: [{…}, …]"))?;
    if records.is_empty() {
        return Err(shape("/data", "`data` has no record: send at least one"));
    }
    if let Some(at) = records.iter().position(|record| !record.get().starts_with('{')) {
        return Err(shape(&format!("/data/{at}"), "a record must be an object"));
    }
    Ok(Call { token, records })
}

/// Collects bad places, up to a bound.
#[derive(Default)]
struct Refusals {
    places: Vec<BadPlace>,
    pointer_bytes: usize,
}

impl Refusals {
    fn add(&mut self, pointer: String, code: &str, detail: impl Into<String>) {
        if !self.is_full() {
            self.pointer_bytes += pointer.len();
            self.places.push(BadPlace { pointer, code: code.to_owned(), detail: detail.into() });
        }
    }

    fn is_full(&self) -> bool {
        self.places.len() >= MAX_BAD_PLACES || self.pointer_bytes >= MAX_POINTER_BYTES
    }
}

impl Call<'_> {
    /// How many records the call has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether the call has no record; [`read_call`] refuses such calls.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Resolves paths and coerces every record against the integration: the update, or every bad place.
    ///
    /// One record merges; several replace.
    ///
    /// # Errors
    /// [`IntakeError`]; a shape error is one deep in a record (a duplicate key, nested too deep).
    pub fn to_update(
        &self,
        rules: &RuleSet,
        integration: &IntegrationId,
        limits: &Limits,
    ) -> Result<Update, IntakeError> {
        let (declared, records) = self.judged(rules, integration, limits)?;
        let mode = if records.len() == 1 { Mode::Merge } else { Mode::Replace };
        Ok(Update {
            system: rules.system.clone(),
            integration: integration.clone(),
            mode,
            declared: Arc::clone(&declared.names),
            records: records.into(),
            idempotency: None,
            beside: Vec::new(),
        })
    }

    /// The records of [`Call::to_update`], each by itself.
    ///
    /// # Errors
    /// Those of [`Call::to_update`].
    pub fn to_records(
        &self,
        rules: &RuleSet,
        integration: &IntegrationId,
        limits: &Limits,
    ) -> Result<Vec<Record>, IntakeError> {
        self.judged(rules, integration, limits).map(|(_, records)| records)
    }

    fn judged<'a>(
        &self,
        rules: &'a RuleSet,
        integration: &IntegrationId,
        limits: &Limits,
    ) -> Result<(&'a Integration, Vec<Record>), IntakeError> {
        if self.records.len() > limits.records_per_call {
            return Err(IntakeError::TooManyRecords { count: self.records.len(), limit: limits.records_per_call });
        }
        let Some(declared) = rules.integrations.get(integration) else {
            return Err(shape("/token", "the integration is gone"));
        };
        let reader =
            Reader { rules, integration: declared, limits: model::Limits { string_bytes: limits.string_bytes } };
        let mut refusals = Refusals::default();
        let mut records = Vec::with_capacity(self.records.len());
        for (at, raw) in self.records.iter().enumerate() {
            let place = Place::Item(&DATA, at);
            let node = Node::read(raw, place)?;
            records.extend(reader.record(&node, place, &mut refusals));
        }
        if !refusals.places.is_empty() {
            return Err(IntakeError::Refused(refusals.places));
        }
        Ok((declared, records))
    }
}

/// Reads records for one integration.
struct Reader<'a> {
    rules: &'a RuleSet,
    integration: &'a Integration,
    limits: model::Limits,
}

impl Reader<'_> {
    fn record(&self, node: &Node<'_>, place: Place<'_>, refusals: &mut Refusals) -> Option<Record> {
        let before = refusals.places.len();
        let _ = node.nulls(place, &mut |place| {
            refusals.add(place.pointer(), "null", "null is not a value: leave the field out instead");
            if refusals.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let path = self.integration.user_identifier.as_str();
        let id = node.find(path, place, &mut |found, place| self.identifier(found, place, refusals));
        if id.is_none() {
            let detail = format!("the user identifier `{path}` is missing");
            refusals.add(Place::Key(&place, path).pointer(), "identifier_missing", detail);
        }
        // The identifier is one of the record's fields, if it is there at all.
        if node.fields() <= usize::from(id.is_some()) {
            let detail = "a record needs the user identifier and at least one other field with a value";
            refusals.add(place.pointer(), "no_other_field", detail);
        }
        let mut sets = Vec::with_capacity(node.fields().min(self.integration.properties.len()));
        for (at, property) in self.integration.properties.iter().enumerate() {
            node.find(property.field.as_str(), place, &mut |found, place| {
                let Some(input) = input_of(found) else { return };
                match input.coerce(property.kind, self.limits) {
                    Ok(value) => sets.push((at, value)),
                    Err(error) => refusals.add(place.pointer(), error.code(), error.to_string()),
                }
            });
        }
        // Once no more bad places are kept, a record can't be told to be good; the call is refused anyway.
        (refusals.places.len() == before).then_some(())?;
        Some(Record { id: id.flatten()?, sets })
    }

    fn identifier(&self, found: &Node<'_>, place: Place<'_>, refusals: &mut Refusals) -> Option<EndUserId> {
        let text = match found {
            Node::Text(text) => Cow::Borrowed(&**text),
            Node::Number(number) => match number_text_of_json(number) {
                Ok(text) => Cow::Owned(text),
                Err(error) => {
                    refusals.add(place.pointer(), error.code(), error.to_string());
                    return None;
                }
            },
            // A null is already named.
            Node::Null => return None,
            Node::Boolean(_) | Node::Array(_) | Node::Object(_) => {
                let detail = "the user identifier must be a string or a number";
                refusals.add(place.pointer(), "identifier_type", detail);
                return None;
            }
        };
        match EndUserId::in_case(&text, self.rules.settings.identifier_case) {
            Ok(id) => Some(id),
            Err(error) => {
                refusals.add(place.pointer(), "identifier", error.to_string());
                None
            }
        }
    }
}

fn input_of<'a>(node: &'a Node<'_>) -> Option<Input<'a>> {
    Some(match node {
        // A null is already named.
        Node::Null => return None,
        Node::Boolean(flag) => Input::Boolean(*flag),
        Node::Number(text) => Input::Number(text),
        Node::Text(text) => Input::Text(text),
        Node::Array(_) => Input::Array,
        Node::Object(_) => Input::Object,
    })
}
