//! Expressions: constants, variables, chains such as `crm.Name.lower()`, and conditions.

use std::sync::Arc;

use rhai::{ASTFlags, Dynamic, Expr, FnPtr, Position};

use super::joined::not;
use super::number::Quantity;
use super::statements::{End, Flow};
use super::symbol::{Symbol, Value};
use super::tree::Tree;
use super::truth::Truth;
use super::{Lowered, Lowering};
use crate::model::{AttributeId, AttributeType, IntegrationId};

impl<'a> Lowering<'a> {
    /// What an expression stands for.
    pub(super) fn value(&mut self, expression: &'a Expr) -> Lowered<Value> {
        let at = expression.start_position();
        self.deeper(at, std::convert::identity, |lowering| lowering.expression(expression, at))
    }

    fn values(&mut self, expressions: impl IntoIterator<Item = &'a Expr>) -> Lowered<Vec<Value>> {
        expressions.into_iter().map(|expression| self.value(expression)).collect()
    }

    fn expression(&mut self, expression: &'a Expr, at: Position) -> Lowered<Value> {
        Ok(Tree::Leaf(match expression {
            Expr::BoolConstant(flag, _) => Symbol::constant(*flag),
            Expr::IntegerConstant(number, _) => Symbol::Integer(*number),
            Expr::FloatConstant(number, _) => Symbol::Float(**number),
            Expr::StringConstant(text, _) => Symbol::Word(Arc::from(text.as_str())),
            Expr::Unit(_) => Symbol::Unit,
            Expr::DynamicConstant(value, _) => self.constant(value, at),
            Expr::Variable(variable, ..) if variable.2.is_empty() => return Ok(self.variable(&variable.1, at)),
            Expr::Array(elements, _) => {
                let elements = self.values(elements.iter())?;
                return self.each(&elements, at, &mut |_, elements| Ok(Symbol::List(elements.to_vec()).into()));
            }
            Expr::Map(entries, _) => {
                let values = self.values(entries.0.iter().map(|(_, value)| value))?;
                let keys: Vec<Arc<str>> = entries.0.iter().map(|(key, _)| Arc::from(key.as_str())).collect();
                return self.each(&values, at, &mut |_, values| {
                    Ok(Symbol::Map(keys.iter().cloned().zip(values.iter().cloned()).collect()).into())
                });
            }
            Expr::And(terms, _) => return self.joined(terms, true, at),
            Expr::Or(terms, _) => return self.joined(terms, false, at),
            Expr::Coalesce(terms, _) => return self.first_there(terms, at),
            Expr::Stmt(block) => {
                let flow = self.block(block.statements())?;
                return Ok(self.within(flow, at));
            }
            Expr::FnCall(call, at) => return self.call(call, *at),
            Expr::Dot(pair, flags, _) => {
                let base = self.value(&pair.lhs)?;
                return self.dot(base, &pair.rhs, *flags, at);
            }
            Expr::Index(pair, flags, _) => {
                let base = self.value(&pair.lhs)?;
                return self.index(base, &pair.rhs, *flags, at);
            }
            Expr::InterpolatedString(..) => self.unknown(at, "a text that is put together"),
            _ => self.unknown(at, "an expression that is no condition over attributes"),
        }))
    }

    /// The value of a block within an expression; none of those returns (`reach`).
    fn within(&mut self, flow: Flow, at: Position) -> Value {
        let returns = |end: &End| matches!(end, End::Returns(symbol) if *symbol != Symbol::Fails);
        if flow.count(&returns) > 0 {
            return self.unknown(at, "statements within an expression").into();
        }
        super::statements::value_of(flow)
    }

    fn constant(&mut self, value: &Dynamic, at: Position) -> Symbol {
        match value.read_lock::<FnPtr>() {
            Some(pointer) => Symbol::Function { name: pointer.fn_name().to_owned(), captured: Vec::new() },
            None => self.unknown(at, "a constant of this kind"),
        }
    }

    /// What a variable is at this point.
    pub(super) fn variable(&mut self, name: &str, at: Position) -> Value {
        if let Some(variable) = self.variables.iter().rev().find(|variable| variable.name == name) {
            if !self.reach.meddled.contains(name) {
                return variable.value.clone();
            }
            return self.unknown(at, format!("the variable `{name}`, which changes within calls")).into();
        }
        match self.schema.integrations.get_key_value(name) {
            Some((id, _)) if self.inside == 0 => Symbol::Integration(id.clone()).into(),
            _ => self.unknown(at, format!("the variable `{name}`")).into(),
        }
    }

