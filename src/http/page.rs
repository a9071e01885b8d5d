//! Lists: `limit` and an opaque `cursor` in, `{"items", "next_cursor"}` out.

use std::ops::Bound;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Gate;
use super::problem::{Kind, Problem};
use crate::accounts::Accounts;
use crate::model::SystemId;

/// Items of a list when the caller does not say.
const DEFAULT_LIMIT: usize = 50;
/// Most items of a list.
const MAX_LIMIT: usize = 1000;

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items at most, 1 to 1000; 50 if left out.
    #[param(minimum = 1, maximum = 1000, required = false)]
    pub(crate) limit: Option<usize>,
    /// The `next_cursor` of the answer before; left out: from the start.
    pub(crate) cursor: Option<String>,
}

/// [`PageQuery`], checked.
#[derive(Debug)]
pub(crate) struct Page {
    /// How many items at most.
    pub(crate) limit: usize,
    /// What the last answer's last item was.
    after: Option<String>,
}

impl FromRequestParts<Gate> for Page {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &Gate) -> Result<Self, Problem> {
        let Query(query) = Query::<PageQuery>::try_from_uri(&parts.uri)?;
        Self::new(query.limit, query.cursor)
    }
}

impl Page {
    /// From a limit and a cursor as they were sent; 400 for what is none.
    pub(crate) fn new(limit: Option<usize>, cursor: Option<String>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::new(Kind::Malformed, format!("`limit` must be 1 to {MAX_LIMIT}")));
        }
        let after = cursor.filter(|cursor| !cursor.is_empty()).map(|cursor| read_cursor(&cursor)).transpose()?;
        Ok(Self { limit, after })
    }

    /// The page of items that are sorted by unique keys.
    pub(crate) fn of<T>(&self, items: impl Iterator<Item = (String, T)>) -> ListPage<T> {
        let from = self.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = items.filter(|(key, _)| match from {
            Bound::Excluded(after) => key.as_str() > after,
            _ => true,
        });
        let mut items = Vec::new();
        let mut last = None;
        while items.len() < self.limit
            && let Some((key, item)) = rest.next()
        {
            items.push(item);
            last = Some(key);
        }
        let next_cursor = last.filter(|_| rest.next().is_some()).map(|key| cursor(&key));
        ListPage { items, next_cursor }
    }

    /// The cursor as the row to go on after; 400 when it is none of [`cursor_after`] in that system.
    pub(crate) fn row(&self, accounts: &Accounts, system: &SystemId) -> Result<Option<u32>, Problem> {
        let row = |text| u32::try_from(accounts.bookmarked(text, &rows_of(system))?).ok();
        self.after().map(|text| row(text).ok_or_else(bad_cursor)).transpose()
    }

    /// What the last answer's last item was.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The cursor as a number; 400 when it is none.
    pub(crate) fn number(&self) -> Result<Option<u64>, Problem> {
        self.after.as_deref().map(|text| text.parse().map_err(|_| bad_cursor())).transpose()
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListPage<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next page; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// A cursor to go on after a row of a system. It is sealed: rows would tell whoever sees some end users how many others
/// stand between them.
pub(crate) fn cursor_after(row: u32, accounts: &Accounts, system: &SystemId) -> Result<String, Problem> {
    Ok(cursor(&accounts.bookmark(row.into(), &rows_of(system))?))
}

fn rows_of(system: &SystemId) -> String {
    format!("rows of {system}")
}

/// What is behind a cursor is nobody's business but ours.
pub(crate) fn cursor(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn read_cursor(cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    String::from_utf8(bytes).map_err(|_| bad_cursor())
}

/// 400 for what no list gave.
pub(crate) fn bad_cursor() -> Problem {
    Problem::new(Kind::Malformed, "`cursor` is not one that a list gave: send a `next_cursor`, or leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<usize>, cursor: Option<String>) -> Page {
        Page::new(limit, cursor).unwrap()
    }

    #[test]
    fn following_the_cursor_gives_every_item_once() {
        let items = || ["a", "b", "c", "d", "e"].into_iter().map(|id| (id.to_owned(), id));
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let part = page(Some(2), cursor).of(items());
            assert!(part.items.len() <= 2);
            seen.extend(part.items);
            cursor = part.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "b", "c", "d", "e"]);
        assert_eq!(page(Some(5), None).of(items()).next_cursor, None, "no empty page at the end");
        assert_eq!(page(None, None).of(std::iter::empty::<(String, ())>()).items.len(), 0);
    }

    #[test]
    fn bad_limits_and_cursors_are_refused() {
        let refused = |limit, cursor: Option<&str>| {
            Page::new(limit, cursor.map(str::to_owned)).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(refused(Some(0), None).unwrap_err(), 400);
        assert_eq!(refused(Some(1001), None).unwrap_err(), 400);
        assert_eq!(refused(None, Some("!")).unwrap_err(), 400);
        assert_eq!(refused(None, Some(&cursor("x"))).unwrap().number().unwrap_err().status(), 400);
        assert_eq!(refused(None, Some(&cursor("17"))).unwrap().number().unwrap(), Some(17));
    }
}
