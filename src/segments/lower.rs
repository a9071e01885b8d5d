//! Lowering: a rule whose value is one boolean expression over attributes and constants becomes a [`Condition`].
//!
//! Follows Rhai's syntax tree symbolically: variables stand for what they were bound to, helper functions are
//! inlined, and `if` becomes and/or. What it can't follow makes the whole rule a script, with the place and the
//! reason; that is never an error. Called only for rules that passed the check. Invariant: the condition holds for an
//! end user exactly when the script gives true. Missing values are as everywhere: tests are false, and negations of
//! tests true.

use std::ops::Bound;
use std::sync::Arc;

use rhai::{AST, ASTFlags, Expr, FnCallExpr, Position, Stmt};

use super::Schema;
use super::check::{Function, functions_of};
use crate::model::{AttributeId, AttributeType, Date, IntegrationId, SegmentId};
use crate::predicate::{AttributeTest, Condition, DateBound, DateTest, NumberTest, Pattern, Test, TextMatch, TextTest};

/// Deepest inlining of helper functions, and of expressions.
const MAX_DEPTH: usize = 40;
/// Largest condition, in nodes: inlining can multiply.
const MAX_NODES: usize = 5_000;
/// Days that a constant may be away from today. Rhai fails beyond the years 0001 to 9999; this stays well within.
const MAX_DAYS: i64 = 300_000;

/// Why a rule runs as a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) at: Position,
    pub(super) why: String,
}

type Lowered<T> = Result<T, Reason>;

fn script<T>(at: Position, why: impl Into<String>) -> Lowered<T> {
    Err(Reason { at, why: why.into() })
}

/// A number of days between an attribute and today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Since,
    Until,
}

/// What an expression stands for.
#[derive(Debug, Clone, PartialEq)]
enum Symbol {
    Condition(Condition),
    Integration(IntegrationId),
    Attribute(AttributeId, AttributeType),
    /// `lower(x)` of a String attribute.
    Lower(AttributeId),
    /// `days_since(x)` or `days_until(x)` of a Date attribute.
    Days(AttributeId, Direction),
    Integer(i64),
    Float(f64),
    Text(Arc<str>),
    Day(DateBound),
    List(Vec<Symbol>),
    Unit,
}

/// How two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// The same comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }
}

/// The condition that a rule is, or why it is none.
pub(super) fn lower(ast: &AST, schema: &Schema) -> Lowered<Condition> {
    let functions = functions_of(ast);
    let mut lowering = Lowering { schema, functions: &functions, variables: Vec::new(), inside: 0, depth: 0, nodes: 0 };
    let condition = lowering.block(ast.statements())?.simplified();
    Ok(condition)
}

struct Lowering<'a> {
    schema: &'a Schema,
    functions: &'a [Function],
    /// Variables in scope, the innermost last.
    variables: Vec<(String, Symbol)>,
    /// How many functions we are within: integrations are seen only outside of all.
    inside: usize,
    depth: usize,
    nodes: usize,
}