    // ---- conditions ----

    fn joined(&mut self, terms: &'a [Expr], all: bool, at: Position) -> Lowered<Value> {
        let decided = Value::from(Symbol::constant(!all));
        let mut joined = Value::from(Symbol::constant(all));
        for term in terms {
            if joined == decided {
                break;
            }
            let term = self.value(term)?;
            joined = if all { self.and(&joined, &term, at)? } else { self.or(&joined, &term, at)? };
        }
        Ok(joined)
    }

    pub(super) fn and(&mut self, left: &Value, right: &Value, at: Position) -> Lowered<Value> {
        let right = self.truths(after(left, true, right.clone()), at)?;
        self.decided(left, right, Symbol::constant(false).into(), &Symbol::Fails, at)
    }

    fn or(&mut self, left: &Value, right: &Value, at: Position) -> Lowered<Value> {
        let right = self.truths(after(left, false, right.clone()), at)?;
        self.decided(left, Symbol::constant(true).into(), right, &Symbol::Fails, at)
    }

    /// A value that is used as a condition.
    fn truths(&mut self, value: Value, at: Position) -> Lowered<Value> {
        value.replaced(&mut |symbol| {
            Ok(Tree::Leaf(match symbol {
                Symbol::Truth(_) | Symbol::Fails => symbol,
                Symbol::Unknown(needs) => Symbol::Truth(Truth::at_most(needs)),
                _ => {
                    self.unknown(at, "a value that is no condition");
                    Symbol::Truth(Truth::unknown())
                }
            }))
        })
    }

    /// `a ?? b`: the first that is there.
    fn first_there(&mut self, terms: &'a [Expr], at: Position) -> Lowered<Value> {
        let Some((last, others)) = terms.split_last() else { return Ok(Symbol::Unit.into()) };
        let mut value = self.value(last)?;
        for other in others.iter().rev() {
            let other = self.value(other)?;
            let otherwise = value;
            value = other.replaced(&mut |symbol| {
                Ok(match symbol {
                    Symbol::Fails => symbol.into(),
                    Symbol::Unknown(_) => Symbol::unknown().into(),
                    there => Tree::fork(&there.presence(), there.clone().into(), otherwise.clone()),
                })
            })?;
            self.spend(&value, at)?;
        }
        Ok(value)
    }

    // ---- chains: `crm.Name.lower()`, `crm["Seats"]` ----

    fn dot(&mut self, base: Value, rest: &'a Expr, flags: ASTFlags, at: Position) -> Lowered<Value> {
        let value = match rest {
            Expr::Dot(pair, flags, at) => {
                let next = self.member(&base, &pair.lhs)?;
                self.dot(next, &pair.rhs, *flags, *at)?
            }
            Expr::Index(pair, flags, at) => {
                let next = self.member(&base, &pair.lhs)?;
                self.index(next, &pair.rhs, *flags, *at)?
            }
            last => self.member(&base, last)?,
        };
        self.perhaps(&base, value, flags, at)
    }

    fn index(&mut self, base: Value, rest: &'a Expr, flags: ASTFlags, at: Position) -> Lowered<Value> {
        let value = match rest {
            Expr::Dot(pair, inner, at) if !flags.contains(ASTFlags::BREAK) => {
                let next = self.element(&base, &pair.lhs)?;
                self.dot(next, &pair.rhs, *inner, *at)?
            }
            Expr::Index(pair, inner, at) if !flags.contains(ASTFlags::BREAK) => {
                let next = self.element(&base, &pair.lhs)?;
                self.index(next, &pair.rhs, *inner, *at)?
            }
            last => self.element(&base, last)?,
        };
        self.perhaps(&base, value, flags, at)
    }

    /// After `?.` and `?[`, nothing is done with what is missing.
    fn perhaps(&mut self, base: &Value, value: Value, flags: ASTFlags, at: Position) -> Lowered<Value> {
        if !flags.contains(ASTFlags::NEGATED) {
            return Ok(value);
        }
        let there = base.clone().mapped(|symbol| match symbol {
            Symbol::Fails => symbol,
            symbol => Symbol::Truth(symbol.presence()),
        });
        self.decided(&there, value, Symbol::Unit.into(), &Symbol::Fails, at)
    }

