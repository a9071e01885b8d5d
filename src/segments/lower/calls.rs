//! Calls: operators, the rules' own functions, some of Rhai's, helper functions and closures.

use std::any::TypeId;
use std::sync::Arc;

use rhai::{Dynamic, Expr, FnCallExpr, FnPtr, Position};

use super::arithmetic::{computed, negated};
use super::comparison::{self, Comparison, absolute, compared, day, in_range, one_of, one_text, part_of};
use super::joined::all;
use super::number::{Quantity, Step, beside};
use super::statements::{End, value_of};
use super::symbol::{Symbol, Value};
use super::tree::Tree;
use super::truth::Truth;
use super::{Lowered, Lowering, Variable};
use crate::model::SegmentId;
use crate::predicate::{Condition, DateBound};
use crate::segments::check::Function;
use crate::segments::language::language;
use crate::segments::missing::TESTS;

/// Operators that give nothing where one of their sides is missing.
const ARITHMETIC: [&str; 6] = ["+", "-", "*", "/", "%", "**"];

impl<'a> Lowering<'a> {
    pub(super) fn call(&mut self, call: &'a FnCallExpr, at: Position) -> Lowered<Value> {
        // Rhai itself makes this call where a closure captures variables.
        if call.name == "curry"
            && let [Expr::DynamicConstant(value, _), captured @ ..] = &*call.args
            && let Some(pointer) = value.read_lock::<FnPtr>()
        {
            let captured: Vec<Value> = captured.iter().map(|variable| self.value(variable)).collect::<Lowered<_>>()?;
            let name = pointer.fn_name();
            return self.each(&captured, at, &mut |_, captured| {
                Ok(Symbol::Function { name: name.to_owned(), captured: captured.to_vec() }.into())
            });
        }
        let arguments: Vec<Value> = call.args.iter().map(|argument| self.value(argument)).collect::<Lowered<_>>()?;
        if call.op_token.is_some() && call.name != "contains" {
            return self.operator(&call.name, &arguments, at);
        }
        match self.function(&call.name, arguments.len()) {
            Some(function) => self.inlined(function, arguments, at),
            None => self.native(&call.name, &arguments, at),
        }
    }

