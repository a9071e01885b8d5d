//! Data access: from what was sent to entries, and from entries to what they grant and show.
//!
//! Owns how an entry finds its system (by id, else by name; kept by id, so that renaming a system moves nobody's access)
//! and its unit group. Knows nothing of who may grant it. Invariant: an entry whose role, system or unit group there is
//! not any more grants nothing; it grants again when that comes back.

use std::collections::BTreeSet;

use super::fault::Fault;
use super::grants::{Grant, Over, Place, Powers};
use super::roles::{PermissionSet, Roles};
use super::users::{DataAccess, EVERYTHING, UserRecord, UserRoles};
use crate::model::{BuiltInRole, SystemId};
use crate::ruleset::{LiveRules, RuleSet, UnitGroup};

/// One entry of data access, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataAccessDraft {
    /// One of the operator's roles.
    pub role: String,
    /// A system's id or name; `*`: every system.
    pub data_view: String,
    /// A unit group's id; `*` or the system's id: every end user.
    pub unit_group: String,
}

/// One entry of data access, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataAccessView<'a> {
    /// One of the operator's roles.
    pub role: &'a str,
    /// The system's id or name (whichever was sent), or `*`.
    pub data_view: &'a str,
    /// The unit group's id, as sent.
    pub unit_group: &'a str,
    /// The unit group's name, or the system's where it stands for every end user; `None`: there is no such group now.
    pub unit_group_display_name: Option<&'a str>,
}

/// What a name for every end user of every system is shown as.
const ALL_END_USERS: &str = "All end users";

/// The entries that were sent, each with its system; `pointer` is where they stand in the body.
pub(super) fn resolve(
    sent: &[DataAccessDraft],
    roles: &UserRoles,
    live: &LiveRules,
    pointer: &str,
    faults: &mut Vec<Fault>,
) -> Vec<DataAccess> {
    let mut entries = Vec::with_capacity(sent.len());
    for (number, draft) in sent.iter().enumerate() {
        match resolve_one(draft, roles, live) {
            Ok(entry) => entries.push(entry),
            Err((field, code, detail)) => {
                faults.push(Fault::new(format!("{pointer}/{number}/{field}"), code, detail));
            }
        }
    }
    entries
}

type Refusal = (&'static str, &'static str, String);

fn resolve_one(draft: &DataAccessDraft, roles: &UserRoles, live: &LiveRules) -> Result<DataAccess, Refusal> {
    let DataAccessDraft { role, data_view, unit_group } = draft.clone();
    if !roles.contains(&role) {
        let detail = format!("the user does not hold the role `{role}`: add it to `roles`, or leave the entry out");
        return Err(("role", "role_not_held", detail));
    }
    let place = find_place(&data_view, live).map_err(|(code, detail)| ("data_view", code, detail))?;
    if !is_known(&unit_group, &place, live) {
        let detail = format!("there is no unit group `{unit_group}` in `{data_view}`; `*` stands for every end user");
        return Err(("unit_group", "unknown_unit_group", detail));
    }
    let system = match place {
        Place::Everywhere => None,
        Place::System(system) => Some(system),
    };
    Ok(DataAccess { role, data_view, system, unit_group })
}

/// The systems that a data view means: by id, else by name, which must be one system's alone.
pub(super) fn find_place(data_view: &str, live: &LiveRules) -> Result<Place, (&'static str, String)> {
    if data_view == EVERYTHING {
        return Ok(Place::Everywhere);
    }
    if let Some((system, _)) = live.systems.get_key_value(data_view) {
        return Ok(Place::System(system.clone()));
    }
    let mut named = live.systems.values().filter(|rules| rules.settings.name == data_view);
    match (named.next(), named.next()) {
        (Some(rules), None) => Ok(Place::System(rules.system.clone())),
        (Some(one), Some(other)) => {
            let detail =
                format!("`{data_view}` is the name of `{}` and of `{}`: send the id", one.system, other.system);
            Err(("ambiguous_data_view", detail))
        }
        (None, _) => {
            let detail = format!("there is no system `{data_view}`; send a system's name or id, or `*` for every one");
            Err(("unknown_data_view", detail))
        }
    }
}

fn is_known(unit_group: &str, place: &Place, live: &LiveRules) -> bool {
    unit_group == EVERYTHING
        || match place {
            Place::Everywhere => live.systems.values().any(|rules| has_group(rules, unit_group)),
            Place::System(system) => {
                system.as_str() == unit_group
                    || live.systems.get(system).is_some_and(|rules| has_group(rules, unit_group))
            }
        }
}

fn has_group(rules: &RuleSet, unit_group: &str) -> bool {
    rules.settings.unit_groups.iter().any(|group| group.id.as_str() == unit_group)
}

/// The one entry for each system that a role gets where only systems are chosen: every end user there.
pub(super) fn whole_systems(role: &str, systems: &[String]) -> Vec<DataAccessDraft> {
    let entry = |system: &String| DataAccessDraft {
        role: role.to_owned(),
        data_view: system.clone(),
        unit_group: EVERYTHING.to_owned(),
    };
    systems.iter().map(entry).collect()
}

