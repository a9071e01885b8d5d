//! The check of a rule before it goes live: names, types, dates, patterns, the result, all mistakes at once.
//!
//! This file and its `calls` alone walk Rhai's syntax tree (an unstable interface, hence the pinned version). It follows types
//! through `let`, `if`, `switch`, blocks, closures and functions; parameters of functions are unknown, except that an
//! integration passed in is still that integration. Invariant: whatever is refused would fail, or be the same, for
//! every end user; what it can't tell it lets through, and the trial runs it.

mod calls;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rhai::{
    AST, ASTFlags, ASTNode, BinaryExpr, Dynamic, Expr, FnPtr, ImmutableString, Position, ScriptFuncDef, Stmt, StmtBlock,
};

use super::signatures::{changes_in_place, elsewhere, native_gives, own};
use super::typing::{Kinds, Known, Literal, Wrong, nearest};
use super::{Schema, language};
use crate::model::{AttributeId, AttributeName, IntegrationId, SegmentId};

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
        changed: changed_names(ast),
        variables: Vec::new(),
        depth: 0,
        returns: Kinds::NEVER,
        breaks: false,
        checked: HashMap::new(),
        patterns: HashSet::new(),
        findings: Findings::default(),
    };
    check.rule(ast);
    check.unused_functions();
    check.findings
}

/// A function or closure of the rule.
struct Function {
    name: String,
    parameters: Vec<String>,
    body: Vec<Stmt>,
}

/// Rhai shows the bodies of functions to a walk only, hence the tree with but one function in it, and the copy.
fn functions_of(ast: &AST) -> Vec<Function> {
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
fn changed_names(ast: &AST) -> HashSet<String> {
    let mut names = HashSet::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Assignment(assignment))) => names.extend(root_name(&assignment.1.lhs)),
            Some(ASTNode::Expr(chain @ (Expr::Dot(pair, ..) | Expr::Index(pair, ..)))) if changes(&pair.rhs) => {
                names.extend(root_name(chain));
            }
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)))
                if changes_in_place(&call.name) =>
            {
                names.extend(call.args.first().and_then(root_name));
            }
            _ => (),
        }
        true
    });
    names
}

fn root_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root_name(&pair.lhs),
        _ => None,
    }
}