    fn function(&self, name: &str, parameters: usize) -> Option<&'a Function> {
        self.functions.iter().find(|function| function.name == name && function.parameters.len() == parameters)
    }

    /// A helper function's value: its body with the arguments for the parameters.
    fn inlined(&mut self, function: &'a Function, arguments: Vec<Value>, at: Position) -> Lowered<Value> {
        // An argument that fails does so before the call.
        let fails = arguments.iter().any(|value| value.count(&|symbol| *symbol == Symbol::Fails) > 0);
        let parameters = |arguments: &[Value]| -> Vec<Variable> {
            let named = function.parameters.iter().zip(arguments);
            named.map(|(name, value)| Variable { name: name.clone(), value: value.clone(), constant: false }).collect()
        };
        if !fails {
            return self.body(function, parameters(&arguments), at);
        }
        self.each(&arguments, at, &mut |lowering, symbols| {
            let arguments: Vec<Value> = symbols.iter().cloned().map(Value::from).collect();
            lowering.body(function, parameters(&arguments), at)
        })
    }

    fn body(&mut self, function: &'a Function, parameters: Vec<Variable>, at: Position) -> Lowered<Value> {
        let variables = std::mem::replace(&mut self.variables, parameters);
        self.inside += 1;
        let flow = self.deeper(at, End::Returns, |lowering| lowering.statements(&function.body));
        self.inside -= 1;
        self.variables = variables;
        flow.map(value_of)
    }

    /// A closure called with one argument.
    fn called(&mut self, closure: &Symbol, argument: &Symbol, at: Position) -> Lowered<Value> {
        let Symbol::Function { name, captured } = closure else { return Ok(self.unknown(at, "a function").into()) };
        match self.function(name, captured.len() + 1) {
            Some(function) if function.is_closure() => {
                let arguments = captured.iter().chain([argument]).cloned().map(Value::from).collect();
                self.inlined(function, arguments, at)
            }
            _ => Ok(self.unknown(at, "a function").into()),
        }
    }

    // ---- operators ----

    pub(super) fn operator(&mut self, name: &str, arguments: &[Value], at: Position) -> Lowered<Value> {
        self.each(arguments, at, &mut |lowering, symbols| {
            Ok(match (name, symbols) {
                ("!", [Symbol::Truth(truth)]) => Symbol::Truth(truth.not()).into(),
                ("!", [Symbol::Unknown(_)]) => Symbol::Truth(Truth::unknown()).into(),
                ("&" | "|" | "^", [Symbol::Truth(left), Symbol::Truth(right)]) => Symbol::Truth(match name {
                    "&" => left.and(right),
                    "|" => left.or(right),
                    _ => left.choose(&right.not(), right),
                })
                .into(),
                (".." | "..=", [Symbol::Integer(from), Symbol::Integer(to)]) => {
                    Symbol::Range { from: *from, to: *to, inclusive: name == "..=" }.into()
                }
                (_, [left, right]) if Comparison::of(name).is_some() => {
                    let comparison = Comparison::of(name).unwrap_or(Comparison::Equal);
                    lowering.answered(compared(left, comparison, right), at).into()
                }
                _ => {
                    let computed = match symbols {
                        [number] if name == "-" => negated(number).map(Value::from),
                        [left, right] => computed(name, left, right),
                        _ => None,
                    };
                    computed.unwrap_or_else(|| lowering.not_computed(name, symbols, at).into())
                }
            })
        })
    }

    /// What an operator gives that can't be followed. Arithmetic of a missing value gives none.
    fn not_computed(&mut self, operator: &str, symbols: &[Symbol], at: Position) -> Symbol {
        if !symbols.iter().any(Symbol::is_unknown) {
            let several = symbols.iter().filter(|symbol| symbol.attribute().is_some()).count() > 1;
            let why = format!("the operator `{operator}`");
            self.unknown(at, if several { "arithmetic with two values of the end user".to_owned() } else { why });
        }
        let needs = symbols.iter().map(Symbol::needs).collect();
        if ARITHMETIC.contains(&operator) { Symbol::Unknown(all(needs)) } else { Symbol::unknown() }
    }

    // ---- functions that the rule does not define ----

    pub(super) fn native(&mut self, name: &str, arguments: &[Value], at: Position) -> Lowered<Value> {
        self.each(arguments, at, &mut |lowering, symbols| match (name, symbols) {
            ("some" | "all", [Symbol::List(items), closure @ Symbol::Function { .. }]) => {
                lowering.every(items, closure, name == "all", at)
            }
            ("filter", [Symbol::List(items), closure @ Symbol::Function { .. }]) => {
                lowering.filtered(items, closure, at)
            }
            ("map", [Symbol::List(items), closure @ Symbol::Function { .. }]) => {
                let items = items.iter().map(|item| lowering.called(closure, item, at)).collect::<Lowered<Vec<_>>>()?;
                lowering.each(&items, at, &mut |_, items| Ok(Symbol::List(items.to_vec()).into()))
            }
            ("call", [closure @ Symbol::Function { .. }, argument]) => lowering.called(closure, argument, at),
            ("abs", [Symbol::Number(quantity)]) if !quantity.whole => {
                let (negative, opposite, same) = absolute(quantity);
                Ok(Tree::fork(&negative, opposite.into(), same.into()))
            }
            _ => Ok(lowering.answer(name, symbols, at).into()),
        })
    }

    /// Whether a closure says yes to some, or to all, of a list.
    fn every(&mut self, items: &[Symbol], closure: &Symbol, all: bool, at: Position) -> Lowered<Value> {
        let mut answer = Value::from(Symbol::constant(all));
        for item in items.iter().rev() {
            let one = self.says_yes(closure, item, at)?;
            let (yes, no) =
                if all { (answer, Symbol::constant(false).into()) } else { (Symbol::constant(true).into(), answer) };
            answer = self.decided(&one, yes, no, &Symbol::Fails, at)?;
        }
        Ok(answer)
    }

    /// Those of a list to which a closure says yes.
    fn filtered(&mut self, items: &[Symbol], closure: &Symbol, at: Position) -> Lowered<Value> {
        let mut filtered = Value::from(Symbol::List(Vec::new()));
        for item in items {
            let with = filtered.clone().mapped(|list| match list {
                Symbol::List(kept) => Symbol::List(kept.into_iter().chain([item.clone()]).collect()),
                other => other,
            });
            let one = self.says_yes(closure, item, at)?;
            filtered = self.decided(&one, with, filtered, &Symbol::Fails, at)?;
        }
        Ok(filtered)
    }

    /// What a closure says to an item; what is no boolean counts as a no.
    fn says_yes(&mut self, closure: &Symbol, item: &Symbol, at: Position) -> Lowered<Value> {
        let said = self.called(closure, item, at)?;
        Ok(said.mapped(|symbol| match symbol {
            Symbol::Truth(_) | Symbol::Fails | Symbol::Unknown(_) => symbol,
            _ => Symbol::constant(false),
        }))
    }

    fn answer(&mut self, name: &str, symbols: &[Symbol], at: Position) -> Symbol {
        let answered = match (name, symbols) {
            (_, symbols) if symbols.iter().any(Symbol::is_unknown) => None,
            ("is_set", [value]) => Some(Symbol::Truth(value.presence())),
            ("in_segment", [Symbol::Word(text)]) => {
                SegmentId::new(text).ok().map(|id| Symbol::exact(Condition::Segment(id)))
            }
            ("between", [value, low, high]) => Some(self.answered(comparison::between(value, low, high), at)),
            ("contains", [Symbol::List(items), value]) => Some(self.answered(one_of(items, value), at)),
            ("contains", [Symbol::Map(entries), value @ (Symbol::Text { .. } | Symbol::Word(_) | Symbol::Unit)]) => {
                let keys: Vec<Symbol> = entries.iter().map(|(key, _)| Symbol::Word(Arc::clone(key))).collect();
                Some(self.answered(one_of(&keys, value), at))
            }
            ("contains", [Symbol::Range { from, to, inclusive }, value @ (Symbol::Number(_) | Symbol::Integer(_))]) => {
                Some(self.answered(in_range(value, *from, *to, *inclusive), at))
            }
            (
                "contains" | "starts_with" | "ends_with" | "matches",
                [Symbol::Text { attribute, lowered }, Symbol::Word(text)],
            ) => Some(self.answered(part_of(name, attribute, *lowered, text), at)),
            _ => None,
        };
        if let Some(symbol) = answered
            .or_else(|| of_texts(name, symbols))
            .or_else(|| of_numbers(name, symbols))
            .or_else(|| of_days(name, symbols))
        {
            return symbol;
        }
        if !symbols.iter().any(Symbol::is_unknown) {
            self.unknown(at, format!("the function `{name}`"));
        }
        let test = TESTS.contains(&name) || name == "between";
        let wanted = |place: usize| test || wants(name, symbols.len(), place);
        let needs = symbols.iter().enumerate().filter(|(place, _)| wanted(*place));
        let needs = all(needs.map(|(_, symbol)| symbol.needs()).collect());
        // Of a missing value a test gives a no, which is a value like any other; what is no test gives none.
        if test { Symbol::Truth(Truth::at_most(needs)) } else { Symbol::Unknown(needs) }
    }
}

