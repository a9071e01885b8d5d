//! The check of calls and operators: whether there is such a function, what it takes, what it gives.
//!
//! Part of the walk in `check`; what goes with what is decided in `typing` and `signatures`.

use rhai::{Expr, FnCallExpr, FnPtr, Position};

use super::Check;
use super::survey::Function;
use crate::model::SegmentId;
use crate::model::spelling::nearest;
use crate::segments::language::{FORBIDDEN, REMOVED, WITHOUT_CLOSURE, language};
use crate::segments::messages::mending;
use crate::segments::signatures::{changes_in_place, check_native, elsewhere, native_gives, own, wrong_count};
use crate::segments::typing::{Kinds, Known, Literal, Wrong, compare, date_literal};
use crate::segments::{limits, patterns};

impl<'a> Check<'a> {
    /// A call in the form `f(x, …)`, an operator among them.
    pub(super) fn call(&mut self, call: &'a FnCallExpr, at: Position) -> Known {
        if !call.namespace.is_empty() {
            let message = format!("rules have no modules: `{}::{}` does not exist", call.namespace, call.name);
            self.wrong(Wrong::new(call.namespace.position(), message));
        }
        if call.capture_parent_scope {
            let message = format!("`{}!(…)` is not available in rules: pass in what the function needs", call.name);
            self.wrong(Wrong::new(at, message));
            return Known::any(at);
        }
        // A closure that captures variables is made by a call that Rhai adds.
        if call.name == "curry"
            && let [Expr::DynamicConstant(value, _), captured @ ..] = &*call.args
            && let Some(pointer) = value.read_lock::<FnPtr>()
        {
            let captured: Vec<Known> = captured.iter().map(|variable| self.root(variable)).collect();
            self.captures(&captured, at);
            self.closure(&pointer, captured);
            return Known::of(Kinds::FUNCTION, at);
        }
        let arguments: Vec<Known> = call.args.iter().map(|argument| self.root(argument)).collect();
        if call.op_token.is_some() && call.name != "contains" {
            return self.operator(&call.name, &arguments, at);
        }
        self.called(&call.name, arguments, false, at)
    }

    /// A call whose arguments are known; of a method the object is the first.
    pub(super) fn called(&mut self, name: &str, arguments: Vec<Known>, method: bool, at: Position) -> Known {
        if let Some(kinds) = self.built_in(name, &arguments) {
            self.use_whole(&arguments);
            return Known::of(kinds, at);
        }
        let scripted = self.functions.iter().filter(|function| function.name == name);
        let counts: Vec<usize> = scripted.clone().map(|function| function.parameters.len()).collect();
        let given = arguments.len() - usize::from(method);
        if let Some(function) = scripted.clone().find(|function| function.parameters.len() == given) {
            return Known::of(self.scripted(function, &arguments, method), at);
        }
        self.use_whole(&arguments);
        let kinds = if name == "contains" {
            self.contains(&arguments, method, at)
        } else if let Some(signature) = own(name) {
            self.own(name, signature.parameters, &arguments, method, at);
            signature.gives
        } else if !language().overloads(name).is_empty() && !REMOVED.contains(&name) && !FORBIDDEN.contains(&name) {
            self.native(name, &arguments, method, at);
            native_gives(name, &arguments)
        } else if counts.is_empty() {
            self.unknown_function(name, &arguments, method, at);
            Kinds::ANY
        } else {
            self.wrong(wrong_count(name, given, &counts, false, at));
            Kinds::ANY
        };
        Known::of(kinds, at)
    }

    fn use_whole(&mut self, arguments: &[Known]) {
        for known in arguments {
            self.whole(known);
        }
    }

    /// What Rhai itself does and has no function for.
    fn built_in(&mut self, name: &str, arguments: &[Known]) -> Option<Kinds> {
        match (name, arguments.len()) {
            ("call", 1..) => Some(Kinds::ANY),
            ("curry", 2..) => Some(Kinds::FUNCTION),
            ("Fn", 1) => {
                // By name any function may be called, so it may be one of these.
                self.findings.uses_today = true;
                if let Some(known) = arguments.first()
                    && known.text().is_none_or(|text| text == "in_segment")
                {
                    let message = "`Fn(…)` needs a function's name as a string, and can't be `in_segment`";
                    self.wrong(Wrong::new(known.at, message));
                }
                Some(Kinds::FUNCTION)
            }
            ("type_of", 1) => Some(Kinds::STRING),
            ("is_shared" | "is_def_var", 1) | ("is_def_fn", 2 | 3) => Some(Kinds::BOOL),
            ("exit", 0 | 1) => {
                let kinds = arguments.first().map_or(Kinds::UNIT, |known| known.kinds);
                self.returns = self.returns.or(if self.depth == 0 { kinds } else { Kinds::ANY });
                Some(Kinds::NEVER)
            }
            _ => None,
        }
    }

