//! The check of a rule before it goes live: names, types, dates, patterns, the result, all mistakes at once.
//!
//! Beside `lower`, this alone walks Rhai's syntax tree (an unstable interface, hence the pinned version). It follows types
//! through `let`, `if`, `switch`, blocks, closures and functions; parameters of functions are unknown, except that an
//! integration passed in is still that integration. Invariant: whatever is refused would fail, or be the same, for
//! every end user; what it can't tell it lets through, and the trial runs it.

mod calls;
mod expressions;
mod kept;
mod survey;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rhai::{AST, ASTFlags, BinaryExpr, Expr, FnCallExpr, FnPtr, ImmutableString, Position, Stmt, StmtBlock};

use super::Schema;
use super::typing::{Kinds, Known, Wrong};
use crate::model::{AttributeId, AttributeName, IntegrationId, SegmentId};
use survey::changed_names;
pub(super) use survey::{Function, changed_in_place, functions_of, root_name};

/// What the check found out about a rule.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) wrong: Vec<Wrong>,
    /// Attributes that the rule may read.
    pub(super) reads: BTreeSet<AttributeId>,
    /// Integrations that it names.
    pub(super) integrations: BTreeSet<IntegrationId>,
    /// Segments that it asks about, and where first.
    pub(super) asks: BTreeMap<SegmentId, Position>,
    pub(super) uses_today: bool,
    /// Texts and numbers that stand in the rule: good values to try it on.
    pub(super) texts: BTreeSet<ImmutableString>,
    pub(super) numbers: Vec<f64>,
    /// Where the value of the rule is made.
    pub(super) result_at: Position,
}

/// Checks a rule that parses.
pub(super) fn check(ast: &AST, schema: &Schema) -> Findings {
    let functions = functions_of(ast);
    let mut check = Check {
        schema,
        functions: &functions,
        changed: changed_names(ast, &functions),
        variables: Vec::new(),
        depth: 0,
        returns: Kinds::NEVER,
        breaks: false,
        checked: HashMap::new(),
        patterns: HashSet::new(),
        captures: kept::Captures::new(),
        findings: Findings::default(),
    };
    check.rule(ast);
    check.unused_functions();
    for wrong in kept::check(ast, &check.captures) {
        check.wrong(wrong);
    }
    check.findings
}

struct Variable {
    name: String,
    known: Known,
}

struct Check<'a> {
    schema: &'a Schema,
    functions: &'a [Function],
    changed: HashSet<String>,
    /// The variables in scope, the innermost last.
    variables: Vec<Variable>,
    /// How many functions we are within; integrations are seen only outside of all.
    depth: usize,
    /// What `return` has given so far in the current function.
    returns: Kinds,
    /// Whether the current loop has a `break` with a value.
    breaks: bool,
    /// What functions give, by name and which integrations they got; nothing while they are being checked.
    checked: HashMap<(String, usize, Vec<Option<IntegrationId>>), Kinds>,
    patterns: HashSet<ImmutableString>,
    captures: kept::Captures,
    findings: Findings,
}

impl<'a> Check<'a> {
    fn wrong(&mut self, wrong: Wrong) {
        let known = self.findings.wrong.iter().any(|other| other.at == wrong.at && other.message == wrong.message);
        if !known {
            self.findings.wrong.push(wrong);
        }
    }

    fn judge(&mut self, verdict: Result<(), Wrong>) {
        if let Err(wrong) = verdict {
            self.wrong(wrong);
        }
    }

    // ---- the rule and its functions ----

    fn rule(&mut self, ast: &'a AST) {
        let statements = ast.statements();
        let Some(last) = statements.last() else {
            let wrong = Wrong::new(Position::NONE, "the rule is empty: it must end in a condition");
            return self.wrong(wrong.hint("a rule such as `crm.Seats >= 50`"));
        };
        self.findings.result_at = place(last);
        let value = self.statements(statements);
        let kinds = value.kinds.or(self.returns);
        if kinds.is_any() || kinds == Kinds::BOOL {
            return;
        }
        // Who wrote `crm.Seats = 50` has been told already.
        if matches!(last, Stmt::Assignment(_)) && !self.findings.wrong.is_empty() {
            return;
        }
        let at = self.findings.result_at;
        let wrong = if !kinds.meets(Kinds::BOOL) {
            let what = Known { kinds, ..value }.in_words();
            let wrong = Wrong::new(at, format!("the rule must give a boolean (true or false), but it gives {what}"));
            match last {
                Stmt::Var(..) | Stmt::Assignment(..) | Stmt::For(..) => wrong.hint("end the rule with a condition"),
                _ => wrong,
            }
        } else {
            let rest = kinds.without(Kinds::BOOL).in_words();
            let wrong = Wrong::new(
                at,
                format!("the rule must give a boolean (true or false), but in some cases it gives {rest}"),
            );
            if kinds.meets(Kinds::UNIT) { wrong.hint("an `if` needs an `else`, a `switch` needs a `_`") } else { wrong }
        };
        self.wrong(wrong);
    }

