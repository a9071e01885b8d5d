//! `switch`: one arm after the other, each taken where its case is met and none before it was.
//!
//! Rhai finds a case by the hash of its value, and keeps nothing else of it. Which hash is whose is found by having
//! Rhai parse the values that stand in the rule as cases again; a case that is none of them can't be followed.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use rhai::{Expr, Position, RangeCase, Stmt, SwitchCasesCollection, Token};

use super::comparison::{Comparison, as_float, compared, in_range};
use super::number::WHOLE;
use super::statements::{Flow, gives};
use super::symbol::{Symbol, Value};
use super::truth::Truth;
use super::{Lowered, Lowering};
use crate::segments::language::language;

/// What a case is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Case {
    Nothing,
    Flag(bool),
    Integer(i64),
    Word(Arc<str>),
    Range { from: i64, to: i64, inclusive: bool },
}

/// An arm: what meets it, and what it does.
struct Arm<'a> {
    /// Its cases; nothing when they are not all known.
    cases: Option<Vec<Case>>,
    condition: &'a Expr,
    body: &'a Expr,
}

impl<'a> Lowering<'a> {
    pub(super) fn switch(
        &mut self,
        subject: &'a Expr,
        cases: &'a SwitchCasesCollection,
        at: Position,
    ) -> Lowered<Flow> {
        let subject = self.value(subject)?;
        if self.literals.is_none() {
            self.literals = Some(hashes(&literals(self.text)));
        }
        let mut arms = arms(cases, self.literals.as_ref());
        let default = cases.def_case.filter(|place| *place < arms.len()).map(|place| arms.remove(place).body);
        self.arms(&subject, &arms, default, at)
    }

    fn arms(&mut self, subject: &Value, arms: &[Arm<'a>], default: Option<&'a Expr>, at: Position) -> Lowered<Flow> {
        let Some((arm, rest)) = arms.split_first() else {
            return default.map_or_else(|| Ok(gives(Symbol::Unit.into())), |body| self.arm(body));
        };
        let met = self.each(std::slice::from_ref(subject), at, &mut |lowering, subject| {
            let [subject] = subject else { return Ok(Symbol::unknown().into()) };
            Ok(lowering.met(subject, arm, at).into())
        })?;
        let condition = match arm.condition {
            Expr::BoolConstant(true, _) => Symbol::constant(true).into(),
            condition => self.value(condition)?,
        };
        let asked = self.and(&met, &condition, at)?;
        self.branch(
            &asked,
            at,
            |lowering| lowering.arm(arm.body),
            |lowering| {
                lowering.deeper(at, super::statements::End::Returns, |deeper| deeper.arms(subject, rest, default, at))
            },
        )
    }

    fn arm(&mut self, body: &'a Expr) -> Lowered<Flow> {
        match body {
            Expr::Stmt(block) => self.block(block.statements()),
            other => Ok(gives(self.value(other)?)),
        }
    }

    /// Whether the subject is one of the cases of the arm.
    fn met(&mut self, subject: &Symbol, arm: &Arm<'_>, at: Position) -> Symbol {
        let Some(cases) = &arm.cases else {
            self.unknown(arm.body.start_position(), "a case of this kind");
            return Symbol::Truth(Truth::unknown());
        };
        let met = cases.iter().try_fold(Truth::constant(false), |met, case| Some(met.or(&is_case(subject, case)?)));
        Symbol::Truth(met.unwrap_or_else(|| {
            self.unknown(at, "a `switch` over such a value");
            Truth::unknown()
        }))
    }
}

/// Whether the subject is that case; nothing when that can't be told. Cases are found by hash, so nothing is converted.
fn is_case(subject: &Symbol, case: &Case) -> Option<Truth> {
    let equal = |other: Symbol| compared(subject, Comparison::Equal, &other).ok();
    match (subject, case) {
        (Symbol::Unknown(_), _) => None,
        (subject, Case::Nothing) => Some(subject.presence().not()),
        (Symbol::Truth(truth), Case::Flag(flag)) => Some(if *flag { truth.clone() } else { truth.not() }),
        (Symbol::Text { .. } | Symbol::Word(_), Case::Word(text)) => equal(Symbol::Word(Arc::clone(text))),
        (Symbol::Integer(_) | Symbol::Length(_), Case::Integer(number)) => equal(Symbol::Integer(*number)),
        (Symbol::Number(quantity), Case::Integer(number)) if quantity.whole => equal(Symbol::Integer(*number)),
        (Symbol::Number(_) | Symbol::Integer(_) | Symbol::Length(_), Case::Range { from, to, inclusive }) => {
            let exact = [from, to].into_iter().all(|end| as_float(*end).abs() <= WHOLE);
            in_range(subject, *from, *to, *inclusive).ok().filter(|_| exact)
        }
        (Symbol::Float(_), _) => None,
        (
            Symbol::List(_) | Symbol::Map(_) | Symbol::Function { .. } | Symbol::Range { .. } | Symbol::Integration(_),
            _,
        ) => None,
        _ => Some(Truth::constant(false)),
    }
}

/// The arms in the order in which they stand.
fn arms<'a>(switch: &'a SwitchCasesCollection, literals: Option<&HashMap<u64, Case>>) -> Vec<Arm<'a>> {
    let ranges = switch.ranges.iter().map(|range| match range {
        RangeCase::ExclusiveInt(range, _) => Case::Range { from: range.start, to: range.end, inclusive: false },
        RangeCase::InclusiveInt(range, _) => Case::Range { from: *range.start(), to: *range.end(), inclusive: true },
    });
    let ranges: Vec<Case> = ranges.collect();
    // A range has a hash, too, by which no value is found.
    let hashes_of_ranges = if ranges.is_empty() { HashMap::new() } else { hashes(&ranges) };
    let mut arms: Vec<Arm<'a>> = switch
        .expressions
        .iter()
        .map(|arm| Arm { cases: Some(Vec::new()), condition: &arm.lhs, body: &arm.rhs })
        .collect();
    for (hash, list) in &switch.cases {
        for place in &list.blocks {
            let Some(arm) = arms.get_mut(*place).filter(|_| !hashes_of_ranges.contains_key(hash)) else { continue };
            match literals.and_then(|literals| literals.get(hash)) {
                Some(case) => arm.cases.iter_mut().for_each(|cases| cases.push(case.clone())),
                None => arm.cases = None,
            }
        }
    }
    for (range, case) in switch.ranges.iter().zip(ranges) {
        if let Some(cases) = arms.get_mut(range.index()).and_then(|arm| arm.cases.as_mut()) {
            cases.push(case);
        }
    }
    arms.iter_mut().filter_map(|arm| arm.cases.as_mut()).for_each(|cases| cases.sort());
    arms
}