impl<'a> Lowering<'a> {
    fn deeper<T>(&mut self, at: Position, work: impl FnOnce(&mut Self) -> Lowered<T>) -> Lowered<T> {
        self.nodes += 1;
        if self.depth >= MAX_DEPTH || self.nodes > MAX_NODES {
            return script(at, "the rule is too large to be one condition");
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    // ---- statements ----

    /// Statements whose value, or `return`, is a condition.
    fn block(&mut self, statements: &'a [Stmt]) -> Lowered<Condition> {
        let outer = self.variables.len();
        let value = self.statements(statements);
        self.variables.truncate(outer);
        value
    }

    fn statements(&mut self, statements: &'a [Stmt]) -> Lowered<Condition> {
        let mut rest = statements;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match first {
                Stmt::Noop(..) => {}
                Stmt::Var(parts, ..) => {
                    let (name, value, _) = &**parts;
                    let symbol = self.symbol(value)?;
                    self.variables.push((name.as_str().to_owned(), symbol));
                }
                last => return self.last(last, rest),
            }
        }
        script(Position::NONE, "a block that gives no value")
    }

    /// The statement that makes the value, and what stands behind it.
    fn last(&mut self, statement: &'a Stmt, rest: &'a [Stmt]) -> Lowered<Condition> {
        match statement {
            Stmt::Return(Some(value), flags, at) if !flags.contains(ASTFlags::BREAK) => {
                let value = self.symbol(value)?;
                condition(value, *at)
            }
            Stmt::If(flow, at) => {
                let asked = self.symbol(&flow.expr)?;
                let asked = condition(asked, *at)?;
                // Without an `else`, what follows is it: the `if` must have left the rule by `return` then.
                let (yes, no) = (flow.body.statements(), flow.branch.statements());
                let both = !no.is_empty() && rest.is_empty();
                let leaves = no.is_empty() && ends_in_return(yes);
                if !both && !leaves {
                    return script(*at, "an `if` whose value is not used, or that has no `else`");
                }
                let yes = self.deeper(*at, |lowering| lowering.block(yes))?;
                let no = self.deeper(*at, |lowering| lowering.block(if both { no } else { rest }))?;
                Ok(choice(asked, yes, no))
            }
            Stmt::Block(block) if rest.is_empty() => {
                self.deeper(statement.position(), |lowering| lowering.block(block.statements()))
            }
            Stmt::Expr(expression) if rest.is_empty() => {
                let value = self.symbol(expression)?;
                condition(value, expression.start_position())
            }
            Stmt::FnCall(call, at) if rest.is_empty() => {
                let value = self.call(call, *at)?;
                condition(value, *at)
            }
            other => script(other.position(), why_not(other)),
        }
    }

    // ---- expressions ----

    fn symbol(&mut self, expression: &'a Expr) -> Lowered<Symbol> {
        let at = expression.start_position();
        self.deeper(at, |lowering| lowering.expression(expression, at))
    }

    fn expression(&mut self, expression: &'a Expr, at: Position) -> Lowered<Symbol> {
        Ok(match expression {
            Expr::BoolConstant(flag, _) => Symbol::Condition(Condition::Constant(*flag)),
            Expr::IntegerConstant(number, _) => Symbol::Integer(*number),
            Expr::FloatConstant(number, _) => Symbol::Float(**number),
            Expr::StringConstant(text, _) => Symbol::Text(Arc::from(text.as_str())),
            Expr::Unit(_) => Symbol::Unit,
            Expr::Array(elements, _) => {
                Symbol::List(elements.iter().map(|element| self.symbol(element)).collect::<Lowered<_>>()?)
            }
            Expr::Variable(variable, ..) => return self.variable(&variable.1, at),
            Expr::And(terms, _) => Symbol::Condition(Condition::All(self.terms(terms)?)),
            Expr::Or(terms, _) => Symbol::Condition(Condition::Any(self.terms(terms)?)),
            Expr::Stmt(block) => Symbol::Condition(self.block(block.statements())?),
            Expr::FnCall(call, at) => return self.call(call, *at),
            Expr::Dot(pair, ..) => {
                let base = self.symbol(&pair.lhs)?;
                return self.chain(base, &pair.rhs);
            }
            Expr::Index(pair, ..) => {
                let base = self.symbol(&pair.lhs)?;
                return match &pair.rhs {
                    Expr::StringConstant(name, _) => self.attribute(&base, name, at),
                    // `crm["Name"].lower()`
                    Expr::Dot(rest, ..) => match &rest.lhs {
                        Expr::StringConstant(name, _) => {
                            let base = self.attribute(&base, name, at)?;
                            self.chain(base, &rest.rhs)
                        }
                        _ => script(at, "an index"),
                    },
                    _ => script(at, "an index"),
                };
            }
            _ => return script(at, "an expression that is no condition over attributes"),
        })
    }

    fn terms(&mut self, terms: &'a [Expr]) -> Lowered<Vec<Condition>> {
        terms
            .iter()
            .map(|term| {
                let value = self.symbol(term)?;
                condition(value, term.start_position())
            })
            .collect()
    }

    fn variable(&self, name: &str, at: Position) -> Lowered<Symbol> {
        if let Some((_, symbol)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Ok(symbol.clone());
        }
        match self.schema.integrations.get_key_value(name) {
            Some((id, _)) if self.inside == 0 => Ok(Symbol::Integration(id.clone())),
            _ => script(at, format!("the variable `{name}`")),
        }
    }

    /// What follows a dot.
    fn chain(&mut self, base: Symbol, rest: &'a Expr) -> Lowered<Symbol> {
        let at = rest.start_position();
        match rest {
            Expr::Property(names, at) => self.attribute(&base, &names.2, *at),
            // A function of the rule's own, perhaps of the same name as one of ours, works on `this`.
            Expr::MethodCall(call, at) if self.functions.iter().any(|function| function.name == call.name.as_str()) => {
                script(*at, format!("the rule's own function `{}` as a method", call.name))
            }
            Expr::MethodCall(call, at) => {
                let mut arguments = vec![base];
                for argument in &call.args {
                    arguments.push(self.symbol(argument)?);
                }
                own_function(&call.name, &arguments, *at)
            }
            Expr::Dot(pair, ..) => {
                let base = self.chain(base, &pair.lhs)?;
                self.chain(base, &pair.rhs)
            }
            _ => script(at, "an expression behind a dot"),
        }
    }

    fn attribute(&self, base: &Symbol, name: &str, at: Position) -> Lowered<Symbol> {
        let Symbol::Integration(integration) = base else { return script(at, format!("the property `{name}`")) };
        let found = self.schema.integrations.get(integration).and_then(|names| names.get_key_value(name));
        let Some((name, kind)) = found else { return script(at, format!("the property `{name}`")) };
        Ok(Symbol::Attribute(AttributeId { integration: integration.clone(), name: name.clone() }, *kind))
    }

    fn call(&mut self, call: &'a FnCallExpr, at: Position) -> Lowered<Symbol> {
        let mut arguments = Vec::with_capacity(call.args.len());
        for argument in &call.args {
            arguments.push(self.symbol(argument)?);
        }
        if call.op_token.is_some() && call.name != "contains" {
            return operator(&call.name, &arguments, at);
        }
        let scripted = self
            .functions
            .iter()
            .find(|function| function.name == call.name.as_str() && function.parameters.len() == arguments.len());
        match scripted {
            Some(function) => self.inlined(function, arguments, at),
            None => own_function(&call.name, &arguments, at),
        }
    }

    /// A helper function's value: its body with the arguments for the parameters.
    fn inlined(&mut self, function: &'a Function, arguments: Vec<Symbol>, at: Position) -> Lowered<Symbol> {
        let parameters = function.parameters.iter().cloned().zip(arguments).collect();
        let variables = std::mem::replace(&mut self.variables, parameters);
        self.inside += 1;
        let value = self.deeper(at, |lowering| lowering.statements(&function.body));
        self.inside -= 1;
        self.variables = variables;
        value.map(Symbol::Condition)
    }
}

/// Whether statements always leave by `return`.
fn ends_in_return(statements: &[Stmt]) -> bool {
    matches!(statements.last(), Some(Stmt::Return(Some(_), flags, _)) if !flags.contains(ASTFlags::BREAK))
}

fn why_not(statement: &Stmt) -> &'static str {
    match statement {
        Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) => "a loop",
        Stmt::Switch(..) => "a `switch`",
        Stmt::Assignment(..) => "an assignment",
        Stmt::TryCatch(..) => "a `try`",
        Stmt::If(..) => "an `if` whose value is not used",
        _ => "a statement that is no condition",
    }
}

