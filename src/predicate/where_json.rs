//! A filter's `where`: a condition as JSON, read here and written by [`to_where`].
//!
//! ```text
//! where     = {"all": [where…]} | {"any": [where…]} | {"not": where} | {"segment": id} | condition
//! condition = {"attribute": id, "operator": name, "value": …, "ignore_case": bool}
//! ```
//! Knows what may be named only through [`Names`], and nothing of who asks. Every mistake is named with its JSON
//! pointer, all of them at once. Invariants: what is read says exactly what was written, in the order written (whoever
//! judges many by it simplifies it first); what [`to_where`] writes reads back with the same meaning.

mod operands;
#[cfg(test)]
mod tests;
mod write;

pub use write::to_where;

use serde_json::{Map, Value as Json};

use super::operator::{Operator, operators_of};
use super::{AttributeTest, Condition};
use crate::model::{AttributeId, AttributeType, SegmentId, spelling};

/// Deepest nesting: how many `all`, `any` and `not` may stand around a condition. More is not asked by people, and
/// who judges may recurse.
pub const MAX_DEPTH: usize = 32;
/// Most conditions of a filter, `all`, `any` and `not` counted too.
pub const MAX_CONDITIONS: usize = 1_000;
/// Most values in one list: a pasted list of ids is one.
pub const MAX_VALUES: usize = 10_000;
/// Longest text of a value, in bytes: what a rule may hold, too.
pub const MAX_TEXT: usize = 64 * 1024;
/// Most mistakes that an answer names.
const MAX_ERRORS: usize = 1_000;
/// The keys of a condition on an attribute.
const ATTRIBUTE_KEYS: [&str; 4] = ["attribute", "operator", "value", "ignore_case"];
/// The keys of which each object of a filter has one.
const FORMS: [&str; 5] = ["all", "any", "not", "segment", "attribute"];

/// One mistake in a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct WhereError {
    /// Where, as a JSON pointer that begins with the pointer of the filter itself.
    pub pointer: String,
    /// A short stable code.
    pub code: &'static str,
    /// What is wrong and how to mend it.
    pub detail: String,
}

/// What a filter may name.
pub trait Names {
    /// The type of an attribute; `None` when there is none of that id.
    fn attribute_type(&self, attribute: &AttributeId) -> Option<AttributeType>;
    /// Whether there is such a segment.
    fn has_segment(&self, segment: &SegmentId) -> bool;
    /// Every attribute's id, to find what a misspelt one was meant to be. Asked only after a mistake.
    fn attributes(&self) -> Vec<String>;
    /// Every segment's id, for the same.
    fn segments(&self) -> Vec<String>;
}

/// Reads a filter that stands at `pointer` in its document (empty: it is the document).
///
/// # Errors
/// Every mistake in it, at most a thousand.
pub fn parse_where(json: &Json, pointer: &str, names: &dyn Names) -> Result<Condition, Vec<WhereError>> {
    let mut parser = Parser { names, errors: Vec::new(), conditions: 0 };
    match parser.condition(json, pointer, 0) {
        Some(condition) if parser.errors.is_empty() => Ok(condition),
        _ => Err(parser.errors),
    }
}

struct Parser<'a> {
    names: &'a dyn Names,
    errors: Vec<WhereError>,
    /// Conditions looked into so far.
    conditions: usize,
}

/// A key of an object as a pointer below it.
fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// "; did you mean …?", when one of the candidates is near enough to the word; else nothing.
fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    spelling::nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// A value as it is shown in a message: short.
fn shown(json: &Json) -> String {
    let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}

