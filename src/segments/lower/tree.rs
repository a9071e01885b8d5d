//! Values that depend: one, or one of two by a yes or no, and so on.
//!
//! Knows neither Rhai nor what the values are. Invariant: no [`Tree::Fork`] is there that asks a constant, whose two
//! sides are the same, or whose two sides can be one value.

use super::truth::Truth;

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
        if *asked == Truth::constant(true) || yes == no {
            return yes;
        }
        if *asked == Truth::constant(false) {
            return no;
        }
        if let (Self::Leaf(yes), Self::Leaf(no)) = (&yes, &no)
            && let Some(one) = L::chosen(asked, yes, no)
        {
            return Self::Leaf(one);
        }
        Self::Fork(asked.clone(), Box::new((yes, no)))
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
