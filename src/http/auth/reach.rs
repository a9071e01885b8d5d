//! How far a caller may go: into which systems, and over which of their end users.
//!
//! Knows of no request. Invariant: a system that there is not and one that the caller may not know of look the same.

use std::sync::Arc;

use super::super::problem::{Kind, Problem};
use super::super::state::AppState;
use crate::accounts::{Principal, Sight as Granted};
use crate::engine::{Reader, Sight};
use crate::model::{Permission, SystemId};
use crate::predicate::Condition;
use crate::ruleset::{LiveRules, RuleSet, Stage};

/// What writing the rules of a system of that stage needs.
pub(crate) fn publish(stage: Stage) -> Permission {
    match stage {
        Stage::Production => Permission::PublishProduction,
        Stage::Test => Permission::PublishTest,
    }
}

/// The end users of a system over whom somebody has all these permissions, whichever entries of data access they come
/// from. A unit group that is gone from the rules grants nothing.
pub(crate) fn sight(principal: &Principal, rules: &RuleSet, permissions: &[Permission]) -> Sight {
    let granted = permissions.iter().map(|permission| principal.sight(&rules.system, *permission));
    let mut bounds: Vec<Granted> = granted.filter(|granted| *granted != Granted::All).collect();
    // Mostly one entry gives them all.
    bounds.dedup();
    if bounds.is_empty() {
        return Sight::All;
    }
    let conditions = bounds.into_iter().map(|granted| match granted {
        Granted::All => Condition::Constant(true),
        Granted::None => Condition::Constant(false),
        Granted::UnitGroups(ids) => {
            let groups = rules.settings.unit_groups.iter().filter(|group| ids.contains(&group.id));
            Condition::Any(groups.map(|group| group.condition.clone()).collect())
        }
    });
    Sight::Within(Condition::All(conditions.collect()).simplified())
}

/// Refuses who has the permission over some of a system's end users only; `why` says what takes all of them.
pub(super) fn demand_over_all(
    principal: &Principal,
    permission: Permission,
    system: &SystemId,
    why: &str,
) -> Result<(), Problem> {
    match principal.sight(system, permission) {
        Granted::All => Ok(()),
        Granted::None => Err(Problem::lacking(permission)),
        Granted::UnitGroups(_) => Err(Problem::new(
            Kind::Forbidden,
            format!("{why}: this takes `{permission}` over every end user of the system, and yours is over some"),
        )),
    }
}

/// A view of those end users of a system over whom somebody has all these permissions.
pub(crate) fn reader_for(
    state: &AppState,
    principal: &Principal,
    rules: &RuleSet,
    permissions: &[Permission],
) -> Result<Reader, Problem> {
    view(state, &rules.system, &sight(principal, rules, permissions))
}

/// A view of a system whose rules were just found.
pub(crate) fn view(state: &AppState, system: &SystemId, sight: &Sight) -> Result<Reader, Problem> {
    let gone = || Problem::new(Kind::Unavailable, "the system's rules have just gone: try again");
    state.engine.reader(system, sight).ok_or_else(gone)
}

pub(super) fn demand(principal: &Principal, permission: Permission, system: Option<&SystemId>) -> Result<(), Problem> {
    if principal.may(permission, system) { Ok(()) } else { Err(Problem::lacking(permission)) }
}

/// 404 for a system that there is not, or that is to seem so.
pub(in crate::http) fn unknown_system(id: &str) -> Problem {
    Problem::not_found(format!("there is no system `{id}`, or none of its rules could be loaded yet"))
}

/// The live system of that id, for a caller with all those permissions in it: 403 comes before 404, so that nobody
/// learns which systems there are.
pub(super) fn system_for(
    principal: &Principal,
    id: &str,
    permissions: &[Permission],
    live: &LiveRules,
) -> Result<Arc<RuleSet>, Problem> {
    let unknown = || unknown_system(id);
    let known = live.systems.get_key_value(id);
    let system = match known {
        Some((system, _)) => system.clone(),
        None => SystemId::new(id).map_err(|_| unknown())?,
    };
    for permission in permissions {
        demand(principal, *permission, Some(&system))?;
    }
    known.map(|(_, rules)| Arc::clone(rules)).ok_or_else(unknown)
}