/// All that an operator may do, under the rules that are live.
pub(super) fn powers_of(user: &UserRecord, roles: &Roles, live: &LiveRules) -> Powers {
    gained(None, user, roles, live)
}

/// What an operator may do as `new` beyond what was there as `old`.
pub(super) fn gained(old: Option<&UserRecord>, new: &UserRecord, roles: &Roles, live: &LiveRules) -> Powers {
    let mut powers = Powers::default();
    for role in new.roles.iter().filter(|role| !old.is_some_and(|old| old.roles.contains(role))) {
        let permissions = roles.permissions(role).unwrap_or(PermissionSet::NONE);
        powers.account = powers.account.union(permissions);
        if role == BuiltInRole::Admin.name() {
            powers.grants.push(Grant { permissions, place: Place::Everywhere, over: Over::All });
        }
    }
    let had = |entry: &DataAccess| old.is_some_and(|old| old.data_access.iter().any(|kept| is_same(kept, entry)));
    for entry in new.data_access.iter().filter(|entry| new.roles.contains(&entry.role) && !had(entry)) {
        let permissions = roles.permissions(&entry.role).unwrap_or(PermissionSet::NONE);
        powers.grants.extend(reach(entry, live).map(|(place, over)| Grant { permissions, place, over }));
    }
    powers
}

/// Whether two entries are for the same, in whatever words they were sent.
fn is_same(one: &DataAccess, other: &DataAccess) -> bool {
    one.role == other.role && one.unit_group == other.unit_group && system_of(one) == system_of(other)
}

/// Where an entry counts and over whom; a unit group in every system counts in each that has it.
fn reach<'a>(entry: &'a DataAccess, live: &'a LiveRules) -> Box<dyn Iterator<Item = (Place, Over)> + 'a> {
    let over = |rules: &RuleSet| {
        let group = rules.settings.unit_groups.iter().find(|group| group.id.as_str() == entry.unit_group);
        group.map(|group| (Place::System(rules.system.clone()), Over::UnitGroup(group.id.clone())))
    };
    match system_of(entry) {
        None if entry.data_view != EVERYTHING => Box::new(std::iter::empty()),
        None if entry.unit_group == EVERYTHING => Box::new(std::iter::once((Place::Everywhere, Over::All))),
        None => Box::new(live.systems.values().filter_map(move |rules| over(rules))),
        // Whoever has all of a system has it also while it is broken and not served.
        Some(system) if covers_all(entry, &system) => Box::new(std::iter::once((Place::System(system), Over::All))),
        Some(system) => Box::new(live.systems.get(&system).and_then(|rules| over(rules)).into_iter()),
    }
}

fn covers_all(entry: &DataAccess, system: &SystemId) -> bool {
    entry.unit_group == EVERYTHING || entry.unit_group == system.as_str()
}

/// The one system that an entry is for.
fn system_of(entry: &DataAccess) -> Option<SystemId> {
    entry.system.clone().or_else(|| SystemId::new(&entry.data_view).ok())
}

/// An entry as it is shown.
#[must_use]
pub fn view<'a>(entry: &'a DataAccess, live: &'a LiveRules) -> DataAccessView<'a> {
    let mut data_view = entry.data_view.as_str();
    let display = match system_of(entry) {
        Some(system) => {
            let settings = live.systems.get(&system).map(|rules| &rules.settings);
            // Sent as a name, the system is shown by the name that it has now.
            if let Some(settings) = settings.filter(|_| data_view != system.as_str()) {
                data_view = &settings.name;
            }
            settings.and_then(|settings| match covers_all(entry, &system) {
                true => Some(settings.name.as_str()),
                false => group_name(&settings.unit_groups, entry),
            })
        }
        None if entry.unit_group == EVERYTHING => Some(ALL_END_USERS),
        None => live.systems.values().find_map(|rules| group_name(&rules.settings.unit_groups, entry)),
    };
    DataAccessView { role: &entry.role, data_view, unit_group: &entry.unit_group, unit_group_display_name: display }
}

fn group_name<'a>(groups: &'a [UnitGroup], entry: &DataAccess) -> Option<&'a str> {
    groups.iter().find(|group| group.id.as_str() == entry.unit_group).map(|group| group.name.as_str())
}

/// The systems in which an operator has anything to do, by id; `*` alone: every one.
#[must_use]
pub fn systems_of(user: &UserRecord) -> Vec<String> {
    let everywhere = user.roles.contains(BuiltInRole::Admin.name())
        || user.data_access.iter().any(|entry| entry.data_view == EVERYTHING);
    if everywhere {
        return vec![EVERYTHING.to_owned()];
    }
    let systems: BTreeSet<SystemId> = user.data_access.iter().filter_map(system_of).collect();
    systems.into_iter().map(String::from).collect()
}
