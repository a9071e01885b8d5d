//! A yes or no that is followed exactly, or only bounded.
//!
//! Knows no Rhai. Invariant of a bounded one: where it is `certain`, the script (if it does not fail) says yes; where
//! the script says yes, it is `possible`.

use super::joined::{all, any, not, size};
use crate::predicate::Condition;

/// What is known of a yes or no.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Truth {
    Exact(Condition),
    Between { possible: Condition, certain: Condition },
}

impl Truth {
    pub(super) fn constant(flag: bool) -> Self {
        Self::Exact(Condition::Constant(flag))
    }

    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self::at_most(Condition::Constant(true))
    }

    /// Nothing is known but that it is a no without this.
    pub(super) fn at_most(possible: Condition) -> Self {
        Self::Between { possible, certain: Condition::Constant(false) }
    }

    pub(super) fn possible(&self) -> &Condition {
        match self {
            Self::Exact(condition) | Self::Between { possible: condition, .. } => condition,
        }
    }

    pub(super) fn certain(&self) -> &Condition {
        match self {
            Self::Exact(condition) | Self::Between { certain: condition, .. } => condition,
        }
    }

    /// The truth that is a function of others, growing with each.
    fn of(parts: &[&Self], join: impl Fn(Vec<Condition>) -> Condition) -> Self {
        let each = |bound: fn(&Self) -> &Condition| join(parts.iter().map(|part| bound(part).clone()).collect());
        if parts.iter().all(|part| matches!(part, Self::Exact(_))) {
            return Self::Exact(each(Self::possible));
        }
        Self::Between { possible: each(Self::possible), certain: each(Self::certain) }
    }

    pub(super) fn not(&self) -> Self {
        match self {
            Self::Exact(condition) => Self::Exact(not(condition.clone())),
            Self::Between { possible, certain } => {
                Self::Between { possible: not(certain.clone()), certain: not(possible.clone()) }
            }
        }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self::of(&[self, other], all)
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        Self::of(&[self, other], any)
    }

    /// `yes` where `self`, else `no`.
    pub(super) fn choose(&self, yes: &Self, no: &Self) -> Self {
        let is = |truth: &Self, flag: bool| *truth == Self::constant(flag);
        if yes == no && matches!(self, Self::Exact(_)) {
            yes.clone()
        } else if is(yes, true) {
            self.or(no)
        } else if is(yes, false) {
            self.not().and(no)
        } else if is(no, true) {
            self.not().or(yes)
        } else if is(no, false) {
            self.and(yes)
        } else {
            self.and(yes).or(&self.not().and(no))
        }
    }

    /// How many nodes its conditions have.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Exact(condition) => size(condition),
            Self::Between { possible, certain } => size(possible) + size(certain),
        }
    }
}