    fn scripted(&mut self, function: &'a Function, arguments: &[Known], method: bool) -> Kinds {
        let (object, arguments) =
            if method { arguments.split_at(1.min(arguments.len())) } else { (&[][..], arguments) };
        self.use_whole(object);
        self.function(function, arguments)
    }

    fn unknown_function(&mut self, name: &str, arguments: &[Known], method: bool, at: Position) {
        if REMOVED.contains(&name) || FORBIDDEN.contains(&name) {
            let wrong = Wrong::new(at, format!("`{name}` is not available in rules"));
            return self.wrong(if name == "timestamp" { wrong.hint("`today()` is the day that it is") } else { wrong });
        }
        // `crm.Seats(…)`: the method of an integration is an attribute that was called.
        if method && arguments.first().is_some_and(|object| object.integration.is_some()) {
            let message = format!("`{name}` is called like a function, but attributes are only read");
            return self.wrong(Wrong::new(at, message));
        }
        let scripted = self.functions.iter().map(|function| function.name.as_str());
        let near = nearest(name, language().names().chain(scripted)).or(elsewhere(name));
        let wrong = Wrong::new(at, format!("there is no function `{name}`"));
        let hint = mending(name).or_else(|| near.map(|near| format!("did you mean `{near}`?")));
        self.wrong(hint.into_iter().fold(wrong, Wrong::hint));
    }

    // ---- the rules' own functions ----

    fn own(&mut self, name: &str, parameters: &[(Kinds, &str)], arguments: &[Known], method: bool, at: Position) {
        self.findings.uses_today |= matches!(name, "today" | "days_since" | "days_until");
        if parameters.len() != arguments.len() {
            return self.wrong(wrong_count(name, arguments.len(), &[parameters.len()], method, at));
        }
        let before = self.findings.wrong.len();
        for ((wanted, word), known) in parameters.iter().zip(arguments) {
            if !known.kinds.meets(wanted.or(Kinds::UNIT)) {
                self.wrong(Wrong::new(known.at, format!("`{name}` wants {word} here, not {}", known.in_words())));
            }
        }
        if self.findings.wrong.len() > before {
            return;
        }
        match (name, arguments) {
            ("between", [x, low, high]) => self.between(x, low, high),
            ("date" | "days_since" | "days_until", [day]) => self.day(name, day),
            ("matches", [_, pattern]) => self.pattern(pattern),
            ("in_segment", [segment]) => self.segment(segment),
            ("is_set", [value]) => self.set(value),
            _ => (),
        }
    }

    fn between(&mut self, x: &Known, low: &Known, high: &Known) {
        if [x, low, high].iter().all(|known| known.kinds == Kinds::STRING) {
            let message = format!("`between` compares numbers or dates, not {}", x.in_words());
            return self.wrong(Wrong::new(x.at, message));
        }
        for bound in [low, high] {
            self.judge(compare(x, bound));
        }
    }

    fn day(&mut self, name: &str, day: &Known) {
        if let Some(text) = day.text() {
            self.judge(date_literal(text, day.at));
        } else if day.kinds == Kinds::STRING && name != "date" {
            let attribute = day.name.as_deref().unwrap_or("…");
            let wrong = Wrong::new(day.at, format!("`{name}` wants a date, not {}", day.in_words()));
            self.wrong(wrong.hint(format!("declare it as a date, or write `{name}(date({attribute}))`")));
        }
    }

    fn pattern(&mut self, pattern: &Known) {
        let Some(text) = pattern.text() else { return };
        self.judge(patterns::compiled(text).map(|_| ()).map_err(|message| Wrong::new(pattern.at, message)));
        self.patterns.insert(text.clone());
        if self.patterns.len() > limits::PATTERNS {
            let message = format!("a rule may have at most {} regular expressions", limits::PATTERNS);
            self.wrong(Wrong::new(pattern.at, message));
        }
    }

