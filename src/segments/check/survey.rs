//! What the check must know of the whole rule before it goes through it: its functions, and the variables that change.
//!
//! Part of the walk in `check`.

use std::collections::HashSet;

use rhai::{AST, ASTNode, Expr, ScriptFuncDef, Stmt};

use crate::segments::language::language;
use crate::segments::signatures::{changes_in_place, own};

/// A function or closure of the rule.
pub(in crate::segments) struct Function {
    pub(in crate::segments) name: String,
    pub(in crate::segments) parameters: Vec<String>,
    pub(in crate::segments) body: Vec<Stmt>,
}

impl Function {
    /// Whether it has no name of its own.
    pub(in crate::segments) fn is_closure(&self) -> bool {
        self.name.starts_with("anon$")
    }
}

/// Rhai shows the bodies of functions to a walk only, hence the tree with but one function in it, and the copy.
pub(in crate::segments) fn functions_of(ast: &AST) -> Vec<Function> {
    let one = |definition: &ScriptFuncDef| {
        let mut body = Vec::new();
        let mut alone = ast.clone_functions_only();
        alone.retain_functions(|_, _, name, parameters| {
            name == definition.name.as_str() && parameters == definition.params.len()
        });
        alone.walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(statement)] = path {
                body.push((*statement).clone());
            }
            true
        });
        let parameters = definition.params.iter().map(ToString::to_string).collect();
        Function { name: definition.name.to_string(), parameters, body }
    };
    ast.iter_fn_def().map(|definition| one(definition)).collect()
}

/// The variables that are assigned to, or changed by a method, anywhere: what is known of them where they are bound
/// need not hold later. By name, over all scopes: to know less is harmless.
pub(super) fn changed_names(ast: &AST, functions: &[Function]) -> HashSet<String> {
    let mut names = HashSet::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => names.extend(root_name(&assignment.1.lhs)),
            Some(node) => names.extend(changed_in_place(node, functions)),
            None => (),
        }
        true
    });
    names
}

/// The variable that a call may change in place.
pub(in crate::segments) fn changed_in_place(node: &ASTNode<'_>, functions: &[Function]) -> Option<String> {
    match node {
        ASTNode::Expr(chain @ (Expr::Dot(pair, ..) | Expr::Index(pair, ..))) if changes(&pair.rhs, functions) => {
            root_name(chain)
        }
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) if changes_in_place(&call.name) => {
            call.args.first().and_then(root_name)
        }
        _ => None,
    }
}

pub(in crate::segments) fn root_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root_name(&pair.lhs),
        _ => None,
    }
}

/// Whether the rest of a chain has a method that may change its object: one of Rhai's, or any of the rule's own.
fn changes(rest: &Expr, functions: &[Function]) -> bool {
    match rest {
        Expr::MethodCall(call, _) => {
            changes_in_place(&call.name)
                || functions.iter().any(|function| function.name == call.name.as_str())
                || (own(&call.name).is_none() && language().overloads(&call.name).is_empty())
        }
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => changes(&pair.lhs, functions) || changes(&pair.rhs, functions),
        _ => false,
    }
}
