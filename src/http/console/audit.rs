//! `/console/audit`: who did what, when, from where.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::answer::Failure;
use super::frame::{Frame, Section};
use super::list::{Asked, PER_PAGE};
use super::visit::Visit;
use super::when::Moment;
use crate::accounts::{ActorKind, AuditEntry, AuditFilter};
use crate::http::auth::needs;
use crate::http::page::{bad_cursor, cursor};
use crate::http::turns::aside;
use crate::model::Timestamp;

/// An entry in the list.
struct Row {
    at: Moment,
    actor: String,
    kind: &'static str,
    address: String,
    action: String,
    object: String,
    before: Option<String>,
    after: Option<String>,
}

impl From<AuditEntry> for Row {
    fn from(entry: AuditEntry) -> Self {
        let text = |value: Option<serde_json::Value>| {
            value.map(|value| serde_json::to_string_pretty(&value).unwrap_or_default())
        };
        Self {
            at: Moment::of(entry.at),
            actor: entry.actor,
            kind: match entry.actor_kind {
                ActorKind::User => "user",
                ActorKind::Client => "client",
                ActorKind::Command => "command",
                ActorKind::Anonymous => "anonymous",
            },
            address: entry.address.unwrap_or_default(),
            action: entry.action,
            object: entry.object,
            before: text(entry.before),
            after: text(entry.after),
        }
    }
}

#[derive(Template)]
#[template(path = "http/console/audit.html")]
struct AuditPage {
    frame: Frame,
    rows: Vec<Row>,
    actor: String,
    action: String,
    object: String,
    from: String,
    to: String,
    wrong: Vec<String>,
    searched: bool,
    /// The query of the page behind.
    next: Option<String>,
    /// Whether it is not the first page.
    later: bool,
    first: String,
}

/// The page.
pub(super) async fn page(visit: Visit<needs::AuditRead>, asked: Asked) -> Result<Response, Failure> {
    let field = |name: &str| asked.field(name).to_owned();
    let (from, to) = (day(asked.field("from"), 0), day(asked.field("to"), 1));
    let mut wrong = Vec::new();
    if from.is_none() || to.is_none() {
        wrong.push("A day is written like 2026-05-01.".to_owned());
    }
    let filter = AuditFilter {
        actor: field("actor"),
        action: field("action"),
        object: field("object"),
        from: from.flatten(),
        to: to.flatten(),
    };
    let after = match asked.field("cursor") {
        "" => None,
        sent => Some(read_cursor(sent).ok_or_else(bad_cursor)?),
    };
    let later = after.is_some();
    let accounts = Arc::clone(&visit.state.accounts);
    let read = aside(move || Ok(accounts.audit_page(&filter, after.as_deref(), PER_PAGE)?)).await?;
    let found = read.ok_or_else(bad_cursor)?;
    let page = AuditPage {
        frame: visit.frame(Section::Audit),
        rows: found.entries.into_iter().map(|(_, entry)| Row::from(entry)).collect(),
        searched: ["actor", "action", "object", "from", "to"].iter().any(|name| !asked.field(name).is_empty()),
        next: found.next.map(|key| asked.with(&[("cursor", &cursor(&key))])),
        first: asked.with(&[("cursor", "")]),
        actor: field("actor"),
        action: field("action"),
        object: field("object"),
        from: field("from"),
        to: field("to"),
        later,
        wrong,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

fn read_cursor(sent: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(sent).ok()?).ok()
}

/// The beginning of a day in UTC, some days later; `Some(None)` where none is named, `None` for what is no day.
fn day(text: &str, later: i64) -> Option<Option<Timestamp>> {
    const DAY_MS: i64 = 24 * 3_600_000;
    if text.is_empty() {
        return Some(None);
    }
    let at: Timestamp = serde_json::from_value(serde_json::Value::String(format!("{text}T00:00:00Z"))).ok()?;
    Some(Some(Timestamp::from_millis(at.as_millis().saturating_add(later * DAY_MS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_beginning_and_the_last_one_is_whole() {
        let text = |day: Option<Option<Timestamp>>| day.unwrap().unwrap().to_string();
        assert_eq!(text(day("2026-05-01", 0)), "2026-05-01T00:00:00.000Z");
        assert_eq!(text(day("2026-05-01", 1)), "2026-05-02T00:00:00.000Z");
        assert_eq!((day("", 1), day("May", 0)), (Some(None), None));
    }
}
