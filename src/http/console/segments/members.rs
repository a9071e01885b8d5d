//! Who is in a segment.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::Failure;
use super::super::end_users::path_of;
use super::super::figures::grouped;
use super::super::frame::{Frame, Section};
use super::super::visit::VisitAt;
use crate::http::auth::needs;
use crate::http::page::{Page, cursor_after};
use crate::http::problem::Problem;
use crate::http::turns::aside;

#[derive(Template)]
#[template(path = "http/console/segments/members.html")]
struct MembersPage {
    frame: Frame,
    path: String,
    name: String,
    count: String,
    /// Identifier and where its page is.
    members: Vec<(String, String)>,
    paged: bool,
    next: Option<String>,
}

/// The page.
pub(in crate::http::console) async fn page(
    visit: VisitAt<needs::EndUsersAndSegmentsRead>,
    page: Result<Page, Problem>,
) -> Result<Response, Failure> {
    let page = page?;
    let after = page.row(&visit.state.accounts, visit.system())?;
    let segment = visit.segment()?;
    let (id, name) = (segment.id.clone(), segment.name.clone());
    let path = visit.path(&format!("segments/{id}"));
    let reader = visit.reader()?;
    let base = visit.path("end-users");
    let (count, members, next) = aside(move || {
        let found = reader.members(&id, after, page.limit);
        let member = |row: &u32| {
            let id = reader.at(*row).id().to_owned();
            let path = path_of(&base, &id);
            (id, path)
        };
        Ok((reader.segment_count(&id), found.rows.iter().map(member).collect(), found.next))
    })
    .await?;
    let page = MembersPage {
        frame: visit.frame(Section::Segments),
        name,
        count: grouped(count),
        members,
        paged: after.is_some(),
        next: next
            .map(|row| cursor_after(row, &visit.state.accounts, visit.system()))
            .transpose()?
            .map(|cursor| format!("{path}/members?cursor={cursor}")),
        path,
    };
    Ok(visit.show(StatusCode::OK, &page))
}
