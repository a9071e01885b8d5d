//! What the rule files of every kind have in common over HTTP: text and `ETag` out; checked, atomic writes in.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{At, Demand};
use super::super::problem::{Kind, Problem, quoted_etag};
use crate::accounts::Act;
use crate::model::SystemId;
use crate::ruleset::{RulePath, RuleSet, RuleWriteError, Written, etag};

/// Longest text that the audit keeps whole, in bytes.
const MAX_AUDITED: usize = 16 << 10;

/// What a write sends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRequest {
    /// The whole file.
    pub(crate) text: String,
}

/// A rule file.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileResponse {
    /// The id: of the system, integration or segment.
    id: String,
    /// The whole file, comments and all; null where there is none.
    text: Option<String>,
    /// What the text is known by (also in the header `ETag`), for `If-Match`.
    etag: Option<String>,
    /// The revision of the system's files that this is part of.
    revision: String,
}

impl FileResponse {
    fn into_answer(self, status: StatusCode) -> Response {
        let etag = self.etag.as_deref().and_then(quoted_etag);
        let mut response = (status, Json(self)).into_response();
        if let Some(etag) = etag {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

/// The id of what the file declares.
fn id_of(rules: &RuleSet, path: &RulePath) -> String {
    match path {
        RulePath::System => rules.system.to_string(),
        RulePath::Integration(id) => id.to_string(),
        RulePath::Segment(id) => id.to_string(),
    }
}

/// The file's place within the system's folder.
fn file_name(path: &RulePath) -> String {
    match path {
        RulePath::System => "system.toml".to_owned(),
        RulePath::Integration(id) => format!("integrations/{id}.toml"),
        RulePath::Segment(id) => format!("segments/{id}.rhai"),
    }
}

/// The live text of a file, if there is one.
pub(crate) fn text_of<'a>(rules: &'a RuleSet, path: &RulePath) -> Option<&'a Arc<str>> {
    rules.files.get(&file_name(path))
}

/// The `ETag` of a file that is live.
pub(crate) fn etag_of(rules: &RuleSet, path: &RulePath) -> Option<String> {
    text_of(rules, path).map(|text| etag(text))
}

/// Answers with a file that is live.
pub(crate) fn show(rules: &RuleSet, path: &RulePath) -> Response {
    let text = text_of(rules, path);
    FileResponse {
        id: id_of(rules, path),
        text: text.map(|text| text.as_ref().to_owned()),
        etag: text.map(|text| etag(text)),
        revision: rules.revision.clone(),
    }
    .into_answer(StatusCode::OK)
}

/// Writes a file: 201 when it is new, else 200. Demands `publish:<stage>`.
pub(crate) async fn put<P: Demand>(
    at: &At<P>,
    path: RulePath,
    text: String,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let id = id_of(&at.rules, &path);
    let (written, text) = write(at, path, Some(text), headers).await?;
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(FileResponse { id, text, etag: written.etag, revision: written.revision }.into_answer(status))
}

/// Deletes a file. Demands `publish:<stage>`.
pub(crate) async fn delete<P: Demand>(at: &At<P>, path: RulePath, headers: &HeaderMap) -> Result<(), Problem> {
    write(at, path, None, headers).await.map(|_| ())
}

async fn write<P: Demand>(
    at: &At<P>,
    path: RulePath,
    text: Option<String>,
    headers: &HeaderMap,
) -> Result<(Written, Option<String>), Problem> {
    at.demand_publish(at.rules.settings.stage)?;
    let expected = IfMatch::read(headers)?.against(etag_of(&at.rules, &path))?;
    let written = write_expecting(at, path, text.clone(), expected).await?;
    Ok((written?, text))
}

/// Writes a file, or deletes it where there is no text, if it still has the tag that is expected. Demands
/// `publish:<stage>`; what keeps the rules from being written is told as it is.
pub(crate) async fn write_expecting<P: Demand>(
    at: &At<P>,
    path: RulePath,
    text: Option<String>,
    expected: Option<String>,
) -> Result<Result<Written, RuleWriteError>, Problem> {
    at.demand_publish(at.rules.settings.stage)?;
    let before = text_of(&at.rules, &path).map(AsRef::as_ref);
    // The same text again changes nothing.
    let act = (before != text.as_deref()).then(|| audited(at.system(), &path, before, text.as_deref()));
    let (rules, system) = (Arc::clone(&at.state.rules), at.system().clone());
    let write = move || rules.write(&system, &path, text.as_deref(), expected.as_deref());
    let written = tokio::task::spawn_blocking(write).await.map_err(|error| Problem::internal(&error.to_string()))?;
    if written.is_ok()
        && let Some(act) = act
    {
        at.state.accounts.note(&at.actor, act).await;
    }
    Ok(written)
}

/// What the audit says of a file that is written, or (with no text after) deleted.
pub(crate) fn audited(system: &SystemId, path: &RulePath, before: Option<&str>, after: Option<&str>) -> Act {
    let place = match path {
        RulePath::System => String::new(),
        RulePath::Integration(id) => format!("/integrations/{id}"),
        RulePath::Segment(id) => format!("/segments/{id}"),
    };
    let action = match (before, after) {
        (_, None) => "rule.delete",
        (None, Some(_)) => "rule.create",
        (Some(_), Some(_)) => "rule.update",
    };
    let mut act = Act::new(action, format!("systems/{system}{place}"));
    if let Some(before) = before {
        act = act.before(kept(before));
    }
    match after {
        Some(after) => act.after(kept(after)),
        None => act,
    }
}

/// A file as the audit keeps it; of a long one, by what it can be known again.
fn kept(text: &str) -> serde_json::Value {
    let text_kept = (text.len() <= MAX_AUDITED).then_some(text);
    serde_json::json!({ "etag": etag(text), "bytes": text.len(), "text": text_kept })
}

/// The header `If-Match`.
#[derive(Debug, PartialEq, Eq)]
enum IfMatch {
    /// Not sent: the write is done whatever is there.
    Absent,
    /// `*`: something must be there.
    Any,
    /// One of these must be there.
    OneOf(Vec<String>),
}

impl IfMatch {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in headers.get_all(header::IF_MATCH) {
            let tag = |text: &str| match text.trim() {
                "*" => Some("*".to_owned()),
                // A weak tag never matches strongly (RFC 9110, 8.8.3.2), and we give none.
                text => text.strip_prefix('"')?.strip_suffix('"').map(str::to_owned),
            };
            let text = HeaderValue::to_str(value).unwrap_or_default();
            tags.extend(text.split(',').map(|part| tag(part).ok_or(part)).collect::<Result<Vec<_>, _>>().map_err(
                |part| {
                    Problem::new(
                        Kind::Malformed,
                        format!("`If-Match: {part}` is no entity tag: send the `ETag` with its quotes"),
                    )
                },
            )?);
        }
        Ok(match tags.as_slice() {
            [] => Self::Absent,
            [any] if any == "*" => Self::Any,
            _ => Self::OneOf(tags),
        })
    }