    fn segment(&mut self, segment: &Known) {
        let Some(text) = segment.text() else {
            let message =
                "`in_segment` needs the segment's id as a string in the rule itself, such as `in_segment(\"premium\")`";
            return self.wrong(Wrong::new(segment.at, message));
        };
        if let Some(id) = self.schema.segments.get(text.as_str()) {
            self.findings.asks.entry(id.clone()).or_insert(segment.at);
            return;
        }
        let wrong = Wrong::new(segment.at, format!("there is no segment `{text}` in this system"));
        let near = nearest(text, self.schema.segments.iter().map(SegmentId::as_str));
        self.wrong(match near {
            Some(near) => wrong.hint(format!("did you mean `{near}`?")),
            None => wrong,
        });
    }

    /// What is asked by `is_set`: not what stands in the rule, nor all attributes together.
    fn set(&mut self, value: &Known) {
        let what = match &value.integration {
            Some(integration) => format!("`{integration}` is a whole integration"),
            None if value.literal.is_some() => format!("{} is the same for everyone", value.in_words()),
            None => return,
        };
        let wrong = Wrong::new(value.at, format!("`is_set` asks whether an attribute has a value, but {what}"));
        let attributes = value.integration.as_ref().and_then(|id| Some((id, self.schema.integrations.get(id)?)));
        let first = attributes.and_then(|(id, names)| Some(format!("`is_set({id}.{})`", names.keys().next()?)));
        self.wrong(match first {
            Some(example) => wrong.hint(format!("name one of its attributes, such as {example}")),
            None => wrong,
        });
    }

    /// `contains(where, what)`, and `what in where`, which is the same.
    fn contains(&mut self, arguments: &[Known], method: bool, at: Position) -> Kinds {
        let [container, item] = arguments else {
            self.wrong(wrong_count("contains", arguments.len(), &[2], method, at));
            return Kinds::BOOL;
        };
        let kinds = container.kinds.without(Kinds::UNIT);
        let wrong_item = |what: &str| Some(Wrong::new(item.at, format!("{what}, not {}", item.in_words())));
        let wrong = if kinds == Kinds::NEVER {
            None
        } else if !kinds.meets(Kinds::ARRAY.or(Kinds::STRING).or(Kinds::MAP).or(Kinds::RANGE).or(Kinds::OTHER)) {
            let message =
                format!("only a list, a string, a map or a range can contain something, not {}", container.in_words());
            Some(Wrong::new(container.at, message))
        } else if item.kinds.meets(Kinds::UNIT) {
            None
        } else if kinds == Kinds::STRING && !item.kinds.meets(Kinds::TEXT) {
            wrong_item("a string can only contain a string")
        } else if kinds == Kinds::MAP && !item.kinds.meets(Kinds::STRING) {
            wrong_item("the keys of a map are texts")
        } else if kinds == Kinds::RANGE && !item.kinds.meets(Kinds::NUMBER) {
            wrong_item("a range contains numbers")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            self.wrong(wrong);
        }
        if let Some(Literal::List(elements)) = &container.literal {
            for element in elements {
                self.judge(compare(item, element));
            }
        }
        Kinds::BOOL
    }

    // ---- Rhai's functions ----

    fn native(&mut self, name: &str, arguments: &[Known], method: bool, at: Position) {
        let [object, rest @ ..] = arguments else {
            return self.judge(check_native(name, arguments, method, at));
        };
        if WITHOUT_CLOSURE.contains(&name) && !rest.is_empty() {
            let wrong = Wrong::new(at, format!("`{name}` with a function is not available in rules"));
            return self.wrong(wrong.hint("`sort()` sorts texts and numbers by themselves"));
        }
        if object.fixed && changes_in_place(name) {
            let called = object.name.as_deref().unwrap_or("the attribute");
            let wrong = Wrong::new(at, format!("`{name}` would change `{called}`, but attributes can only be read"));
            let copy = format!("change a copy: `let x = {called}; x.{name}(…);`");
            return self.wrong(wrong.hint(copy));
        }
        // The kinds of an integration's map are not those of its values.
        if arguments.iter().all(|known| known.kinds != Kinds::OTHER) {
            self.judge(check_native(name, arguments, method, at));
        }
    }

    // ---- operators ----