impl Parser<'_> {
    /// Notes a mistake; gives the nothing that stands for what can't be read.
    fn fail<T>(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) -> Option<T> {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(WhereError { pointer: pointer.to_owned(), code, detail: detail.into() });
        }
        None
    }

    fn condition(&mut self, json: &Json, pointer: &str, depth: usize) -> Option<Condition> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            // Named once: the rest is not looked into.
            let detail = format!("the filter has more than {MAX_CONDITIONS} conditions: put parts of it into segments");
            return if self.conditions == MAX_CONDITIONS + 1 { self.fail(pointer, "too_large", detail) } else { None };
        }
        if depth > MAX_DEPTH {
            let detail = format!("the filter is nested more than {MAX_DEPTH} levels deep: write it flatter");
            return self.fail(pointer, "too_deep", detail);
        }
        let Json::Object(object) = json else {
            return self.fail(pointer, "shape", "a condition must be an object, such as {\"all\": [\u{2026}]}");
        };
        let form = self.form(object, pointer)?;
        let inner = object.get(form)?;
        let place = below(pointer, form);
        match form {
            "all" => self.list(inner, &place, depth).map(Condition::All),
            "any" => self.list(inner, &place, depth).map(Condition::Any),
            "not" => self.condition(inner, &place, depth + 1).map(|part| Condition::Not(Box::new(part))),
            "segment" => self.segment(inner, &place).map(Condition::Segment),
            _ => self.attribute(object, pointer),
        }
    }

    /// Which form an object has, once its keys are looked through.
    fn form(&mut self, object: &Map<String, Json>, pointer: &str) -> Option<&'static str> {
        let form = FORMS.into_iter().find(|form| object.contains_key(*form));
        let form = match form {
            Some(form) => form,
            // Without its attribute it is still clear what is meant.
            None if ["operator", "value"].iter().any(|key| object.contains_key(*key)) => "attribute",
            None => "",
        };
        let allowed: &[&str] = match form {
            "attribute" => &ATTRIBUTE_KEYS,
            "" => &[],
            _ => std::slice::from_ref(&form),
        };
        for key in object.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let known = FORMS.into_iter().chain(ATTRIBUTE_KEYS).filter(|known| !object.contains_key(*known));
            let detail = match form {
                _ if FORMS.contains(&key.as_str()) => format!("`{key}` can't stand beside `{form}`: nest one of them"),
                "" => format!("there is no key `{key}`{}", did_you_mean(key, known)),
                _ => format!("there is no key `{key}` beside `{form}`{}", did_you_mean(key, known)),
            };
            let _: Option<()> = self.fail(&below(pointer, key), "unknown_key", detail);
        }
        if form.is_empty() {
            return self.fail(pointer, "shape", format!("a condition has one of the keys {}", FORMS.join(", ")));
        }
        if !object.contains_key(form) {
            return self.fail(pointer, "missing_attribute", "the condition does not say of which `attribute` it is");
        }
        Some(form)
    }

    fn list(&mut self, json: &Json, pointer: &str, depth: usize) -> Option<Vec<Condition>> {
        let Json::Array(parts) = json else {
            return self.fail(pointer, "shape", "must be a list of conditions");
        };
        let mut conditions = Vec::with_capacity(parts.len().min(MAX_CONDITIONS));
        for (at, part) in parts.iter().enumerate() {
            conditions.extend(self.condition(part, &format!("{pointer}/{at}"), depth + 1));
        }
        // A part that could not be read has left its mistake.
        Some(conditions)
    }

    fn segment(&mut self, json: &Json, pointer: &str) -> Option<SegmentId> {
        let Json::String(text) = json else { return self.fail(pointer, "shape", "must be the id of a segment") };
        if let Some(segment) = SegmentId::new(text).ok().filter(|segment| self.names.has_segment(segment)) {
            return Some(segment);
        }
        let known = self.names.segments();
        let hint = did_you_mean(text, known.iter().map(String::as_str));
        self.fail(pointer, "unknown_segment", format!("there is no segment {}{hint}", shown(json)))
    }

    fn attribute(&mut self, object: &Map<String, Json>, pointer: &str) -> Option<Condition> {
        let attribute = self.known_attribute(object, pointer);
        let kind = attribute.as_ref().map(|(_, kind)| *kind);
        let operator = self.operator(object, attribute.as_ref(), pointer);
        let ignore_case = self.ignore_case(object, kind, pointer);
        let (kind, operator) = (kind?, operator?);
        let place = below(pointer, "value");
        let test = self.test(operator, kind, object.get("value"), ignore_case.unwrap_or_default(), &place)?;
        let (attribute, kind) = attribute?;
        let condition = Condition::Attribute(AttributeTest { attribute, kind, test });
        Some(if operator.positive().is_some() { Condition::Not(Box::new(condition)) } else { condition })
    }

    fn known_attribute(&mut self, object: &Map<String, Json>, pointer: &str) -> Option<(AttributeId, AttributeType)> {
        let place = below(pointer, "attribute");
        let given = object.get("attribute")?;
        let Json::String(text) = given else {
            return self.fail(&place, "shape", "must be the id of an attribute, such as \"crm.Seats\"");
        };
        let id = text.parse::<AttributeId>().ok();
        if let Some(found) = id.and_then(|id| self.names.attribute_type(&id).map(|kind| (id, kind))) {
            return Some(found);
        }
        let known = self.names.attributes();
        // Without its integration the name alone is compared.
        let named = known.iter().find(|id| id.split_once('.').is_some_and(|(_, name)| name == text));
        let hint = match named {
            Some(id) => format!("; did you mean `{id}`?"),
            None => did_you_mean(text, known.iter().map(String::as_str)),
        };
        self.fail(&place, "unknown_attribute", format!("there is no attribute {}{hint}", shown(given)))
    }

    fn operator(
        &mut self,
        object: &Map<String, Json>,
        attribute: Option<&(AttributeId, AttributeType)>,
        pointer: &str,
    ) -> Option<Operator> {
        let place = below(pointer, "operator");
        let name = match object.get("operator") {
            Some(Json::String(name)) => name,
            Some(_) => return self.fail(&place, "shape", "must be the name of an operator, such as \"is_set\""),
            None => return self.fail(pointer, "missing_operator", "the condition has no `operator`"),
        };
        let found = Operator::named(name);
        let Some((id, kind)) = attribute else {
            let all = Operator::ALL.iter().map(|operator| operator.as_str());
            let unknown = || format!("there is no operator `{name}`{}", did_you_mean(name, all));
            return found.or_else(|| self.fail(&place, "unknown_operator", unknown()));
        };
        if found.is_some_and(|operator| operator.is_of(*kind)) {
            return found;
        }
        let offered: Vec<&str> = operators_of(*kind).map(Operator::as_str).collect();
        let hint = match found.and_then(|operator| operator.counterpart(*kind)) {
            Some(operator) => format!("; did you mean `{}`?", operator.as_str()),
            None => did_you_mean(name, offered.iter().copied()),
        };
        let stop = if hint.is_empty() { "." } else { "" };
        let (name, offered) = (shown(&Json::from(name.as_str())), offered.join(", "));
        let detail = format!("`{id}` is a {kind} and has no operator {name}{hint}{stop} It has: {offered}");
        self.fail(&place, if found.is_some() { "wrong_operator" } else { "unknown_operator" }, detail)
    }

    fn ignore_case(&mut self, object: &Map<String, Json>, kind: Option<AttributeType>, pointer: &str) -> Option<bool> {
        let place = below(pointer, "ignore_case");
        match object.get("ignore_case") {
            None => Some(false),
            Some(Json::Bool(true)) if kind.is_some_and(|kind| kind != AttributeType::String) => {
                self.fail(&place, "wrong_type", "only strings are upper or lower case: leave `ignore_case` out")
            }
            Some(Json::Bool(flag)) => Some(*flag),
            Some(_) => self.fail(&place, "shape", "must be true or false"),
        }
    }
}