fn condition(symbol: Symbol, at: Position) -> Lowered<Condition> {
    match symbol {
        Symbol::Condition(condition) => Ok(condition),
        _ => script(at, "a value that is no condition"),
    }
}

fn constant(flag: bool) -> Symbol {
    Symbol::Condition(Condition::Constant(flag))
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn choice(asked: Condition, yes: Condition, no: Condition) -> Condition {
    Condition::Any(vec![Condition::All(vec![asked.clone(), yes]), Condition::All(vec![not(asked), no])])
}

fn test(attribute: &AttributeId, kind: AttributeType, test: Test) -> Condition {
    Condition::Attribute(AttributeTest { attribute: attribute.clone(), kind, test })
}

fn number(symbol: &Symbol) -> Option<f64> {
    match symbol {
        Symbol::Integer(number) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "as Rhai does when it compares an integer with a float")]
            Some(*number as f64)
        }
        Symbol::Float(number) => Some(*number),
        _ => None,
    }
}

/// A constant as a day: a date, or a text that reads as one.
fn day(symbol: &Symbol) -> Option<DateBound> {
    match symbol {
        Symbol::Day(bound) => Some(*bound),
        Symbol::Text(text) => text.parse::<Date>().ok().map(|date| DateBound::Day(i64::from(date.days()))),
        _ => None,
    }
}

// ---- operators ----

