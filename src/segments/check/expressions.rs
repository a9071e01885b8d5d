//! The check of expressions: literals, variables, attributes, chains such as `crm.Name.len()`.
//!
//! Part of the walk in `check`.

use std::collections::BTreeMap;

use rhai::{ASTFlags, Dynamic, Expr, FnPtr, Position};

use super::{Check, attribute_id};
use crate::model::spelling::nearest;
use crate::model::{AttributeName, IntegrationId};
use crate::segments::language::language;
use crate::segments::messages::mending;
use crate::segments::signatures::{elsewhere, native_gives};
use crate::segments::typing::{Kinds, Known, Literal, Wrong};

impl<'a> Check<'a> {
    pub(super) fn condition(&mut self, expression: &'a Expr) {
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
    pub(super) fn expression(&mut self, expression: &'a Expr) -> Known {
        let known = self.root(expression);
        self.whole(&known);
        known
    }

    /// An expression of which perhaps only a part is used, such as the `crm` of `crm.Seats`.
    pub(super) fn root(&mut self, expression: &'a Expr) -> Known {
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
        let mut hint = mending(name).or_else(|| nearest(name, names).map(|near| format!("did you mean `{near}`?")));
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
        if language().overloads(&format!("get${name}")).is_empty() {
            let wrong = Wrong::new(at, format!("{} has no property `{name}`", base.in_words()));
            let known = !language().overloads(name).is_empty();
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
    pub(super) fn whole(&mut self, known: &Known) {
        if let Some(integration) = &known.integration {
            let names = self.schema.integrations.get(integration).into_iter().flat_map(BTreeMap::keys);
            self.findings.reads.extend(names.map(|name| attribute_id(integration, name)));
        }
    }
}
