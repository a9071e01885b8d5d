//! How far a rule can be followed at all, before it is followed.
//!
//! The walk goes through a rule in one pass and follows variables where statements bind and assign them. What may
//! change or leave the rule from elsewhere is found here first: by name, over all scopes, as to follow less is
//! harmless. Invariant: a variable that is not `meddled` with changes by statements alone that the walk comes by.

use std::collections::HashSet;

use rhai::{AST, ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::Reason;
use crate::segments::check::{Function, changed_in_place, root_name};

/// What the walk must know beforehand.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Variables that change where the walk does not see it.
    pub(super) meddled: HashSet<String>,
    /// What lets a rule end from anywhere, or change what it is called on: nothing is followed then.
    pub(super) obstacle: Option<Reason>,
}

impl Reach {
    pub(super) fn of(ast: &AST, functions: &[Function]) -> Self {
        let mut reach = Self::default();
        // A closure shares what it captures: it sees what is assigned later, and may itself assign whenever it is called.
        let (mut captured, mut anywhere) = (HashSet::new(), HashSet::new());
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            reach.note(path, functions);
            match path.last() {
                Some(ASTNode::Stmt(Stmt::Share(variables))) => {
                    captured.extend(variables.iter().map(|(variable, _)| variable.name.to_string()));
                }
                Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => anywhere.extend(root_name(&assignment.1.lhs)),
                _ => (),
            }
            true
        });
        reach.meddled.extend(captured.intersection(&anywhere).cloned());
        reach
    }

    fn note(&mut self, path: &[ASTNode<'_>], functions: &[Function]) {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Return(_, flags, at))) if !flags.contains(ASTFlags::BREAK) && is_within(path) => {
                self.stop(*at, "a `return` within an expression");
            }
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => {
                let target = &assignment.1.lhs;
                if is_within(path) || !matches!(target, Expr::Variable(..)) {
                    self.meddled.extend(root_name(target));
                }
            }
            Some(ASTNode::Expr(Expr::ThisPtr(at))) => self.stop(*at, "`this`"),
            Some(
                ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))
                | ASTNode::Stmt(Stmt::FnCall(call, at)),
            ) if ends_all(call) => self.stop(*at, "`exit`"),
            // `f.call(x)` changes nothing without `this`.
            Some(ASTNode::Expr(Expr::Dot(pair, ..))) if is_call(&pair.rhs) => (),
            Some(node) => self.meddled.extend(changed_in_place(node, functions)),
            None => (),
        }
    }

    fn stop(&mut self, at: Position, why: &str) {
        self.obstacle.get_or_insert_with(|| Reason { at, why: why.to_owned() });
    }
}

/// Whether a call ends the rule, or makes a function that does.
fn ends_all(call: &FnCallExpr) -> bool {
    let named = |argument: Option<&Expr>| matches!(argument, Some(Expr::StringConstant(name, _)) if name == "exit");
    call.name == "exit" || (call.name == "Fn" && named(call.args.first()))
}

fn is_call(method: &Expr) -> bool {
    matches!(method, Expr::MethodCall(call, _) if call.name == "call")
}

/// Whether the last node is within an expression, where statements are not followed one after the other. An arm of a
/// `switch` is none that matters.
fn is_within(path: &[ASTNode<'_>]) -> bool {
    let mut before: Option<&ASTNode<'_>> = None;
    for node in path {
        if let ASTNode::Expr(expression) = node
            && !before.is_some_and(|before| is_arm(before, expression))
        {
            return true;
        }
        before = Some(node);
    }
    false
}

fn is_arm(parent: &ASTNode<'_>, expression: &Expr) -> bool {
    let ASTNode::Stmt(Stmt::Switch(switch, _)) = parent else { return false };
    matches!(expression, Expr::Stmt(_))
        && switch.1.expressions.iter().any(|arm| std::ptr::eq(&raw const arm.rhs, expression))
}

/// The variables that a statement, or one within it, assigns to.
pub(super) fn assigned(statement: &Stmt) -> HashSet<String> {
    let mut names = HashSet::new();
    statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Stmt(Stmt::Assignment(assignment))) = path.last() {
            names.extend(root_name(&assignment.1.lhs));
        }
        true
    });
    names
}

/// Whether a statement, or one within it, may leave the function by `return`.
pub(super) fn returns(statement: &Stmt) -> bool {
    holds(statement, |node| matches!(node, Stmt::Return(_, flags, _) if !flags.contains(ASTFlags::BREAK)))
}

/// Whether there is a `break` or a `continue` in a statement that can't be followed: within an expression.
pub(super) fn breaks_within(statement: &Stmt) -> bool {
    let mut found = false;
    statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
        found |= matches!(path.last(), Some(ASTNode::Stmt(Stmt::BreakLoop(..)))) && is_within(path);
        true
    });
    found
}

fn holds(statement: &Stmt, is: impl Fn(&Stmt) -> bool) -> bool {
    let mut found = false;
    statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
        found |= matches!(path.last(), Some(ASTNode::Stmt(node)) if is(node));
        true
    });
    found
}