fn operator(name: &str, arguments: &[Symbol], at: Position) -> Lowered<Symbol> {
    match (name, arguments) {
        ("!", [Symbol::Condition(value)]) => Ok(Symbol::Condition(not(value.clone()))),
        ("-", [Symbol::Integer(number)]) if *number != i64::MIN => Ok(Symbol::Integer(-number)),
        ("-", [Symbol::Float(number)]) => Ok(Symbol::Float(-number)),
        ("+", [Symbol::Day(bound), days]) => moved(*bound, days, 1, at),
        ("-", [Symbol::Day(bound), days]) => moved(*bound, days, -1, at),
        (_, [left, right]) => match Comparison::of(name) {
            Some(comparison) => compared(left, comparison, right, at),
            None => script(at, format!("the operator `{name}`")),
        },
        _ => script(at, format!("the operator `{name}`")),
    }
}

/// A day moved by a constant number of days.
fn moved(bound: DateBound, days: &Symbol, sign: i64, at: Position) -> Lowered<Symbol> {
    let Symbol::Integer(days) = days else { return script(at, "arithmetic with dates") };
    if days.abs() > MAX_DAYS {
        return script(at, "a day very far off");
    }
    let days = days * sign;
    match bound {
        DateBound::Today(offset) if (offset + days).abs() <= MAX_DAYS => {
            Ok(Symbol::Day(DateBound::Today(offset + days)))
        }
        DateBound::Day(day) if i32::try_from(day + days).ok().and_then(Date::from_days).is_some() => {
            Ok(Symbol::Day(DateBound::Day(day + days)))
        }
        _ => script(at, "a day very far off"),
    }
}

fn compared(left: &Symbol, comparison: Comparison, right: &Symbol, at: Position) -> Lowered<Symbol> {
    let is_constant = |symbol: &Symbol| {
        matches!(symbol, Symbol::Integer(_) | Symbol::Float(_) | Symbol::Text(_) | Symbol::Day(_) | Symbol::Unit)
    };
    match (left, right) {
        (Symbol::Condition(value), Symbol::Condition(Condition::Constant(flag)))
        | (Symbol::Condition(Condition::Constant(flag)), Symbol::Condition(value)) => match comparison {
            Comparison::Equal if *flag => Ok(Symbol::Condition(value.clone())),
            Comparison::NotEqual if !*flag => Ok(Symbol::Condition(value.clone())),
            Comparison::Equal | Comparison::NotEqual => Ok(Symbol::Condition(not(value.clone()))),
            _ => script(at, "conditions in an order"),
        },
        (Symbol::Unit, Symbol::Unit) => Ok(constant(comparison == Comparison::Equal)),
        (left, right) if is_constant(left) && is_constant(right) => script(at, "a comparison of constants"),
        (left, right) if is_constant(left) => with_constant(right, comparison.mirrored(), left, at),
        (left, right) if is_constant(right) => with_constant(left, comparison, right, at),
        _ => script(at, "a comparison of two values of the end user"),
    }
}

/// A comparison with a constant on the right.
fn with_constant(left: &Symbol, comparison: Comparison, right: &Symbol, at: Position) -> Lowered<Symbol> {
    if *right == Symbol::Unit {
        return against_nothing(left, comparison, at);
    }
    let (attribute, kind, found) = match left {
        Symbol::Attribute(attribute, AttributeType::String) => match right {
            Symbol::Text(text) => (attribute, AttributeType::String, text_equals(text, comparison, false)),
            _ => return script(at, "a comparison of different kinds"),
        },
        Symbol::Lower(attribute) => match right {
            Symbol::Text(text) => (attribute, AttributeType::String, text_equals(text, comparison, true)),
            _ => return script(at, "a comparison of different kinds"),
        },
        Symbol::Attribute(attribute, AttributeType::Number) => match number(right) {
            Some(number) => (attribute, AttributeType::Number, Some(Test::Number(span(comparison, number)))),
            None => return script(at, "a comparison of different kinds"),
        },
        Symbol::Attribute(attribute, AttributeType::Date) => match day(right) {
            Some(bound) => (attribute, AttributeType::Date, Some(Test::Date(days_from(comparison, bound)))),
            None => return script(at, "a comparison of different kinds"),
        },
        Symbol::Days(attribute, direction) => match number(right) {
            Some(number) => {
                let Some(test) = days_between(comparison, *direction, number) else {
                    return script(at, "a number of days that is very large");
                };
                (attribute, AttributeType::Date, Some(test))
            }
            None => return script(at, "a comparison of different kinds"),
        },
        _ => return script(at, "a comparison of something that is no attribute"),
    };
    let Some(found) = found else { return script(at, "texts in an order") };
    let positive = test(attribute, kind, found);
    Ok(Symbol::Condition(if comparison == Comparison::NotEqual { not(positive) } else { positive }))
}