/// Whether a function gives nothing, or fails, when that argument is missing: it is one that it does not take.
fn wants(name: &str, arguments: usize, place: usize) -> bool {
    let overloads = language().overloads(name).iter().filter(|types| types.len() == arguments);
    let mut types = overloads.filter_map(|types| types.get(place)).peekable();
    let takes_any = |id: &TypeId| [TypeId::of::<Dynamic>(), TypeId::of::<()>()].contains(id);
    types.peek().is_some() && !types.any(takes_any)
}

fn of_texts(name: &str, symbols: &[Symbol]) -> Option<Symbol> {
    Some(match (name, symbols) {
        ("lower" | "to_lower" | "to_upper" | "len", [Symbol::Unit]) => Symbol::Unit,
        ("lower" | "to_lower", [Symbol::Text { attribute, .. }]) => {
            Symbol::Text { attribute: attribute.clone(), lowered: true }
        }
        ("lower" | "to_lower", [Symbol::Word(text)]) => Symbol::Word(Arc::from(text.to_lowercase())),
        ("to_upper", [Symbol::Word(text)]) => Symbol::Word(Arc::from(text.to_uppercase())),
        ("len", [Symbol::Text { attribute, lowered: false }]) => Symbol::Length(attribute.clone()),
        ("len", [Symbol::Word(text)]) => Symbol::Integer(i64::try_from(text.chars().count()).ok()?),
        ("len", [Symbol::List(items)]) => Symbol::Integer(i64::try_from(items.len()).ok()?),
        ("is_empty", [Symbol::Text { attribute, lowered }]) => {
            Symbol::exact(one_text(attribute, *lowered, vec![Arc::from("")]))
        }
        _ => return None,
    })
}