    fn unused_functions(&mut self) {
        for function in self.functions {
            let used = self
                .checked
                .keys()
                .any(|(name, count, _)| *name == function.name && *count == function.parameters.len());
            if !used && !function.is_closure() {
                self.function(function, &[]);
            }
        }
    }

    /// Checks a function for arguments of which only the integrations are told, and says what it gives.
    fn function(&mut self, function: &'a Function, arguments: &[Known]) -> Kinds {
        let integrations: Vec<Option<IntegrationId>> =
            arguments.iter().map(|known| known.integration.clone()).collect();
        let key = (function.name.clone(), function.parameters.len(), integrations);
        if let Some(kinds) = self.checked.get(&key) {
            return *kinds;
        }
        self.checked.insert(key.clone(), Kinds::ANY);
        let parameters = function.parameters.iter().enumerate().map(|(place, name)| {
            let known = arguments.get(place).filter(|known| known.integration.is_some()).cloned();
            Variable {
                name: name.clone(),
                known: known.map_or_else(|| Known::any(Position::NONE), |known| Known { fixed: false, ..known }),
            }
        });
        let kinds = self.body(function, parameters.collect());
        self.checked.insert(key, kinds);
        kinds
    }

    /// Notes what a closure captures; a function's closures are seen once for each way in which it is called.
    fn captures(&mut self, captured: &[Known], at: Position) {
        let plain: Vec<bool> = captured.iter().map(kept::is_plain).collect();
        let all = self.captures.entry(at).or_insert_with(|| plain.clone());
        for (known, plain) in all.iter_mut().zip(plain) {
            *known = *known && plain;
        }
    }

    /// Checks a closure where it is made; the first parameters are what it captures.
    fn closure(&mut self, pointer: &FnPtr, captured: Vec<Known>) {
        let Some(function) = self.functions.iter().find(|function| function.name == pointer.fn_name()) else {
            return;
        };
        let mut captured = captured.into_iter();
        let parameters = function.parameters.iter().map(|name| Variable {
            name: name.clone(),
            known: captured.next().unwrap_or_else(|| Known::any(Position::NONE)),
        });
        self.body(function, parameters.collect());
    }

    fn body(&mut self, function: &'a Function, parameters: Vec<Variable>) -> Kinds {
        let variables = std::mem::replace(&mut self.variables, parameters);
        let returns = std::mem::replace(&mut self.returns, Kinds::NEVER);
        let breaks = std::mem::replace(&mut self.breaks, false);
        self.depth += 1;
        let value = self.statements(&function.body);
        let kinds = value.kinds.or(self.returns);
        self.depth -= 1;
        self.breaks = breaks;
        self.returns = returns;
        self.variables = variables;
        kinds
    }

    // ---- statements ----

    fn block(&mut self, block: &'a StmtBlock) -> Known {
        let outer = self.variables.len();
        let value = self.statements(block.statements());
        self.variables.truncate(outer);
        value
    }

    fn statements(&mut self, statements: &'a [Stmt]) -> Known {
        let mut value = Known::of(Kinds::UNIT, Position::NONE);
        let mut left = false;
        for statement in statements {
            value = self.statement(statement);
            left = left || value.kinds == Kinds::NEVER;
        }
        if left { Known::of(Kinds::NEVER, value.at) } else { value }
    }

    fn statement(&mut self, statement: &'a Stmt) -> Known {
        let at = statement.position();
        let nothing = Known::of(Kinds::UNIT, at);
        match statement {
            Stmt::Expr(expression) => self.expression(expression),
            Stmt::FnCall(call, at) => self.call(call, *at),
            Stmt::Block(block) => self.block(block),
            Stmt::If(flow, _) => {
                self.condition(&flow.expr);
                let kinds = self.block(&flow.body).kinds.or(self.block(&flow.branch).kinds);
                Known::of(kinds, at)
            }
            Stmt::Switch(switch, _) => self.switch(switch, at),
            Stmt::While(flow, _) | Stmt::Do(flow, ..) => {
                let endless = matches!(flow.expr, Expr::Unit(_));
                if !endless {
                    self.condition(&flow.expr);
                }
                self.repeated(&flow.body, endless, at)
            }
            Stmt::For(parts, _) => {
                let (item, counter, flow) = &**parts;
                let over = self.expression(&flow.expr);
                let kinds = if over.kinds == Kinds::RANGE { Kinds::INT } else { Kinds::ANY };
                let outer = self.variables.len();
                self.bind(item.as_str(), Known::of(kinds, item.pos));
                if let Some(counter) = counter {
                    self.bind(counter.as_str(), Known::of(Kinds::INT, counter.pos));
                }
                let value = self.repeated(&flow.body, false, at);
                self.variables.truncate(outer);
                value
            }
            Stmt::Var(parts, ..) => {
                let (name, value, _) = &**parts;
                let known = self.bound(name.as_str(), value);
                self.bind(name.as_str(), known);
                nothing
            }
            Stmt::Assignment(assignment) => {
                self.assignment(&assignment.1);
                nothing
            }
            Stmt::TryCatch(flow, _) => {
                let body = self.block(&flow.body).kinds;
                let outer = self.variables.len();
                if let Expr::Variable(error, ..) = &flow.expr {
                    self.bind(&error.1, Known::any(at));
                }
                let branch = self.block(&flow.branch).kinds;
                self.variables.truncate(outer);
                // Rhai drops the values of both blocks.
                Known::of(if body.or(branch) == Kinds::NEVER { Kinds::NEVER } else { Kinds::UNIT }, at)
            }
            Stmt::BreakLoop(value, flags, _) => {
                if let Some(value) = value {
                    self.expression(value);
                }
                self.breaks |= flags.contains(ASTFlags::BREAK) && value.is_some();
                Known::of(Kinds::NEVER, at)
            }
            Stmt::Return(value, flags, _) => {
                let kinds = value.as_ref().map_or(Kinds::UNIT, |value| self.expression(value).kinds);
                if !flags.contains(ASTFlags::BREAK) {
                    self.returns = self.returns.or(kinds);
                }
                Known::of(Kinds::NEVER, at)
            }
            // `import` and `export` do not parse; what remains makes no value.
            _ => nothing,
        }
    }

