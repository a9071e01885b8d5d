//! Which users are asked for: the filters of the list and of the export.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::super::auth::Gate;
use super::super::super::page::Page;
use super::super::super::problem::{Kind, Problem};
use crate::accounts::{UserFilter, UserRecord, UserStatus};
use crate::ruleset::LiveRules;

/// Filters; a user must pass all that are sent.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsersQuery {
    /// `active`, `inactive` or `provisioned`
    #[param(required = false)]
    status: Option<String>,
    /// Usernames, with commas between them
    #[param(required = false)]
    username: Option<String>,
    /// A role that the user holds
    #[param(required = false)]
    role: Option<String>,
    /// A system, by id or name, in which the user has anything to do
    #[param(required = false)]
    system: Option<String>,
    /// A part of the username, the name or the address
    #[param(required = false)]
    q: Option<String>,
    /// How many users at most, 1 to 1000; 50 if left out
    #[param(minimum = 1, maximum = 1000, required = false)]
    limit: Option<usize>,
    /// Where to go on, as `_next` has it
    #[param(required = false)]
    cursor: Option<String>,
}

/// [`UsersQuery`], checked.
pub(crate) struct UsersFilter {
    query: UsersQuery,
    filter: UserFilter,
    /// The part of the list that is wanted.
    pub(crate) page: Page,
}

impl FromRequestParts<Gate> for UsersFilter {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Gate) -> Result<Self, Problem> {
        let query: Result<Query<UsersQuery>, QueryRejection> = Query::try_from_uri(&parts.uri);
        Self::new(query?.0)
    }
}

impl UsersFilter {
    fn new(query: UsersQuery) -> Result<Self, Problem> {
        let status = match query.status.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("") => None,
            Some("active") => Some(UserStatus::Active),
            Some("inactive") => Some(UserStatus::Inactive),
            Some("provisioned") => Some(UserStatus::Provisioned),
            Some(_) => {
                let detail = "`status` must be `active`, `inactive` or `provisioned`";
                return Err(Problem::new(Kind::Malformed, detail));
            }
        };
        let page = Page::new(query.limit, query.cursor.clone())?;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let usernames = query.username.as_deref().unwrap_or_default().split(',').map(str::trim);
        let filter = UserFilter {
            statuses: status.into_iter().collect(),
            usernames: usernames.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            role: text(&query.role),
            system: text(&query.system),
            mentions: text(&query.q).trim().to_owned(),
        };
        Ok(Self { query, filter, page })
    }

    /// Whether the user passes every filter.
    pub(crate) fn passes(&self, user: &UserRecord, live: &LiveRules) -> bool {
        self.filter.passes(user, live)
    }

    /// The query of the page behind this one.
    pub(crate) fn next(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let texts = [
            ("status", &self.query.status),
            ("username", &self.query.username),
            ("role", &self.query.role),
            ("system", &self.query.system),
            ("q", &self.query.q),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                query.append_pair(name, text);
            }
        }
        query.append_pair("limit", &self.page.limit.to_string()).append_pair("cursor", cursor).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_asked_for_with_the_same_filters() {
        let query =
            UsersQuery { q: Some("a&b".to_owned()), status: Some("active".to_owned()), ..UsersQuery::default() };
        let filter = UsersFilter::new(query).unwrap();
        assert_eq!(filter.next("abc"), "status=active&q=a%26b&limit=50&cursor=abc");
        let bad = UsersQuery { status: Some("gone".to_owned()), ..UsersQuery::default() };
        assert_eq!(UsersFilter::new(bad).err().unwrap().status(), 400);
    }
}
