//! Values that depend: one, or one of two by a yes or no, and so on.
//!
//! Knows neither Rhai nor what the values are. Invariant: no [`Tree::Fork`] is there that asks a constant, whose two
//! sides are the same, or whose two sides can be one value; and none whose one side is a side of the other.

use super::joined::{contradict, implies, not};
use super::truth::Truth;
use crate::predicate::Condition;

/// What can stand at the end of a [`Tree`].
pub(super) trait Leaf: Clone + PartialEq {
    /// The one value that is `yes` where `asked`, else `no`, if there is such a value.
    fn chosen(asked: &Truth, yes: &Self, no: &Self) -> Option<Self>;

    /// How large it is, in nodes.
    fn size(&self) -> usize;
}

/// A value, or one of several by yes and no.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree<L> {
    Leaf(L),
    Fork(Truth, Box<(Tree<L>, Tree<L>)>),
}

impl<L: Leaf> Tree<L> {
    pub(super) fn fork(asked: &Truth, yes: Self, no: Self) -> Self {
        if *asked == Truth::constant(true) {
            return yes;
        }
        if *asked == Truth::constant(false) {
            return no;
        }
        let (yes, no) = match asked {
            Truth::Exact(condition) => (yes.given(condition), no.given(&not(condition.clone()))),
            Truth::Between { .. } => (yes, no),
        };
        if yes == no {
            return yes;
        }
        if let (Self::Leaf(yes), Self::Leaf(no)) = (&yes, &no)
            && let Some(one) = L::chosen(asked, yes, no)
        {
            return Self::Leaf(one);
        }
        // One after the other with the same end is both at once.
        match (yes, no) {
            (yes, Self::Fork(then, sides)) if sides.0 == yes => Self::fork(&asked.or(&then), yes, sides.1),
            (Self::Fork(then, sides), no) if sides.1 == no => Self::fork(&asked.and(&then), sides.0, no),
            (yes, no) => Self::Fork(asked.clone(), Box::new((yes, no))),
        }
    }

    /// The same tree where that is known to hold.
    pub(super) fn given(self, known: &Condition) -> Self {
        match self {
            Self::Fork(Truth::Exact(asked), sides) => {
                let (yes, no) = *sides;
                if implies(known, &asked) {
                    yes.given(known)
                } else if contradict(known, &asked) {
                    no.given(known)
                } else {
                    Self::Fork(Truth::Exact(asked), Box::new((yes.given(known), no.given(known))))
                }
            }
            other => other,
        }
    }

    /// The same tree with something else for each leaf.
    pub(super) fn replaced<M: Leaf, E>(self, with: &mut impl FnMut(L) -> Result<Tree<M>, E>) -> Result<Tree<M>, E> {
        match self {
            Self::Leaf(leaf) => with(leaf),
            Self::Fork(asked, sides) => {
                let (yes, no) = *sides;
                Ok(Tree::fork(&asked, yes.replaced(with)?, no.replaced(with)?))
            }
        }
    }

    /// The same tree with another leaf for each.
    pub(super) fn mapped<M: Leaf>(self, with: impl Fn(L) -> M) -> Tree<M> {
        let replaced = self.replaced(&mut |leaf| Ok::<_, std::convert::Infallible>(Tree::Leaf(with(leaf))));
        match replaced {
            Ok(tree) => tree,
            Err(never) => match never {},
        }
    }

    /// How many leaves there are for which that is so.
    pub(super) fn count(&self, of: &impl Fn(&L) -> bool) -> usize {
        match self {
            Self::Leaf(leaf) => usize::from(of(leaf)),
            Self::Fork(_, sides) => sides.0.count(of) + sides.1.count(of),
        }
    }

    /// How large it is, in nodes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.size(),
            Self::Fork(asked, sides) => asked.size() + sides.0.size() + sides.1.size(),
        }
    }
}
