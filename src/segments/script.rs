//! A rule as a script: the compiled syntax tree, and running it for one end user.
//!
//! Owns how values become Rhai's. Invariant: what a script sees of an end user is one constant map an integration,
//! with the attributes that the rules read and nothing for those that are missing; no script can change it, so all
//! rules of a set run over the same.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rhai::{AST, Dynamic, EvalAltResult, Identifier, ImmutableString, Map, Position, Scope};

use super::Facts;
use super::evaluation::{Limit, Membership, Session};
use super::language::language;
use super::limits::RUN_TIME;
use super::messages::{self, Failure, FailureKind};
use super::missing::type_name;
use crate::model::{AttributeId, Date, IntegrationId, SegmentId, Value};

/// How often a rule is run that gets no processor in its time.
const ATTEMPTS: usize = 3;

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

    /// Runs the rule. The scope is left as it was.
    pub(super) fn run(&self, scope: &mut Scope<'static>, session: &Session, time: Duration) -> Result<bool, Failure> {
        let mut result = self.once(scope, session, time);
        // Nobody may be kept out of a segment because the machine was busy.
        for _ in 1..ATTEMPTS {
            if session.hit() != Some(Limit::Waiting) {
                break;
            }
            result = self.once(scope, session, time);
        }
        result
    }

    fn once(&self, scope: &mut Scope<'static>, session: &Session, time: Duration) -> Result<bool, Failure> {
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
        self.fill(&mut scope, facts);
        scope
    }

    /// Puts one end user's values into a scope, in the place of those of another one if there are any.
    fn fill(&self, scope: &mut Scope<'static>, facts: &dyn Facts) {
        for (integration, attributes) in &self.0 {
            let mut map = scope.remove::<Map>(integration).unwrap_or_default();
            for (name, id) in attributes {
                match (facts.value(id), map.get_mut(name)) {
                    (Some(value), Some(known)) => *known = dynamic(value),
                    (Some(value), None) => drop(map.insert(name.clone(), dynamic(value))),
                    (None, Some(_)) => drop(map.remove(name)),
                    (None, None) => (),
                }
            }
            scope.push_constant_dynamic(integration.clone(), Dynamic::from_map(map));
        }
    }
}

/// One segment's rule as a script, for end user after end user: what can be kept from one to the next is kept.
/// Make one for each thread.
pub struct ScriptRun<'a> {
    script: &'a Script,
    inputs: &'a Inputs,
    /// The segments that `in_segment` may ask for, if the rule asks for any.
    places: Option<&'a Arc<BTreeMap<SegmentId, usize>>>,
    scope: Scope<'static>,
    members: Vec<bool>,
    today: Date,
}

impl<'a> ScriptRun<'a> {
    pub(super) fn new(
        script: &'a Script,
        inputs: &'a Inputs,
        places: Option<&'a Arc<BTreeMap<SegmentId, usize>>>,
        today: Date,
    ) -> Self {
        Self { script, inputs, places, scope: Scope::new(), members: Vec::new(), today }
    }

    /// Whether the end user is in the segment. `members` says, by place, in which segments that come before it the
    /// end user is. Takes about a microsecond for an ordinary rule, and some 40 ms at most.
    ///
    /// # Errors
    /// Why the rule failed, with its place; the end user is not in the segment then.
    pub fn judge(&mut self, facts: &dyn Facts, members: &[bool]) -> Result<bool, String> {
        self.inputs.fill(&mut self.scope, facts);
        let membership = self.places.map_or(Membership::All(false), |places| {
            let mut known = std::mem::take(&mut self.members);
            known.clear();
            known.extend_from_slice(members);
            Membership::Known(Arc::clone(places), known)
        });
        let session = Session::begin(self.today, membership);
        let verdict = self.script.run(&mut self.scope, &session, RUN_TIME);
        self.members = session.end();
        verdict.map_err(|failure| failure.to_string())
    }
}

fn dynamic(value: Value) -> Dynamic {
    match value {
        Value::String(text) => Dynamic::from(ImmutableString::from(text.as_ref())),
        Value::Number(number) => Dynamic::from_float(number),
        Value::Date(date) => Dynamic::from(date),
    }
}