/// Whether the rest of a chain has a method that may change its object: one of Rhai's, or any of the rule's own.
fn changes(rest: &Expr) -> bool {
    match rest {
        Expr::MethodCall(call, _) => {
            changes_in_place(&call.name)
                || (own(&call.name).is_none() && language::language().overloads(&call.name).is_empty())
        }
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => changes(&pair.lhs) || changes(&pair.rhs),
        _ => false,
    }
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
            let wrong = Wrong::new(at, format!("the rule must give true or false, but it gives {what}"));
            match last {
                Stmt::Var(..) | Stmt::Assignment(..) | Stmt::For(..) => wrong.hint("end the rule with a condition"),
                _ => wrong,
            }
        } else {
            let rest = kinds.without(Kinds::BOOL).in_words();
            let wrong = Wrong::new(at, format!("the rule must give true or false, but in some cases it gives {rest}"));
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
            if !used && !function.name.starts_with("anon$") {
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

    // ---- expressions ----

    fn condition(&mut self, expression: &'a Expr) {
        let known = self.expression(expression);
        if known.kinds.meets(Kinds::BOOL) || known.kinds == Kinds::NEVER {
            return;
        }
        let wrong = Wrong::new(known.at, format!("a condition is needed here, not {}", known.in_words()));
        let wrong = match (&known.name, known.kinds) {
            (Some(name), Kinds::STRING) => wrong.hint(format!("write `{name} == \"true\"`, or `is_set({name})`")),
            (Some(name), Kinds::FLOAT) => wrong.hint(format!("write `{name} > 0`, or `is_set({name})`")),
            (Some(name), Kinds::DATE) => wrong.hint(format!("write `is_set({name})`")),
            _ => wrong,
        };
        self.wrong(wrong);
    }

    /// An expression whose value is used as a whole: of an integration that means all of its attributes.
    fn expression(&mut self, expression: &'a Expr) -> Known {
        let known = self.root(expression);
        if let Some(integration) = &known.integration {
            let names = self.schema.integrations.get(integration).into_iter().flat_map(BTreeMap::keys);
            self.findings.reads.extend(names.map(|name| attribute_id(integration, name)));
        }
        known
    }

    /// An expression of which perhaps only a part is used, such as the `crm` of `crm.Seats`.
    fn root(&mut self, expression: &'a Expr) -> Known {
        let at = expression.start_position();
        let mut known = match expression {
            Expr::BoolConstant(flag, _) => Known::literal(Kinds::BOOL, Literal::Bool(*flag), at),
            Expr::IntegerConstant(number, _) => self.number(Kinds::INT, *number as f64, at),
            Expr::FloatConstant(number, _) => self.number(Kinds::FLOAT, **number, at),
            Expr::CharConstant(..) => Known::of(Kinds::CHAR, at),
            Expr::StringConstant(text, _) => {
                self.findings.texts.insert(text.clone());
                Known::literal(Kinds::STRING, Literal::Text(text.clone()), at)
            }
            Expr::InterpolatedString(parts, _) => {
                for part in parts.iter() {
                    self.expression(part);
                }
                Known::of(Kinds::STRING, at)
            }
            Expr::Array(elements, _) => {
                let elements = elements.iter().map(|element| self.expression(element)).collect();
                Known::literal(Kinds::ARRAY, Literal::List(elements), at)
            }
            Expr::Map(entries, _) => {
                for (_, value) in &entries.0 {
                    self.expression(value);
                }
                Known::of(Kinds::MAP, at)
            }
            Expr::Unit(_) => Known::literal(Kinds::UNIT, Literal::Unit, at),
            Expr::DynamicConstant(value, _) => self.constant(value, at),
            Expr::Variable(variable, ..) if variable.2.is_empty() => self.variable(&variable.1, at),
            Expr::Variable(variable, ..) => self.qualified(&variable.2.to_string(), &variable.1, at),
            Expr::Stmt(block) => self.block(block),
            Expr::FnCall(call, at) => self.call(call, *at),
            Expr::Dot(pair, ..) => {
                let base = self.root(&pair.lhs);
                self.dot(base, &pair.rhs)
            }
            Expr::Index(pair, flags, _) => {
                let base = self.root(&pair.lhs);
                self.index(base, &pair.rhs, *flags)
            }
            Expr::And(terms, _) | Expr::Or(terms, _) => {
                for term in terms.iter() {
                    self.condition(term);
                }
                Known::of(Kinds::BOOL, at)
            }
            Expr::Coalesce(terms, _) => {
                let kinds = terms.iter().map(|term| self.expression(term).kinds).fold(Kinds::NEVER, Kinds::or);
                Known::of(kinds, at)
            }
            _ => Known::any(at),
        };
        if !at.is_none() {
            known.at = at;
        }
        known
    }

    fn number(&mut self, kinds: Kinds, number: f64, at: Position) -> Known {
        self.findings.numbers.push(number);
        Known::literal(kinds, Literal::Number(number), at)
    }

    fn constant(&mut self, value: &'a Dynamic, at: Position) -> Known {
        if let Some(pointer) = value.read_lock::<FnPtr>() {
            self.closure(&pointer, Vec::new());
            return Known::of(Kinds::FUNCTION, at);
        }
        Known::any(at)
    }

    fn variable(&mut self, name: &str, at: Position) -> Known {
        if let Some(variable) = self.variables.iter().rev().find(|variable| variable.name == name) {
            return Known { at, ..variable.known.clone() };
        }
        let integration = self.schema.integrations.get_key_value(name).map(|(id, _)| id.clone());
        match integration {
            Some(id) if self.depth == 0 => {
                self.findings.integrations.insert(id.clone());
                let name = Some(id.to_string());
                Known { integration: Some(id), fixed: true, name, ..Known::of(Kinds::MAP, at) }
            }
            Some(_) => {
                let message = format!("functions don't see integrations: pass `{name}` in as an argument");
                self.wrong(Wrong::new(at, message));
                Known::any(at)
            }
            None => {
                self.unknown_variable(name, at);
                Known::any(at)
            }
        }
    }

    fn unknown_variable(&mut self, name: &str, at: Position) {
        if self.functions.iter().any(|function| function.name == name) {
            return;
        }
        let integrations: Vec<&str> = self.schema.integrations.keys().map(IntegrationId::as_str).collect();
        let seen = if self.depth == 0 { integrations.as_slice() } else { &[] };
        let names = self.variables.iter().map(|variable| variable.name.as_str()).chain(seen.iter().copied());
        let mut hint = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
        if hint.is_none() {
            let mut attributes = self
                .schema
                .integrations
                .iter()
                .flat_map(|(id, names)| names.keys().map(move |attribute| attribute_id(id, attribute)));
            hint = attributes.find(|id| id.name.as_str() == name).map(|id| format!("did you mean `{id}`?"));
        }
        let message = match (self.depth, integrations.as_slice()) {
            (1.., _) => {
                format!("there is no variable `{name}` in this function: a function sees only its parameters")
            }
            (_, []) => format!("there is no integration `{name}`: this system has none that is enabled"),
            (_, all) => format!("there is no integration or variable `{name}` (integrations: {})", all.join(", ")),
        };
        let wrong = Wrong::new(at, message);
        self.wrong(match hint {
            Some(hint) => wrong.hint(hint),
            None => wrong,
        });
    }

    fn qualified(&mut self, namespace: &str, name: &str, at: Position) -> Known {
        // `global::NAME` is how a function reads a constant of the rule.
        if namespace != "global" {
            self.wrong(Wrong::new(at, format!("rules have no modules: `{namespace}::{name}` does not exist")));
        }
        Known::any(at)
    }

    // ---- chains: `crm.Name.len()`, `crm["Seats"]` ----

    fn dot(&mut self, base: Known, rest: &'a Expr) -> Known {
        match rest {
            Expr::Dot(pair, ..) => {
                let next = self.member(base, &pair.lhs);
                self.dot(next, &pair.rhs)
            }
            Expr::Index(pair, flags, _) => {
                let next = self.member(base, &pair.lhs);
                self.index(next, &pair.rhs, *flags)
            }
            last => self.member(base, last),
        }
    }

    fn index(&mut self, base: Known, rest: &'a Expr, flags: ASTFlags) -> Known {
        match rest {
            Expr::Dot(pair, ..) if !flags.contains(ASTFlags::BREAK) => {
                let next = self.element(base, &pair.lhs);
                self.dot(next, &pair.rhs)
            }
            Expr::Index(pair, inner, _) if !flags.contains(ASTFlags::BREAK) => {
                let next = self.element(base, &pair.lhs);
                self.index(next, &pair.rhs, *inner)
            }
            last => self.element(base, last),
        }
    }

    fn member(&mut self, base: Known, member: &'a Expr) -> Known {
        match member {
            Expr::Property(property, at) => self.property(base, &property.2, *at),
            Expr::MethodCall(call, at) => {
                let mut arguments = vec![base];
                arguments.extend(call.args.iter().map(|argument| self.root(argument)));
                self.called(&call.name, arguments, true, *at)
            }
            other => self.expression(other),
        }
    }

    fn property(&mut self, base: Known, name: &str, at: Position) -> Known {
        if let Some(integration) = base.integration.clone() {
            return self.attribute(&integration, name, base.fixed, at);
        }
        let kinds = base.kinds.without(Kinds::UNIT);
        if kinds.meets(Kinds::MAP.or(Kinds::OTHER)) || kinds == Kinds::NEVER {
            return Known::any(at);
        }
        if language::language().overloads(&format!("get${name}")).is_empty() {
            let wrong = Wrong::new(at, format!("{} has no property `{name}`", base.in_words()));
            let known = !language::language().overloads(name).is_empty();
            self.wrong(match if known { Some(name) } else { elsewhere(name) } {
                Some(function) => wrong.hint(format!("did you mean `{function}()`?")),
                None => wrong,
            });
            return Known::any(at);
        }
        Known::of(native_gives(name, &[base]), at)
    }

    fn element(&mut self, base: Known, place: &'a Expr) -> Known {
        let key = self.expression(place);
        if let Some(integration) = base.integration.clone() {
            return match key.text() {
                Some(name) => self.attribute(&integration, name, base.fixed, key.at),
                None => {
                    self.whole(&base);
                    Known::any(key.at)
                }
            };
        }
        if (base.kinds == Kinds::ARRAY || base.kinds == Kinds::STRING) && key.kinds == Kinds::FLOAT {
            let message = format!("{} is indexed by a whole number, not by {}", base.kinds.in_words(), key.in_words());
            let wrong = Wrong::new(key.at, message);
            self.wrong(wrong.hint("write `to_int(…)` around the number"));
        }
        let indexed = Kinds::ARRAY.or(Kinds::MAP).or(Kinds::STRING).or(Kinds::INT).or(Kinds::OTHER).or(Kinds::UNIT);
        if !base.kinds.meets(indexed) && base.kinds != Kinds::NEVER {
            self.wrong(Wrong::new(key.at, format!("{} can't be indexed", base.in_words())));
        }
        Known::any(base.at)
    }

    fn attribute(&mut self, integration: &IntegrationId, name: &str, fixed: bool, at: Position) -> Known {
        let Some(attributes) = self.schema.integrations.get(integration) else { return Known::any(at) };
        let Some((attribute, kind)) = attributes.get_key_value(name) else {
            let wrong = Wrong::new(at, format!("`{integration}` has no attribute `{name}`"));
            let near = nearest(name, attributes.keys().map(AttributeName::as_str)).map(str::to_owned);
            let elsewhere = self.schema.integrations.iter().find(|(_, names)| names.contains_key(name));
            self.wrong(match (near, elsewhere) {
                (Some(near), _) => wrong.hint(format!("did you mean `{integration}.{near}`?")),
                (None, Some((other, _))) => wrong.hint(format!("did you mean `{other}.{name}`?")),
                (None, None) => wrong,
            });
            return Known::any(at);
        };
        let id = attribute_id(integration, attribute);
        let known = Known { fixed, name: Some(id.to_string()), ..Known::of(Kinds::from(*kind), at) };
        self.findings.reads.insert(id);
        known
    }

    /// Notes that an integration is used as a whole.
    fn whole(&mut self, known: &Known) {
        if let Some(integration) = &known.integration {
            let names = self.schema.integrations.get(integration).into_iter().flat_map(BTreeMap::keys);
            self.findings.reads.extend(names.map(|name| attribute_id(integration, name)));
        }
    }
}

fn attribute_id(integration: &IntegrationId, name: &AttributeName) -> AttributeId {
    AttributeId { integration: integration.clone(), name: name.clone() }
}

/// Where a statement begins.
fn place(statement: &Stmt) -> Position {
    match statement {
        Stmt::Expr(expression) => expression.start_position(),
        other => other.position(),
    }
}
