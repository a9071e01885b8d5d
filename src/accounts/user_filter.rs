//! Which operators are asked for in a list.
//!
//! Owns what a filter means. Knows nothing of how it was sent. Invariant: an operator must pass every part that is there.

use super::access::systems_of;
use super::users::{EVERYTHING, UserRecord, UserStatus};
use crate::ruleset::LiveRules;

/// A filter; what is empty asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// One of these statuses.
    pub statuses: Vec<UserStatus>,
    /// One of these usernames.
    pub usernames: Vec<String>,
    /// A role that is held.
    pub role: String,
    /// A system, by id or name, in which there is anything to do.
    pub system: String,
    /// A part of the username, the name or the address, in any case.
    pub mentions: String,
}

impl UserFilter {
    /// Whether the operator passes.
    #[must_use]
    pub fn passes(&self, user: &UserRecord, live: &LiveRules) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&user.status))
            && (self.usernames.is_empty() || self.usernames.contains(&user.username))
            && (self.role.is_empty() || user.roles.contains(&self.role))
            && (self.system.is_empty() || acts_in(user, &self.system, live))
            && (self.mentions.is_empty() || self.is_mentioned(user))
    }

    fn is_mentioned(&self, user: &UserRecord) -> bool {
        let needle = self.mentions.to_lowercase();
        let name = format!("{} {}", user.first_name, user.last_name);
        [&user.username, &user.email, &name].iter().any(|text| text.to_lowercase().contains(&needle))
    }
}

/// Whether an operator has anything to do in a system, which is named by its id or name.
fn acts_in(user: &UserRecord, system: &str, live: &LiveRules) -> bool {
    let id = live.systems.values().find(|rules| rules.settings.name == system).map(|rules| rules.system.as_str());
    systems_of(user).iter().any(|one| one == EVERYTHING || one == system || Some(one.as_str()) == id)
}
