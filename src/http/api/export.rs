//! `POST /public/v1/systems/{s}/end-users/export`: everybody who fulfils a condition, as CSV or NDJSON.
//!
//! Written piece by piece from one state of the system, so that neither memory nor answers grow with it: the question is
//! asked once, and its answer walked as fast as the client reads. A piece is made on a thread of its own; in between
//! none is held.
//!
//! **Header.** Where the columns are those of one integration (it is named, or is the only one), they are called as that
//! integration calls them, and only end users of whom it knows more than empty texts are in the file: so the file imports
//! again.
//! Otherwise they are called `id` and by their attributes' ids.
//! **Cells.** Texts are guarded against spreadsheets, which importing undoes (see `model::csv`); `raw` leaves them be.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body::JsonBody;
use super::super::problem::{Kind, Problem};
use super::super::turns::{Turn, aside};
use super::asking::{Asked, SCRIPT_TIME, refused};
use super::selection::Selection;
use crate::engine::{EndUser, Found, Reader};
use crate::model::csv::{guarded, push_cell};
use crate::model::{AttributeId, AttributeType, EndUserId, IntegrationId, Permission, Value, number_text};
use crate::predicate::{AttributeTest, Condition, Test, TextMatch, TextTest};
use crate::ruleset::{Integration, RuleSet};

/// End users of one piece.
const PIECE: usize = 1_000;
/// Says how many end users follow, for who shows progress.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// What an export asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// A filter: who fulfils it. Left out, as `rule` is: everybody.
    #[serde(rename = "where")]
    #[schema(value_type = Option<Object>, example = json!({"attribute": "crm.Seats", "operator": "at_least", "value": 50}))]
    pub(crate) condition: Option<serde_json::Value>,
    /// A rule, written as that of a segment: who would be in it. Not beside `where`.
    pub(crate) rule: Option<String>,
    /// The attributes to show, such as `crm.Seats`; left out: all.
    pub(crate) select: Option<Vec<String>>,
    /// The integration whose attributes to show, in the form that it takes itself. Not beside `select`.
    pub(crate) integration: Option<String>,
    /// CSV cells as they are: text that a spreadsheet would take for a formula is not guarded by an apostrophe.
    #[serde(default)]
    pub(crate) raw: bool,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Ndjson,
}

impl Form {
    const CSV: &str = "text/csv";
    const NDJSON: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

    /// The form that `Accept` prefers; CSV where it leaves the choice.
    fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let ranges =
            headers.get_all(header::ACCEPT).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let ranges: Vec<(&str, f32)> = ranges.map(weighted).filter(|(range, _)| !range.is_empty()).collect();
        if ranges.is_empty() {
            return Ok(Self::Csv);
        }
        let weight_of = |form: Self| {
            let fits = |range: &str| match form {
                Self::Csv => range.eq_ignore_ascii_case(Self::CSV) || range.eq_ignore_ascii_case("text/*"),
                Self::Ndjson => {
                    Self::NDJSON.iter().any(|name| range.eq_ignore_ascii_case(name))
                        || range.eq_ignore_ascii_case("application/*")
                }
            };
            let named = ranges.iter().find(|(range, _)| fits(range));
            named.or_else(|| ranges.iter().find(|(range, _)| *range == "*/*")).map_or(0.0, |(_, weight)| *weight)
        };
        match (weight_of(Self::Csv), weight_of(Self::Ndjson)) {
            (csv, ndjson) if csv <= 0.0 && ndjson <= 0.0 => Err(Problem::new(
                Kind::NotAcceptable,
                "an export is `text/csv` or `application/x-ndjson`: send one of them as `Accept`",
            )),
            (csv, ndjson) if ndjson > csv => Ok(Self::Ndjson),
            _ => Ok(Self::Csv),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// A media range with its weight.
fn weighted(range: &str) -> (&str, f32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse().ok());
    (name, weight.unwrap_or(1.0))
}

/// What every piece of an export needs.
struct Export {
    reader: Reader,
    found: Found,
    selection: Selection,
    /// The integration in whose own form the file is.
    integration: Option<Integration>,
    form: Form,
    raw: bool,
    _turn: Turn,
}

/// Export end users
///
/// Everybody at one moment. CSV has a header: where the columns are those of one integration it is that integration's own,
/// and the file imports again; otherwise it is `id` and the attributes' ids. NDJSON has an end user a line, as a query's
/// items. `X-Total-Count` tells how many follow.
#[utoipa::path(
    post, path = "/public/v1/systems/{s}/end-users/export", operation_id = "export_end_users", tag = "End users",
    params(
        ("s" = String, Path, description = "The system"),
        ("Accept" = Option<String>, Header, description = "`text/csv` (also if left out) or `application/x-ndjson`"),
    ),
    request_body = ExportRequest,
    responses(
        (status = 200, description = "The end users", content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 400, description = "Not JSON of that shape"),
        (status = 404, description = "Unknown system"),
        (status = 406, description = "`Accept` allows neither form"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The question has mistakes, or its script takes too long"),
    ),
    security(("oauth2" = ["end_users:read"])),
)]
pub(crate) async fn export(
    at: At<needs::EndUsersRead>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ExportRequest>,
) -> Result<Response, Problem> {
    let form = Form::accepted(&headers)?;
    exported(&at, form, request).await
}

