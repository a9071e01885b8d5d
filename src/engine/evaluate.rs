//! Which segments is this end user in.
//!
//! The answer comes from the segment rules, judged over the end user's attributes as they are read now: declared
//! attributes of enabled integrations only. Refuses to know how a rule runs.

use super::snapshot::{EndUser, SystemData};
use crate::model::{AttributeId, EndUserId, SegmentId, Timestamp, Value};
use crate::ruleset::RuleSet;
use crate::segments::Facts;

/// Which segments an end user is in.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Whether anything is stored of the end user.
    pub known: bool,
    /// The segments, in alphabetical order.
    pub segments: Vec<SegmentId>,
    /// Rules that failed for this end user, who is then not in the segment, and why.
    pub failures: Vec<(SegmentId, String)>,
}

struct Visible<'a> {
    end_user: Option<EndUser<'a>>,
    rules: &'a RuleSet,
}

impl Facts for Visible<'_> {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.end_user?.value(attribute, self.rules.attribute_type(attribute)?)
    }
}

/// Judges every segment of the system for one end user; an unknown one is judged as one with no attributes.
#[must_use]
pub fn segments_of(data: Option<&SystemData>, rules: &RuleSet, id: &EndUserId, now: Timestamp) -> Membership {
    let end_user = data.and_then(|data| data.find(id));
    let judged = rules.segments.judge(&Visible { end_user, rules }, rules.today(now));
    if !judged.failures.is_empty() {
        metrics::counter!("rollcall_rule_failures_total", "system" => rules.system.to_string())
            .increment(judged.failures.len() as u64);
    }
    Membership { known: end_user.is_some(), segments: judged.members, failures: judged.failures }
}
