//! Lowering: a rule whose value is one boolean expression over attributes and constants becomes a [`Condition`].
//!
//! Follows Rhai's syntax tree symbolically: a variable stands for what it was bound to, a helper function for its
//! body, and after an `if` for one value or another (`tree`). What can't be followed is unknown: the rule then runs as
//! a script, with the place and the reason of the first such thing, which is never an error; and what is known all the
//! same is its *guard*, a condition that holds wherever the script gives true. Called only for rules that passed the
//! check.
//!
//! Invariants: the condition holds for an end user exactly when the script gives true (where it fails, it does not);
//! the guard holds at least then. Missing values are as everywhere: tests are false, and negations of tests true.

mod arithmetic;
mod calls;
mod comparison;
mod expressions;
mod joined;
mod loops;
mod number;
mod reach;
mod statements;
mod switch;
mod symbol;
mod tree;
mod truth;

use std::collections::HashMap;

use rhai::{AST, Position};

use super::Schema;
use super::check::{Function, functions_of};
use crate::predicate::Condition;
use comparison::Compared;
use reach::Reach;
use switch::Case;
use symbol::{Symbol, Value};
use tree::{Leaf, Tree};
use truth::Truth;

/// Deepest that functions, blocks and expressions are followed within each other.
const MAX_DEPTH: usize = 64;
/// Most work that is put into following a rule, in nodes: what depends on several things multiplies.
const MAX_WORK: usize = 50_000;
/// Largest condition, in nodes, and its depth. Beyond, a script is quicker.
const MAX_NODES: usize = 1_000;
const MAX_NESTING: usize = 100;

/// Why a rule runs as a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) at: Position,
    pub(super) why: String,
}

/// An error ends the following of the whole rule.
type Lowered<T> = Result<T, Reason>;

/// What became of a rule.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The condition that it is, or why it is none.
    pub(super) condition: Result<Condition, Reason>,
    /// A condition that holds wherever the rule does, when it is none itself.
    pub(super) guard: Option<Condition>,
}

/// Follows a rule, given with its text.
pub(super) fn lower(ast: &AST, text: &str, schema: &Schema) -> Outcome {
    let functions = functions_of(ast);
    let reach = Reach::of(ast, &functions);
    let mut lowering = Lowering {
        schema,
        functions: &functions,
        text,
        reach: &reach,
        variables: Vec::new(),
        inside: 0,
        depth: 0,
        work: 0,
        literals: None,
        why: None,
    };
    let truth = match &reach.obstacle {
        Some(reason) => Err(reason.clone()),
        None => lowering.rule(ast.statements()),
    };
    let found = truth.map(|truth| (truth.possible().clone().simplified(), lowering.why));
    let too_large =
        |condition: &Condition| joined::size(condition) > MAX_NODES || joined::depth(condition) > MAX_NESTING;
    match found {
        Err(reason) => Outcome { condition: Err(reason), guard: None },
        Ok((condition, _)) if too_large(&condition) => {
            Outcome { condition: Err(too_much(Position::NONE)), guard: None }
        }
        Ok((condition, None)) => Outcome { condition: Ok(condition), guard: None },
        Ok((possible, Some(reason))) => {
            let guard = (possible != Condition::Constant(true)).then_some(possible);
            Outcome { condition: Err(reason), guard }
        }
    }
}

fn too_much(at: Position) -> Reason {
    Reason { at, why: "the rule is too large to be one condition".to_owned() }
}

/// A variable in scope.
#[derive(Debug, Clone)]
struct Variable {
    name: String,
    value: Value,
    constant: bool,
}

struct Lowering<'a> {
    schema: &'a Schema,
    functions: &'a [Function],
    text: &'a str,
    reach: &'a Reach,
    /// Variables in scope, the innermost last.
    variables: Vec<Variable>,
    /// How many functions we are within: integrations are seen only outside of all.
    inside: usize,
    depth: usize,
    work: usize,
    /// The values that stand in the rule, by the hash of a `switch`; found when the first one comes.
    literals: Option<HashMap<u64, Case>>,
    /// The first thing that could not be followed.
    why: Option<Reason>,
}

impl Lowering<'_> {
    /// Counts work done on a value or a flow.
    fn spend<L: Leaf>(&mut self, tree: &Tree<L>, at: Position) -> Lowered<()> {
        self.work += tree.size();
        if self.work > MAX_WORK { Err(too_much(at)) } else { Ok(()) }
    }

    /// Notes that something can't be followed.
    fn unknown(&mut self, at: Position, why: impl Into<String>) -> Symbol {
        self.why.get_or_insert_with(|| Reason { at, why: why.into() });
        Symbol::unknown()
    }

    /// Work on what is further within.
    fn deeper<L: Leaf>(
        &mut self,
        at: Position,
        otherwise: impl FnOnce(Symbol) -> L,
        work: impl FnOnce(&mut Self) -> Lowered<Tree<L>>,
    ) -> Lowered<Tree<L>> {
        if self.depth >= MAX_DEPTH {
            return Ok(Tree::Leaf(otherwise(self.unknown(at, "a rule nested so deeply"))));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        if let Ok(tree) = &result {
            self.spend(tree, at)?;
        }
        result
    }

    /// A comparison, or what is known of it.
    fn answered(&mut self, compared: Compared, at: Position) -> Symbol {
        Symbol::Truth(compared.unwrap_or_else(|open| {
            if !open.why.is_empty() {
                self.unknown(at, open.why);
            }
            Truth::at_most(open.possible)
        }))
    }

    /// What is done with each combination of what some values can be. Where one of them fails, so does the whole.
    fn each(
        &mut self,
        values: &[Value],
        at: Position,
        with: &mut dyn FnMut(&mut Self, &[Symbol]) -> Lowered<Value>,
    ) -> Lowered<Value> {
        self.combine(&mut Vec::with_capacity(values.len()), values, at, with)
    }

    fn combine(
        &mut self,
        chosen: &mut Vec<Symbol>,
        values: &[Value],
        at: Position,
        with: &mut dyn FnMut(&mut Self, &[Symbol]) -> Lowered<Value>,
    ) -> Lowered<Value> {
        let Some((first, rest)) = values.split_first() else {
            let value = with(self, chosen)?;
            self.spend(&value, at)?;
            return Ok(value);
        };
        match first {
            Tree::Leaf(Symbol::Fails) => Ok(Symbol::Fails.into()),
            Tree::Leaf(symbol) => {
                chosen.push(symbol.clone());
                let value = self.combine(chosen, rest, at, with);
                chosen.pop();
                value
            }
            Tree::Fork(asked, sides) => {
                let mut side = |lowering: &mut Self, side: &Value| {
                    let values: Vec<Value> = std::iter::once(side.clone()).chain(rest.iter().cloned()).collect();
                    lowering.combine(chosen, &values, at, with)
                };
                let yes = side(self, &sides.0)?;
                let no = side(self, &sides.1)?;
                Ok(Tree::fork(asked, yes, no))
            }
        }
    }
}