/// Everybody who is asked for, as a file, for a caller who may read end users.
pub(crate) async fn exported<P>(at: &At<P>, form: Form, request: ExportRequest) -> Result<Response, Problem> {
    let reader = at.reader_for(&at.rules, &[Permission::EndUsersRead])?;
    let integration = integration_of(&request, reader.rules())?;
    let selection = match &integration {
        Some(integration) => Selection::of(reader.rules(), &integration.id),
        None => Selection::read(request.select.as_deref(), reader.rules())?,
    };
    let (asked, reader) = Asked::read(at, request.condition, request.rule, reader).await?;
    let export_turn = at.state.turns().export()?;
    let script_turn = asked.turn(&at.state).await?;
    let export = aside(move || {
        let _turn = script_turn;
        let mut question = asked.question(&reader);
        if let Some(integration) = &integration {
            let twice = identifier_attribute(integration);
            let others = selection.attributes().enumerate().filter(|(place, _)| Some(*place) != twice);
            let written = others.map(|(_, attribute)| is_written(&reader, attribute)).collect();
            question = reader.narrowed(question, &Condition::Any(written));
        }
        let found = reader.find(&question, SCRIPT_TIME)?;
        Ok(Export { reader, found, selection, integration, form, raw: request.raw, _turn: export_turn })
    })
    .await?;
    Ok(export.into_answer(at.system().as_str()))
}

/// The integration in whose form the file is to be: the one that is named, or the only one there is.
fn integration_of(request: &ExportRequest, rules: &RuleSet) -> Result<Option<Integration>, Problem> {
    const POINTER: &str = "/integration";
    let Some(id) = &request.integration else {
        let mut enabled = rules.integrations.values().filter(|integration| integration.enabled);
        let only = enabled.next().filter(|_| enabled.next().is_none() && request.select.is_none());
        return Ok(only.cloned());
    };
    if request.select.is_some() {
        return Err(refused(POINTER, "ambiguous", "send `integration` or `select`, not both".to_owned()));
    }
    let known = IntegrationId::new(id).ok().and_then(|id| rules.integrations.get(&id));
    match known.filter(|integration| integration.enabled) {
        Some(integration) => Ok(Some(integration.clone())),
        None => Err(refused(POINTER, "unknown_integration", format!("there is no enabled integration `{id}`"))),
    }
}

/// The place of the column, besides the first, that is the identifier's as well: an integration may store it.
fn identifier_attribute(integration: &Integration) -> Option<usize> {
    integration.properties.iter().position(|property| property.field == integration.user_identifier)
}

/// That an attribute has a value which is more than an empty cell: a row of nothing else would be none to an import.
fn is_written(reader: &Reader, attribute: &AttributeId) -> Condition {
    let is_set = reader.is_set(attribute);
    let kind = AttributeType::String;
    if reader.rules().attribute_type(attribute) != Some(kind) {
        return is_set;
    }
    let test = Test::Text(TextTest { found: TextMatch::OneOf(vec![Arc::from("")]), lowered: false });
    let is_empty = Condition::Attribute(AttributeTest { attribute: attribute.clone(), kind, test });
    Condition::All(vec![is_set, Condition::Not(Box::new(is_empty))])
}