    fn operator(&mut self, operator: &str, arguments: &[Known], at: Position) -> Known {
        self.use_whole(arguments);
        let kinds = match (operator, arguments) {
            ("!", [value]) => {
                if !value.kinds.meets(Kinds::BOOL) && value.kinds != Kinds::NEVER {
                    let wrong = Wrong::new(value.at, format!("`!` needs a condition, not {}", value.in_words()));
                    let name = value.name.as_deref().filter(|_| value.kinds != Kinds::UNIT);
                    self.wrong(match name {
                        Some(name) => wrong.hint(format!("write `!is_set({name})`")),
                        None => wrong,
                    });
                }
                Kinds::BOOL
            }
            ("==" | "!=" | "<" | "<=" | ">" | ">=", [a, b]) => {
                self.judge(compare(a, b));
                Kinds::BOOL
            }
            (".." | "..=", [from, to]) => {
                for bound in [from, to] {
                    if bound.kinds.without(Kinds::INT.or(Kinds::UNIT)) == bound.kinds {
                        let wrong = Wrong::new(
                            bound.at,
                            format!("a range goes from one whole number to another, not {}", bound.in_words()),
                        );
                        self.wrong(if bound.kinds == Kinds::FLOAT {
                            wrong.hint("write `to_int(…)` around the number")
                        } else {
                            wrong
                        });
                    }
                }
                Kinds::RANGE
            }
            ("-", [value]) => match arithmetic("*", value, &Known::of(Kinds::INT, at)) {
                Some(kinds) => kinds,
                None => {
                    self.wrong(Wrong::new(value.at, format!("`-` needs a number, not {}", value.in_words())));
                    Kinds::NUMBER
                }
            },
            (_, [a, b]) => match arithmetic(operator, a, b) {
                Some(kinds) => kinds,
                None => {
                    self.wrong(no_arithmetic(operator, a, b));
                    Kinds::ANY
                }
            },
            _ => Kinds::ANY,
        };
        Known::of(kinds, at)
    }
}

/// What an operator gives for two values; nothing when it can't take them.
fn arithmetic(operator: &str, a: &Known, b: &Known) -> Option<Kinds> {
    let (left, right) = (a.kinds.without(Kinds::UNIT), b.kinds.without(Kinds::UNIT));
    if left == Kinds::NEVER || right == Kinds::NEVER {
        return Some(Kinds::UNIT);
    }
    if operator == "+" && (left == Kinds::STRING || right == Kinds::STRING) {
        return Some(Kinds::STRING);
    }
    let both = |kinds| left.meets(kinds) && right.meets(kinds);
    let date_and = |kinds| left.meets(Kinds::DATE) && right.meets(kinds);
    let mut gives = Kinds::NEVER;
    if both(Kinds::NUMBER) {
        gives = gives.or(if left == Kinds::INT && right == Kinds::INT { Kinds::INT } else { Kinds::FLOAT });
    }
    match operator {
        "+" => {
            for kinds in [Kinds::ARRAY, Kinds::MAP] {
                gives = gives.or(if both(kinds) { kinds } else { Kinds::NEVER });
            }
            if left.meets(Kinds::TEXT) || right.meets(Kinds::TEXT) {
                gives = gives.or(Kinds::STRING);
            }
            if date_and(Kinds::NUMBER) {
                gives = gives.or(Kinds::DATE);
            }
        }
        "-" => {
            if date_and(Kinds::NUMBER) {
                gives = gives.or(Kinds::DATE);
            }
            if date_and(Kinds::DATE) {
                gives = gives.or(Kinds::FLOAT);
            }
            if both(Kinds::TEXT) {
                gives = gives.or(Kinds::STRING);
            }
        }
        "&" | "|" | "^" if both(Kinds::BOOL) => gives = gives.or(Kinds::BOOL),
        _ => (),
    }
    if gives == Kinds::NEVER {
        return None;
    }
    Some(if a.kinds.is_any() || b.kinds.is_any() { Kinds::ANY } else { gives })
}

fn no_arithmetic(operator: &str, a: &Known, b: &Known) -> Wrong {
    let dates = a.kinds == Kinds::DATE || b.kinds == Kinds::DATE;
    let odd = if a.kinds.meets(Kinds::NUMBER.or(Kinds::DATE)) { b } else { a };
    let wrong = Wrong::new(odd.at, format!("`{operator}` can't take {} and {}", a.in_words(), b.in_words()));
    match odd.text() {
        Some(text) if dates && operator == "-" => wrong.hint(format!("write `date(\"{text}\")`")),
        _ if dates => wrong.hint("to a date days are added (`today() + 30`) or taken away"),
        _ => wrong,
    }
}
