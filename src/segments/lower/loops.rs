//! Loops over what is known beforehand: their body, once for each.
//!
//! `break` and `continue` set a variable of ours, of a name that no rule can have; what comes after them, and the rounds
//! that follow, are then for those alone for whom it is not set.

use rhai::{FlowControl, Ident, Position};

use super::reach::breaks_within;
use super::statements::{End, Flow, no_value};
use super::symbol::{Symbol, Value};
use super::tree::Tree;
use super::{Lowered, Lowering, Variable};

/// Most times that the body of a loop is followed.
const ROUNDS: usize = 100;
/// Whether the innermost loop is left, and whether its current round is.
const LOOP_LEFT: &str = "#loop";
const ROUND_LEFT: &str = "#round";

/// A `for`: the variable, the counter, and the rest.
type For = (Ident, Option<Ident>, FlowControl);

impl<'a> Lowering<'a> {
    /// What a loop goes over, if that is known and the loop can be followed.
    pub(super) fn items(&mut self, parts: &'a For) -> Lowered<Option<Vec<Symbol>>> {
        let items: Option<Vec<Symbol>> = match self.value(&parts.2.expr)? {
            Tree::Leaf(Symbol::List(items)) => Some(items),
            Tree::Leaf(Symbol::Range { from, to, inclusive }) => {
                let to = if inclusive { to.saturating_add(1) } else { to };
                (to.saturating_sub(from) <= ROUNDS as i64).then(|| (from..to).map(Symbol::Integer).collect())
            }
            _ => None,
        };
        Ok(items.filter(|items| items.len() <= ROUNDS && !parts.2.body.iter().any(breaks_within)))
    }

    /// The loop.
    pub(super) fn rounds(&mut self, parts: &'a For, items: &[Symbol], at: Position) -> Lowered<Flow> {
        let outer = self.variables.len();
        self.bind(LOOP_LEFT, Symbol::constant(false));
        let flow = self.round(parts, items, 0, at);
        self.variables.truncate(outer);
        self.then(flow?, no_value(), at)
    }

    /// The rounds from one on.
    fn round(&mut self, parts: &'a For, items: &[Symbol], from: usize, at: Position) -> Lowered<Flow> {
        let (item, counter, flow) = parts;
        let mut all = no_value();
        for (number, symbol) in items.iter().enumerate().skip(from) {
            let left = self.flag(LOOP_LEFT);
            if left != Symbol::constant(false).into() {
                let rest = self.branch(
                    &left,
                    at,
                    |_| Ok(no_value()),
                    |lowering| {
                        // The rounds that are left, as if they were all.
                        lowering.set_flag(LOOP_LEFT, false);
                        lowering.deeper(at, End::Returns, |lowering| lowering.round(parts, items, number, at))
                    },
                )?;
                return self.then(all, rest, at);
            }
            let outer = self.variables.len();
            self.bind(ROUND_LEFT, Symbol::constant(false));
            self.bind(item.as_str(), symbol.clone());
            if let Some(counter) = counter {
                self.bind(counter.as_str(), Symbol::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
            }
            let round = self.block(flow.body.statements())?;
            self.variables.truncate(outer);
            all = self.then(all, round, at)?;
            if all.count(&End::goes_on) == 0 {
                break;
            }
        }
        Ok(all)
    }

    /// A `break` or a `continue`.
    pub(super) fn leave_round(&mut self, whole: bool) -> Flow {
        self.set_flag(ROUND_LEFT, true);
        if whole {
            self.set_flag(LOOP_LEFT, true);
        }
        no_value()
    }

    /// Whether the current round is left, within a loop and where it may be.
    pub(super) fn is_round_left(&self) -> Option<Value> {
        let left = self.flag(ROUND_LEFT);
        (left != Symbol::constant(false).into()).then_some(left)
    }

    fn bind(&mut self, name: &str, symbol: Symbol) {
        self.variables.push(Variable { name: name.to_owned(), value: symbol.into(), constant: false });
    }

    fn flag(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|variable| variable.name == name);
        found.map_or_else(|| Symbol::constant(false).into(), |variable| variable.value.clone())
    }

    fn set_flag(&mut self, name: &str, flag: bool) {
        if let Some(variable) = self.variables.iter_mut().rev().find(|variable| variable.name == name) {
            variable.value = Symbol::constant(flag).into();
        }
    }
}