fn of_numbers(name: &str, symbols: &[Symbol]) -> Option<Symbol> {
    let step = match name {
        "round" => Step::Round,
        "floor" => Step::Floor,
        "ceiling" => Step::Ceiling,
        "int" => Step::Truncate,
        "to_int" => {
            return match symbols {
                [Symbol::Number(quantity)] if !quantity.whole => quantity.to_whole().map(Symbol::Number),
                [Symbol::Integer(number)] => Some(Symbol::Integer(*number)),
                [Symbol::Unit] => Some(Symbol::Unit),
                _ => None,
            };
        }
        "abs" => {
            return match symbols {
                [Symbol::Integer(number)] => number.checked_abs().map(Symbol::Integer),
                [Symbol::Float(number)] => Some(Symbol::Float(number.abs())),
                [Symbol::Unit] => Some(Symbol::Unit),
                _ => None,
            };
        }
        _ => return None,
    };
    match symbols {
        [Symbol::Number(quantity)] if !quantity.whole => Some(Symbol::Number(quantity.clone().then(step))),
        [Symbol::Unit] => Some(Symbol::Unit),
        _ => None,
    }
}

fn of_days(name: &str, symbols: &[Symbol]) -> Option<Symbol> {
    let today = DateBound::Today(0);
    Some(match (name, symbols) {
        ("today", []) => Symbol::Day(today),
        ("date" | "days_since" | "days_until", [Symbol::Unit]) => Symbol::Unit,
        ("date", [Symbol::Day(_) | Symbol::Date { .. }]) => symbols.first()?.clone(),
        ("date", [word @ Symbol::Word(_)]) => Symbol::Day(day(word)?),
        ("days_since", [Symbol::Date { attribute, days }]) => {
            Symbol::Number(Quantity::days_to(attribute.clone(), beside(today, -days)))
        }
        ("days_until", [Symbol::Date { attribute, days }]) => {
            Symbol::Number(Quantity::days_from(attribute.clone(), beside(today, -days)))
        }
        ("days_since", [Symbol::Day(DateBound::Today(days))]) => Symbol::Float(-comparison::as_float(*days)),
        ("days_until", [Symbol::Day(DateBound::Today(days))]) => Symbol::Float(comparison::as_float(*days)),
        _ => return None,
    })
}
