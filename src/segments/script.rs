//! A rule as a script: the compiled syntax tree, and running it for one end user.
//!
//! Owns how values become Rhai's. Invariant: what a script sees of an end user is one constant map an integration,
//! with the attributes that the rules read and nothing for those that are missing; no script can change it, so all
//! rules of a set run over the same.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rhai::{AST, Dynamic, EvalAltResult, Identifier, ImmutableString, Map, Position, Scope};

use super::Facts;
use super::evaluation::Session;
use super::language::language;
use super::messages::{self, Failure, FailureKind};
use super::missing::type_name;
use crate::model::{AttributeId, IntegrationId, Value};

/// A compiled rule that runs as a script.
#[derive(Clone)]
pub(super) struct Script {
    ast: AST,
    /// Where its value is made, for the error when that is no boolean.
    result_at: Position,
}

impl Script {
    pub(super) fn new(ast: AST, result_at: Position) -> Self {
        Self { ast, result_at }
    }

    /// Runs the rule once. The scope is left as it was.
    pub(super) fn run(&self, scope: &mut Scope<'static>, session: &Session, time: Duration) -> Result<bool, Failure> {
        let size = scope.len();
        session.start(time);
        // A panic in Rhai must not take the thread with it: it may be the one that follows the rules folder.
        let evaluation = AssertUnwindSafe(|| language().engine.eval_ast_with_scope::<Dynamic>(scope, &self.ast));
        let result = catch_unwind(evaluation)
            .unwrap_or_else(|_| Err(Box::new(EvalAltResult::ErrorSystem(messages::PANICKED.to_owned(), "".into()))));
        scope.rewind(size);
        if let Some(limit) = session.hit() {
            let at = result.err().map_or(Position::NONE, |error| error.position()).or_else(self.result_at);
            return Err(messages::limit(limit, at));
        }
        let value = result.map_err(|error| {
            let failure = messages::failure(&error);
            Failure { at: failure.at.or_else(self.result_at), ..failure }
        })?;
        value.as_bool().map_err(|_| Failure {
            at: self.result_at,
            message: format!("the rule must give a boolean (true or false), but it gives {}", type_name(&value)),
            kind: FailureKind::Mistake,
        })
    }
}

/// The attributes that scripts are given, by integration.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs(Vec<(Identifier, Vec<(Identifier, AttributeId)>)>);

impl Inputs {
    /// All those attributes; integrations without any are there too, as empty maps.
    pub(super) fn new(integrations: &BTreeSet<IntegrationId>, reads: &BTreeSet<AttributeId>) -> Self {
        let mut inputs: BTreeMap<&IntegrationId, Vec<(Identifier, AttributeId)>> =
            integrations.iter().map(|id| (id, Vec::new())).collect();
        for id in reads {
            inputs.entry(&id.integration).or_default().push((id.name.as_str().into(), id.clone()));
        }
        Self(inputs.into_iter().map(|(id, attributes)| (id.as_str().into(), attributes)).collect())
    }

    /// The scope for one end user.
    pub(super) fn scope(&self, facts: &dyn Facts) -> Scope<'static> {
        let mut scope = Scope::new();
        for (integration, attributes) in &self.0 {
            let mut map = Map::new();
            for (name, id) in attributes {
                if let Some(value) = facts.value(id) {
                    map.insert(name.clone(), dynamic(value));
                }
            }
            scope.push_constant_dynamic(integration.clone(), Dynamic::from_map(map));
        }
        scope
    }
}

fn dynamic(value: Value) -> Dynamic {
    match value {
        Value::String(text) => Dynamic::from(ImmutableString::from(text.as_ref())),
        Value::Number(number) => Dynamic::from_float(number),
        Value::Date(date) => Dynamic::from(date),
    }
}
