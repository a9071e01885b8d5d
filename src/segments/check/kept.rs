//! The check for functions that hold others, or themselves.
//!
//! A closure shares the variables that it captures. Stored in one of them it would hold itself, and no evaluation
//! would ever give that memory back; stored in a variable that the next closure captures, and so on, it would make a
//! chain so long that to drop it overflows the stack. Rhai limits neither. Owns refusing both: a closure is only called,
//! or given to a function that only calls it; one that is kept or passed on may capture nothing that can hold a function.
//! Part of the walk in `check`, which knows what the captured variables are.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};

use rhai::{AST, ASTNode, Expr, FnPtr, Position, Stmt};

use super::survey::root_name;
use crate::segments::language::language;
use crate::segments::typing::{Kinds, Known, Wrong};

/// By the place of a closure: the variables that it captures, and whether each is known to hold no function.
pub(super) type Captures = HashMap<Position, Vec<bool>>;

/// Whether a captured value can't hold a function.
pub(super) fn is_plain(known: &Known) -> bool {
    let plain = Kinds::BOOL.or(Kinds::NUMBER).or(Kinds::TEXT).or(Kinds::DATE).or(Kinds::UNIT).or(Kinds::RANGE);
    known.integration.is_some() || known.kinds.within(plain)
}

/// A closure of the rule.
struct Closure {
    at: Position,
    captures: Vec<String>,
    /// The variable that it is bound to.
    holder: Option<String>,
    /// Whether it stands where it may be kept.
    kept: bool,
}

#[derive(Default)]
struct Seen {
    closures: Vec<Closure>,
    /// The variables whose value goes where it may be kept.
    passed_on: HashSet<String>,
    /// The variables that `x.call(…)` may change, as functions can change their `this`.
    called: HashSet<String>,
}

/// Finds the closures that might come to hold themselves or make a chain.
pub(super) fn check(ast: &AST, captures: &Captures) -> Vec<Wrong> {
    let mut seen = Seen::default();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let [before @ .., node] = path {
            seen.note(node, before.last());
        }
        true
    });
    let Seen { closures, passed_on, called } = seen;
    let is_kept =
        |closure: &&Closure| closure.kept || closure.holder.as_ref().is_some_and(|holder| passed_on.contains(holder));
    let wrong = |closure: &Closure| {
        let plain = captures.get(&closure.at);
        let name = closure.captures.iter().enumerate().find(|(place, name)| {
            called.contains(*name) || !plain.and_then(|plain| plain.get(*place)).copied().unwrap_or(false)
        });
        name.map(|(_, name)| {
            let message = format!("a function that is kept or passed on can't use `{name}`, which may hold functions");
            Wrong::new(closure.at, message).hint(format!("give `{name}` to the function as an argument"))
        })
    };
    closures.iter().filter(is_kept).filter_map(wrong).collect()
}

impl Seen {
    fn note(&mut self, node: &ASTNode<'_>, parent: Option<&ASTNode<'_>>) {
        let ASTNode::Expr(expression) = node else { return };
        match expression {
            // So Rhai writes a closure that captures: the variables made shared, then given to the function.
            Expr::Stmt(block) => {
                if let [Stmt::Share(variables), Stmt::Expr(made)] = block.statements() {
                    let holder = match parent {
                        Some(ASTNode::Stmt(Stmt::Var(parts, ..))) => Some(parts.0.name.to_string()),
                        _ => None,
                    };
                    self.closures.push(Closure {
                        at: made.position(),
                        captures: variables.iter().map(|(variable, _)| variable.name.to_string()).collect(),
                        kept: holder.is_none() && !parent.is_some_and(only_calls),
                        holder,
                    });
                }
            }
            Expr::Variable(variable, ..) => {
                let harmless = parent.is_some_and(|parent| only_calls(parent) || is_receiver(parent, expression));
                if !harmless {
                    self.passed_on.insert(variable.1.to_string());
                }
            }
            Expr::Dot(pair, ..) if calls(&pair.rhs) => self.called.extend(root_name(&pair.lhs)),
            _ => (),
        }
    }
}

/// Whether that is a call of a function that takes functions in order to call them, or Rhai's own making of a closure.
fn only_calls(parent: &ASTNode<'_>) -> bool {
    let (ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) =
        parent
    else {
        return false;
    };
    let takes_functions = |types: &Vec<TypeId>| types.contains(&TypeId::of::<FnPtr>());
    call.name == "curry" || language().overloads(&call.name).iter().any(takes_functions)
}

fn calls(method: &Expr) -> bool {
    matches!(method, Expr::MethodCall(call, _) if call.name == "call")
}

/// Whether the expression is the `f` of `f.call(…)`.
fn is_receiver(parent: &ASTNode<'_>, expression: &Expr) -> bool {
    matches!(parent, ASTNode::Expr(Expr::Dot(pair, ..)) if std::ptr::eq(&raw const pair.lhs, expression) && calls(&pair.rhs))
}
