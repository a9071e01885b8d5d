//! In which order a list of operators stands: by one of its columns, up or down, as its address asks.
//!
//! Knows nothing of who is listed. Invariant: whoever is equal in that column stands in the order of usernames, so that no
//! page of the list repeats or leaves out anybody.

use std::cmp::Reverse;
use std::sync::Arc;

use super::super::list::Asked;
use super::super::people::name_of;
use crate::accounts::{UserRecord, UserStatus};

/// The heads of the list: name in the address (none: it can't be sorted by), words, and from which width on it is there.
const HEADS: [(Option<&str>, &str, &str); 7] = [
    (Some("name"), "Name", ""),
    (Some("email"), "E-mail", "from-m"),
    (Some("role"), "Role", "from-m"),
    (None, "Systems", "from-l"),
    (None, "Log-in method", "from-l"),
    (Some("login"), "Last log-in", "from-l"),
    (Some("status"), "Status", ""),
];

/// One head of the list.
pub(super) struct Head {
    pub(super) words: &'static str,
    pub(super) class: &'static str,
    /// How the list is sorted by it, as `aria-sort` says it.
    pub(super) sorted: Option<&'static str>,
    /// The query of the list sorted by it, or the other way round.
    pub(super) query: Option<String>,
}

/// How a list is sorted.
pub(super) struct Order {
    /// The name of the column; none: by username.
    pub(super) by: Option<&'static str>,
    /// Whether what would be last comes first.
    pub(super) down: bool,
}

impl Order {
    /// What the address asks for; what it does not know is passed over.
    pub(super) fn of(asked: &Asked) -> Self {
        let by = HEADS.iter().filter_map(|(name, ..)| *name).find(|name| *name == asked.field("sort"));
        Self { by, down: by.is_some() && asked.field("order") == "down" }
    }

    /// The heads of the list.
    pub(super) fn heads(&self, asked: &Asked) -> Vec<Head> {
        let head = |(name, words, class): &(Option<&'static str>, &'static str, &'static str)| {
            let is_sorted = name.is_some() && *name == self.by;
            let order = if is_sorted && !self.down { "down" } else { "" };
            let query = name.map(|name| asked.with(&[("sort", name), ("order", order), ("page", "")]));
            let way = if self.down { "descending" } else { "ascending" };
            Head { words, class, sorted: is_sorted.then_some(way), query }
        };
        HEADS.iter().map(head).collect()
    }

    /// Puts users, who stand by their usernames, into this order.
    pub(super) fn sort(&self, users: &mut [Arc<UserRecord>]) {
        let Some(by) = self.by else { return };
        let key = |user: &UserRecord| match by {
            "name" => (name_of(user).to_lowercase(), 0),
            "email" => (user.email.to_lowercase(), 0),
            "role" => (user.roles.iter().collect::<Vec<_>>().join(", ").to_lowercase(), 0),
            // Who never did comes first.
            "login" => (String::new(), user.last_login.map_or(i64::MIN, |at| at.as_millis())),
            _ => (String::new(), standing(user.status)),
        };
        if self.down {
            users.sort_by_cached_key(|user| Reverse(key(user)));
        } else {
            users.sort_by_cached_key(|user| key(user));
        }
    }
}

/// Whoever can work comes first.
fn standing(status: UserStatus) -> i64 {
    match status {
        UserStatus::Active => 0,
        UserStatus::Provisioned => 1,
        UserStatus::Inactive => 2,
    }
}