    /// The body of a loop. A loop that only `break` ends gives what that gives.
    fn repeated(&mut self, body: &'a StmtBlock, endless: bool, at: Position) -> Known {
        let breaks = std::mem::replace(&mut self.breaks, false);
        self.block(body);
        let gives = std::mem::replace(&mut self.breaks, breaks);
        Known::of(if gives || endless { Kinds::ANY } else { Kinds::UNIT }, at)
    }

    fn switch(&mut self, switch: &'a (Expr, rhai::SwitchCasesCollection), at: Position) -> Known {
        let (subject, cases) = switch;
        let known = self.expression(subject);
        // Cases are found by hash, and 5 and 5.0 have different ones. A range is among them too, by its own hash.
        if known.kinds == Kinds::FLOAT && cases.cases.len() > cases.ranges.len() {
            let wrong = Wrong::new(
                known.at,
                format!(
                    "a `switch` never finds a whole number such as 5 for {}, as numbers are floats",
                    known.in_words()
                ),
            );
            let name = known.name.as_deref().unwrap_or("…");
            self.wrong(wrong.hint(format!("write `switch to_int({name})`, or ranges such as `5..=5`")));
        }
        let mut kinds = if cases.def_case.is_some() { Kinds::NEVER } else { Kinds::UNIT };
        for case in &cases.expressions {
            if !matches!(case.lhs, Expr::BoolConstant(..)) {
                self.condition(&case.lhs);
            }
            kinds = kinds.or(self.expression(&case.rhs).kinds);
        }
        Known::of(kinds, at)
    }

    fn assignment(&mut self, assignment: &'a BinaryExpr) {
        self.expression(&assignment.rhs);
        let target = &assignment.lhs;
        if let Some(name) = root_name(target)
            && self.variables.iter().all(|variable| variable.name != name)
            && self.depth == 0
            && self.schema.integrations.contains_key(name.as_str())
        {
            let at = target.start_position();
            let wrong = Wrong::new(at, format!("a rule can't change attributes: `{name}` is only there to be read"));
            return self.wrong(wrong.hint("to compare, write `==` instead of `=`"));
        }
        self.expression(target);
    }

    fn bind(&mut self, name: &str, known: Known) {
        self.variables.push(Variable { name: name.to_owned(), known });
    }

    /// What is known of a variable from the value that it is bound to.
    fn bound(&mut self, name: &str, value: &'a Expr) -> Known {
        let changed = self.changed.contains(name);
        let known = if changed { self.expression(value) } else { self.root(value) };
        if changed {
            return Known::any(known.at);
        }
        Known { fixed: false, name: known.name.or_else(|| Some(name.to_owned())), ..known }
    }
}

fn attribute_id(integration: &IntegrationId, name: &AttributeName) -> AttributeId {
    AttributeId { integration: integration.clone(), name: name.clone() }
}

/// Where a statement begins.
fn place(statement: &Stmt) -> Position {
    match statement {
        Stmt::Expr(expression) => beginning(expression),
        Stmt::FnCall(call, at) => beginning_of_call(call, *at),
        other => other.position(),
    }
}

fn beginning(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, at) => beginning_of_call(call, *at),
        other => other.start_position(),
    }
}

/// An operator stands behind its first operand.
fn beginning_of_call(call: &FnCallExpr, at: Position) -> Position {
    let is_operator = !call.name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    match &*call.args {
        [first, _] if is_operator => beginning(first),
        _ => at,
    }
}
