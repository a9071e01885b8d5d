//! Finding an end user by identifier, or looking through them.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::answer::{Failure, go_to};
use super::super::figures::grouped;
use super::super::frame::{Frame, Section};
use super::super::visit::VisitAt;
use super::super::when::Moment;
use super::path_of;
use crate::http::api::asking::SCRIPT_TIME;
use crate::http::auth::needs;
use crate::http::page::{Page, cursor_after};
use crate::http::turns::aside;
use crate::model::EndUserId;
use crate::predicate::Condition;

/// End users on a page.
const SHOWN: usize = 50;

/// Who is sought.
#[derive(Default, Deserialize)]
pub(in crate::http::console) struct Search {
    #[serde(default)]
    q: String,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "http/console/end_users/list.html")]
struct ListPage {
    frame: Frame,
    base: String,
    query: String,
    /// Why what is sought is not found.
    missed: Option<String>,
    total: String,
    rows: Vec<Row>,
    paged: bool,
    next: Option<String>,
}

struct Row {
    id: String,
    path: String,
    updated_at: Moment,
}

/// The page; an identifier that is there leads to its own.
pub(in crate::http::console) async fn page(
    visit: VisitAt<needs::EndUsersRead>,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(search) = query.unwrap_or_default();
    let base = visit.path("end-users");
    let reader = visit.reader()?;
    let mut missed = None;
    if !search.q.is_empty() {
        let case = visit.rules.settings.identifier_case;
        let found = |text: &str| EndUserId::in_case(text, case).ok().filter(|id| reader.end_user(id).is_some());
        // Blanks around it are part of an identifier, but more often of what was copied.
        match found(&search.q).or_else(|| found(search.q.trim())) {
            Some(id) => return Ok(go_to(&path_of(&base, id.as_str()))),
            None => {
                missed =
                    Some(format!("No end user is called “{}”. Identifiers are compared as a whole.", search.q.trim()))
            }
        }
    }
    let part = Page::new(Some(SHOWN), search.cursor)?;
    let after = part.row(&visit.state.accounts, visit.system())?;
    let list = base.clone();
    let (total, rows, next) = aside(move || {
        let found = reader.find(&reader.question(&Condition::Constant(true)), SCRIPT_TIME)?;
        let page = found.page(after, part.limit);
        let row = |row: &u32| {
            let end_user = reader.at(*row);
            let id = end_user.id().to_owned();
            Row { path: path_of(&list, &id), id, updated_at: Moment::of(end_user.updated_at()) }
        };
        Ok((found.total(), page.rows.iter().map(row).collect(), page.next))
    })
    .await?;
    let page = ListPage {
        frame: visit.frame(Section::EndUsers),
        query: search.q,
        missed,
        total: grouped(total),
        rows,
        paged: after.is_some(),
        next: next
            .map(|row| cursor_after(row, &visit.state.accounts, visit.system()))
            .transpose()?
            .map(|cursor| format!("{base}?cursor={cursor}")),
        base,
    };
    Ok(visit.show(StatusCode::OK, &page))
}