/// A comparison with `()`: `==` is "is missing", every ordering is false.
fn against_nothing(left: &Symbol, comparison: Comparison, at: Position) -> Lowered<Symbol> {
    let (Symbol::Attribute(attribute, _) | Symbol::Lower(attribute) | Symbol::Days(attribute, _)) = left else {
        return script(at, "a comparison with `()` of something that is no attribute");
    };
    let kind = match left {
        Symbol::Attribute(_, kind) => *kind,
        Symbol::Lower(_) => AttributeType::String,
        _ => AttributeType::Date,
    };
    let is_set = test(attribute, kind, Test::IsSet);
    Ok(match comparison {
        Comparison::Equal => Symbol::Condition(not(is_set)),
        Comparison::NotEqual => Symbol::Condition(is_set),
        _ => constant(false),
    })
}

/// `==` of texts; `!=` is its negation, and an order of texts is none of ours.
fn text_equals(text: &Arc<str>, comparison: Comparison, lowered: bool) -> Option<Test> {
    matches!(comparison, Comparison::Equal | Comparison::NotEqual)
        .then(|| Test::Text(TextTest { found: TextMatch::OneOf(vec![Arc::clone(text)]), lowered }))
}

/// The positive test of a comparison with a number (of `!=`, that of `==`).
fn span(comparison: Comparison, number: f64) -> NumberTest {
    use Bound::{Excluded, Included, Unbounded};
    NumberTest::Within(match comparison {
        Comparison::Equal | Comparison::NotEqual => (Included(number), Included(number)),
        Comparison::Less => (Unbounded, Excluded(number)),
        Comparison::AtMost => (Unbounded, Included(number)),
        Comparison::Greater => (Excluded(number), Unbounded),
        Comparison::AtLeast => (Included(number), Unbounded),
    })
}

fn beside(bound: DateBound, days: i64) -> DateBound {
    match bound {
        DateBound::Day(day) => DateBound::Day(day + days),
        DateBound::Today(offset) => DateBound::Today(offset + days),
    }
}

/// The positive test of a comparison with a day.
fn days_from(comparison: Comparison, bound: DateBound) -> DateTest {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => DateTest::Within(Some(bound), Some(bound)),
        Comparison::Less => DateTest::Within(None, Some(beside(bound, -1))),
        Comparison::AtMost => DateTest::Within(None, Some(bound)),
        Comparison::Greater => DateTest::Within(Some(beside(bound, 1)), None),
        Comparison::AtLeast => DateTest::Within(Some(bound), None),
    }
}

/// The positive test of `days_since(x)` or `days_until(x)` compared with a number: which days `x` may be. The number
/// of days is whole, so a fraction rounds towards what still holds.
fn days_between(comparison: Comparison, direction: Direction, number: f64) -> Option<Test> {
    if number.abs() > MAX_DAYS as f64 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let (floor, ceiling) = (number.floor() as i64, number.ceil() as i64);
    // The days that hold, as a span of whole numbers.
    let (low, high) = match comparison {
        Comparison::Equal | Comparison::NotEqual if floor != ceiling => {
            return Some(Test::Date(DateTest::OneOf(Vec::new())));
        }
        Comparison::Equal | Comparison::NotEqual => (Some(floor), Some(floor)),
        Comparison::Less => (None, Some(ceiling - 1)),
        Comparison::AtMost => (None, Some(floor)),
        Comparison::Greater => (Some(floor + 1), None),
        Comparison::AtLeast => (Some(ceiling), None),
    };
    let ago = |days: i64| DateBound::Today(-days);
    Some(Test::Date(match direction {
        Direction::Since => DateTest::Within(high.map(ago), low.map(ago)),
        Direction::Until => DateTest::Within(low.map(DateBound::Today), high.map(DateBound::Today)),
    }))
}

// ---- the rules' own functions ----