impl Export {
    fn into_answer(self, system: &str) -> Response {
        let extension = if self.form == Form::Csv { "csv" } else { "ndjson" };
        let disposition = format!("attachment; filename=\"{system}-end-users.{extension}\"");
        let total = self.found.total().to_string();
        let media_type = self.form.media_type();
        let export = Arc::new(self);
        let pieces = futures_util::stream::try_unfold(Some(None), move |from: Option<Option<u32>>| {
            let export = Arc::clone(&export);
            async move {
                let Some(after) = from else { return Ok(None) };
                let piece = tokio::task::spawn_blocking(move || export.piece(after)).await;
                let (bytes, next) = piece.map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(Some((bytes, next.map(Some))))
            }
        });
        let mut response = Body::from_stream(pieces).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        for (name, value) in [(header::CONTENT_DISPOSITION, disposition), (TOTAL, total)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// The end users of rows after one, and the row to go on after.
    fn piece(&self, after: Option<u32>) -> (Bytes, Option<u32>) {
        let page = self.found.page(after, PIECE);
        let mut text = String::new();
        if after.is_none() && self.form == Form::Csv {
            self.push_header(&mut text);
        }
        for row in page.rows {
            let end_user = self.reader.at(row);
            match self.form {
                Form::Csv => self.push_row(&mut text, &end_user),
                Form::Ndjson => {
                    text.push_str(&serde_json::to_string(&self.selection.item(&end_user)).unwrap_or_default());
                    text.push('\n');
                }
            }
        }
        (Bytes::from(text), page.next)
    }

    fn push_header(&self, csv: &mut String) {
        let twice = self.integration.as_ref().and_then(identifier_attribute);
        match &self.integration {
            Some(integration) => {
                self.push_text(csv, integration.user_identifier.as_str());
                let fields = integration.properties.iter().map(|property| property.field.as_str());
                for (_, field) in fields.enumerate().filter(|(place, _)| Some(*place) != twice) {
                    csv.push(',');
                    self.push_text(csv, field);
                }
            }
            None => {
                csv.push_str("id");
                for attribute in self.selection.attributes() {
                    csv.push(',');
                    csv.push_str(&attribute.to_string());
                }
            }
        }
        csv.push_str("\r\n");
    }

    fn push_row(&self, csv: &mut String, end_user: &EndUser<'_>) {
        let values: Vec<Option<Value>> = self.selection.values(end_user).collect();
        let twice = self.integration.as_ref().and_then(identifier_attribute);
        // As it was sent, where the identifier itself is kept in lower case.
        let as_sent = twice.and_then(|place| self.same_identifier(values.get(place)?.as_ref()?, end_user.id()));
        self.push_text(csv, as_sent.as_deref().unwrap_or(end_user.id()));
        for (_, value) in values.iter().enumerate().filter(|(place, _)| Some(*place) != twice) {
            csv.push(',');
            match value {
                Some(Value::String(text)) => self.push_text(csv, text),
                Some(Value::Number(number)) => csv.push_str(&number_text(*number)),
                Some(Value::Date(date)) => csv.push_str(&date.to_string()),
                None => {}
            }
        }
        csv.push_str("\r\n");
    }

    /// The text of a value, if it means this very identifier.
    fn same_identifier(&self, value: &Value, id: &str) -> Option<Arc<str>> {
        let Value::String(text) = value else { return None };
        let meant = EndUserId::in_case(text, self.reader.rules().settings.identifier_case).ok()?;
        (meant.as_str() == id).then(|| Arc::clone(text))
    }

    fn push_text(&self, csv: &mut String, text: &str) {
        if self.raw { push_cell(csv, text) } else { push_cell(csv, &guarded(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(value: &str) -> Result<Form, u16> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(value).unwrap())]);
        Form::accepted(&headers).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn the_form_is_what_accept_prefers() {
        assert_eq!(Form::accepted(&HeaderMap::new()).unwrap(), Form::Csv);
        for csv in ["text/csv", "*/*", "text/*", "Text/CSV;charset=utf-8", "application/x-ndjson;q=0.5, text/csv", ""] {
            assert_eq!(accepted(csv), Ok(Form::Csv), "{csv}");
        }
        for ndjson in
            ["application/x-ndjson", "application/jsonl", "text/csv;q=0.1,application/ndjson", "application/*"]
        {
            assert_eq!(accepted(ndjson), Ok(Form::Ndjson), "{ndjson}");
        }
        for neither in ["text/html", "application/json", "text/csv;q=0"] {
            assert_eq!(accepted(neither), Err(406), "{neither}");
        }
    }
}