    fn member(&mut self, base: &Value, member: &'a Expr) -> Lowered<Value> {
        let at = member.start_position();
        match member {
            Expr::Property(names, at) => {
                let name = names.2.as_str();
                self.each(std::slice::from_ref(base), *at, &mut |lowering, base| {
                    Ok(base.first().map_or(Symbol::unknown(), |base| lowering.property(base, name, *at)).into())
                })
            }
            Expr::MethodCall(call, at) => {
                let arguments = self.values(call.args.iter())?;
                let arguments: Vec<Value> = std::iter::once(base.clone()).chain(arguments).collect();
                // A function of the rule's own, perhaps of the same name as one of ours, works on `this`.
                if self.functions.iter().any(|function| function.name == call.name.as_str()) {
                    let why = format!("the rule's own function `{}` as a method", call.name);
                    return Ok(self.unknown(*at, why).into());
                }
                self.native(&call.name, &arguments, *at)
            }
            _ => Ok(self.unknown(at, "an expression behind a dot").into()),
        }
    }

    fn element(&mut self, base: &Value, place: &'a Expr) -> Lowered<Value> {
        let at = place.start_position();
        let place = self.value(place)?;
        self.each(&[base.clone(), place], at, &mut |lowering, symbols| {
            Ok(match symbols {
                [base @ (Symbol::Unit | Symbol::Unknown(_)), _] => base.clone().into(),
                [Symbol::Integration(_) | Symbol::Map(_), Symbol::Word(name)] => {
                    symbols.first().map_or(Symbol::unknown(), |base| lowering.property(base, name, at)).into()
                }
                [Symbol::Map(entries), Symbol::Text { .. }] => {
                    symbols.get(1).map_or(Symbol::unknown().into(), |key| looked_up(entries, key))
                }
                [Symbol::List(items), Symbol::Integer(place)] => {
                    let item = usize::try_from(*place).ok().and_then(|place| items.get(place).cloned());
                    item.unwrap_or_else(|| lowering.unknown(at, "an index")).into()
                }
                _ => lowering.unknown(at, "an index").into(),
            })
        })
    }

    fn property(&mut self, base: &Symbol, name: &str, at: Position) -> Symbol {
        match base {
            Symbol::Integration(integration) => match self.attribute(integration, name) {
                Some(symbol) => symbol,
                None => self.unknown(at, format!("the property `{name}`")),
            },
            Symbol::Map(entries) => {
                entries.iter().find(|(key, _)| **key == *name).map_or(Symbol::Unit, |(_, symbol)| symbol.clone())
            }
            Symbol::Unit | Symbol::Unknown(_) => base.clone(),
            Symbol::Text { attribute, lowered: false } if name == "len" => Symbol::Length(attribute.clone()),
            _ => self.unknown(at, format!("the property `{name}`")),
        }
    }

    fn attribute(&self, integration: &IntegrationId, name: &str) -> Option<Symbol> {
        let (name, kind) = self.schema.integrations.get(integration)?.get_key_value(name)?;
        let attribute = AttributeId { integration: integration.clone(), name: name.clone() };
        Some(match kind {
            AttributeType::String => Symbol::Text { attribute, lowered: false },
            AttributeType::Number => Symbol::Number(Quantity::number(attribute)),
            AttributeType::Date => Symbol::Date { attribute, days: 0 },
        })
    }
}

/// What the right side of an `&&` or `||` can be, which is asked only if the left is so.
fn after(left: &Value, is: bool, right: Value) -> Value {
    match left {
        Tree::Leaf(Symbol::Truth(Truth::Exact(condition))) if is => right.given(condition),
        Tree::Leaf(Symbol::Truth(Truth::Exact(condition))) => right.given(&not(condition.clone())),
        _ => right,
    }
}

/// The entry of a map that a String attribute names. The script fails where it is missing.
fn looked_up(entries: &[(Arc<str>, Symbol)], key: &Symbol) -> Value {
    let missing = Tree::fork(&key.presence(), Symbol::Unit.into(), Symbol::Fails.into());
    entries.iter().rev().fold(missing, |otherwise, (name, symbol)| {
        let named = super::comparison::one_of(&[Symbol::Word(Arc::clone(name))], key);
        Tree::fork(&named.unwrap_or_else(|_| Truth::unknown()), symbol.clone().into(), otherwise)
    })
}