fn own_function(name: &str, arguments: &[Symbol], at: Position) -> Lowered<Symbol> {
    match (name, arguments) {
        ("is_set", [Symbol::Attribute(attribute, kind)]) => Ok(Symbol::Condition(test(attribute, *kind, Test::IsSet))),
        ("today", []) => Ok(Symbol::Day(DateBound::Today(0))),
        ("date", [Symbol::Text(text)]) => match day(&Symbol::Text(Arc::clone(text))) {
            Some(bound) => Ok(Symbol::Day(bound)),
            None => script(at, "a text that is no date"),
        },
        ("days_since", [Symbol::Attribute(attribute, AttributeType::Date)]) => {
            Ok(Symbol::Days(attribute.clone(), Direction::Since))
        }
        ("days_until", [Symbol::Attribute(attribute, AttributeType::Date)]) => {
            Ok(Symbol::Days(attribute.clone(), Direction::Until))
        }
        ("lower", [Symbol::Attribute(attribute, AttributeType::String)]) => Ok(Symbol::Lower(attribute.clone())),
        ("in_segment", [Symbol::Text(text)]) => match SegmentId::new(text) {
            Ok(segment) => Ok(Symbol::Condition(Condition::Segment(segment))),
            Err(_) => script(at, "a text that is no segment"),
        },
        ("between", [value, low, high]) => between(value, low, high, at),
        ("contains", [Symbol::List(items), value]) => one_of(items, value, at),
        ("contains" | "starts_with" | "ends_with", [value, Symbol::Text(text)]) => part_of(name, value, text, at),
        ("matches", [Symbol::Attribute(attribute, AttributeType::String), Symbol::Text(text)]) => {
            match Pattern::new(text) {
                Ok(pattern) => {
                    let found = Test::Text(TextTest { found: TextMatch::Matches(pattern), lowered: false });
                    Ok(Symbol::Condition(test(attribute, AttributeType::String, found)))
                }
                Err(_) => script(at, "a pattern that is too large"),
            }
        }
        _ => script(at, format!("the function `{name}`")),
    }
}

fn between(value: &Symbol, low: &Symbol, high: &Symbol, at: Position) -> Lowered<Symbol> {
    if matches!(low, Symbol::Unit) || matches!(high, Symbol::Unit) {
        return Ok(constant(false));
    }
    let from = with_constant(value, Comparison::AtLeast, low, at)?;
    let to = with_constant(value, Comparison::AtMost, high, at)?;
    match (from, to) {
        (Symbol::Condition(from), Symbol::Condition(to)) => Ok(Symbol::Condition(Condition::All(vec![from, to]))),
        _ => script(at, "`between` of something that is no attribute"),
    }
}

/// `x in [..]`: equal to one of them. Nothing is in any list, and `()` in a list is nobody's value.
fn one_of(items: &[Symbol], value: &Symbol, at: Position) -> Lowered<Symbol> {
    if !matches!(value, Symbol::Attribute(..) | Symbol::Lower(_) | Symbol::Days(..)) {
        return script(at, "`in` of something that is no attribute");
    }
    let items: Vec<&Symbol> = items.iter().filter(|item| **item != Symbol::Unit).collect();
    if let Symbol::Attribute(attribute, AttributeType::Number) = value {
        let numbers: Option<Vec<f64>> = items.iter().map(|item| number(item)).collect();
        if let Some(mut numbers) = numbers {
            numbers.sort_by(f64::total_cmp);
            let found = Test::Number(NumberTest::OneOf(numbers));
            return Ok(Symbol::Condition(test(attribute, AttributeType::Number, found)));
        }
    }
    if let Symbol::Attribute(attribute, AttributeType::String) | Symbol::Lower(attribute) = value {
        let texts = items.iter().map(|item| if let Symbol::Text(text) = item { Some(Arc::clone(text)) } else { None });
        if let Some(mut texts) = texts.collect::<Option<Vec<_>>>() {
            texts.sort();
            let found =
                Test::Text(TextTest { found: TextMatch::OneOf(texts), lowered: matches!(value, Symbol::Lower(_)) });
            return Ok(Symbol::Condition(test(attribute, AttributeType::String, found)));
        }
    }
    let each = items.into_iter().map(|item| {
        let equal = with_constant(value, Comparison::Equal, item, at)?;
        condition(equal, at)
    });
    Ok(Symbol::Condition(Condition::Any(each.collect::<Lowered<_>>()?)))
}

fn part_of(name: &str, value: &Symbol, text: &Arc<str>, at: Position) -> Lowered<Symbol> {
    let (attribute, lowered) = match value {
        Symbol::Attribute(attribute, AttributeType::String) => (attribute, false),
        Symbol::Lower(attribute) => (attribute, true),
        _ => return script(at, format!("`{name}` of something that is no attribute")),
    };
    let text = Arc::clone(text);
    let found = match name {
        "contains" => TextMatch::Contains(text),
        "starts_with" => TextMatch::StartsWith(text),
        _ => TextMatch::EndsWith(text),
    };
    Ok(Symbol::Condition(test(attribute, AttributeType::String, Test::Text(TextTest { found, lowered }))))
}