/// The values that stand in a rule.
fn literals(text: &str) -> Vec<Case> {
    let mut found = BTreeSet::from([Case::Nothing, Case::Flag(true), Case::Flag(false)]);
    let texts = [text];
    let tokens = language().engine.lex(&texts).0;
    for token in tokens.map(|(token, _)| token).take_while(|token| *token != Token::EOF) {
        match token {
            Token::StringConstant(text) => {
                found.insert(Case::Word(Arc::from(text.as_str())));
            }
            Token::IntegerConstant(number) => found.extend([Case::Integer(number), Case::Integer(-number)]),
            _ => (),
        }
    }
    found.into_iter().collect()
}

/// By which hash Rhai finds each of those cases.
fn hashes(cases: &[Case]) -> HashMap<u64, Case> {
    let arms: String = cases.iter().map(|case| format!("{} => 0, ", written(case))).collect();
    let text = format!("switch 0 {{ {arms} }}");
    let Ok(ast) = language().engine.compile(&text) else { return HashMap::new() };
    let [Stmt::Switch(switch, _)] = ast.statements() else { return HashMap::new() };
    let hashes = switch.1.cases.iter().filter_map(|(hash, list)| {
        let [place] = list.blocks.as_slice() else { return None };
        Some((*hash, cases.get(*place)?.clone()))
    });
    hashes.collect()
}

fn written(case: &Case) -> String {
    match case {
        Case::Nothing => "()".to_owned(),
        Case::Flag(flag) => flag.to_string(),
        Case::Integer(number) => number.to_string(),
        Case::Range { from, to, inclusive } => format!("{from}..{}{to}", if *inclusive { "=" } else { "" }),
        Case::Word(text) => {
            let mut written = "\"".to_owned();
            for letter in text.chars() {
                if letter.is_ascii_alphanumeric() {
                    written.push(letter);
                } else {
                    let _ = write!(written, "\\U{:08X}", u32::from(letter));
                }
            }
            written + "\""
        }
    }
}