    /// The tag that the writer must find, `current` being the one that is live; it alone compares and swaps.
    fn against(self, current: Option<String>) -> Result<Option<String>, Problem> {
        match self {
            Self::Absent => Ok(None),
            Self::Any if current.is_none() => Err(RuleWriteError::Conflict { current: None }.into()),
            Self::Any => Ok(None),
            Self::OneOf(tags) => match current.filter(|current| tags.contains(current)) {
                Some(current) => Ok(Some(current)),
                None => Ok(tags.into_iter().next()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(value: &str) -> IfMatch {
        let value = HeaderValue::from_str(value).unwrap();
        IfMatch::read(&HeaderMap::from_iter([(header::IF_MATCH, value)])).unwrap()
    }

    #[test]
    fn if_match_is_read_as_rfc_9110_has_it() {
        assert_eq!(IfMatch::read(&HeaderMap::new()).unwrap(), IfMatch::Absent);
        assert_eq!(if_match("*"), IfMatch::Any);
        assert_eq!(if_match("\"abc\""), IfMatch::OneOf(vec!["abc".to_owned()]));
        assert_eq!(if_match("\"a\", \"b\""), IfMatch::OneOf(vec!["a".to_owned(), "b".to_owned()]));
        for bad in ["abc", "W/\"abc\"", "\"a\", b"] {
            let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_str(bad).unwrap())]);
            assert_eq!(IfMatch::read(&headers).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn the_writer_is_told_what_it_must_find() {
        let current = || Some("b".to_owned());
        assert_eq!(if_match("\"a\", \"b\"").against(current()).unwrap(), current());
        assert_eq!(if_match("\"a\"").against(current()).unwrap(), Some("a".to_owned()));
        assert_eq!(if_match("*").against(current()).unwrap(), None);
        assert_eq!(if_match("*").against(None).unwrap_err().status(), 412);
        assert_eq!(IfMatch::Absent.against(None).unwrap(), None);
    }
}
