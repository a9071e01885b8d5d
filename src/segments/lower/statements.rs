//! Statements: what a block gives or returns, and what its variables are afterwards.

use rhai::{ASTFlags, Expr, FlowControl, Position, Stmt};

use super::reach::{assigned, returns};
use super::symbol::{Symbol, Value};
use super::tree::{Leaf, Tree};
use super::truth::Truth;
use super::{Lowered, Lowering, Variable};

/// How statements end: the last of them gives a value, or one leaves the function with it.
pub(super) type Flow = Tree<End>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Gives(Symbol),
    Returns(Symbol),
}

impl End {
    pub(super) fn gives(symbol: Symbol) -> Self {
        // A failure ends everything.
        if symbol == Symbol::Fails { Self::Returns(symbol) } else { Self::Gives(symbol) }
    }

    pub(super) fn goes_on(&self) -> bool {
        matches!(self, Self::Gives(_))
    }
}

impl Leaf for End {
    fn chosen(asked: &Truth, yes: &Self, no: &Self) -> Option<Self> {
        match (yes, no) {
            (Self::Gives(yes), Self::Gives(no)) => Symbol::chosen(asked, yes, no).map(Self::Gives),
            (Self::Returns(yes), Self::Returns(no)) => Symbol::chosen(asked, yes, no).map(Self::Returns),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        let (Self::Gives(symbol) | Self::Returns(symbol)) = self;
        symbol.size()
    }
}

/// The value of a function, or of the rule, that ends so.
pub(super) fn value_of(flow: Flow) -> Value {
    flow.mapped(|end| match end {
        End::Gives(symbol) | End::Returns(symbol) => symbol,
    })
}

pub(super) fn gives(value: Value) -> Flow {
    value.mapped(End::gives)
}

/// The end of statements that give no value.
pub(super) fn no_value() -> Flow {
    Tree::Leaf(End::Gives(Symbol::Unit))
}

/// Nothing, or the failure that a value is.
fn nothing(value: &Value) -> Flow {
    value.clone().mapped(|symbol| End::gives(if symbol == Symbol::Fails { symbol } else { Symbol::Unit }))
}

impl<'a> Lowering<'a> {
    /// The rule itself.
    pub(super) fn rule(&mut self, statements: &'a [Stmt]) -> Lowered<Truth> {
        let at = statements.last().map_or(Position::NONE, Stmt::position);
        let value = value_of(self.statements(statements)?);
        let truths = value.replaced(&mut |symbol| {
            Ok(Tree::Leaf(match symbol {
                Symbol::Truth(truth) => Symbol::Truth(truth),
                Symbol::Fails => Symbol::constant(false),
                Symbol::Unknown(needs) => Symbol::Truth(Truth::at_most(needs)),
                _ => {
                    self.unknown(at, "a value that is no condition");
                    Symbol::Truth(Truth::unknown())
                }
            }))
        })?;
        match truths {
            Tree::Leaf(Symbol::Truth(truth)) => Ok(truth),
            _ => Ok(Truth::unknown()),
        }
    }

    /// Statements in a scope of their own.
    pub(super) fn block(&mut self, statements: &'a [Stmt]) -> Lowered<Flow> {
        let outer = self.variables.len();
        let at = statements.first().map_or(Position::NONE, Stmt::position);
        let flow = self.deeper(at, End::Returns, |lowering| lowering.statements(statements));
        self.variables.truncate(outer);
        flow
    }

    pub(super) fn statements(&mut self, statements: &'a [Stmt]) -> Lowered<Flow> {
        let mut flow = no_value();
        let mut rest = statements;
        while let Some((statement, others)) = rest.split_first() {
            if flow.count(&End::goes_on) == 0 {
                break;
            }
            let at = statement.position();
            let next = self.statement(statement)?;
            flow = self.then(flow, next, at)?;
            rest = others;
            // After a `break` or a `continue` the rest is for those alone for whom it did not come to that.
            let Some(left) = self.is_round_left().filter(|_| !rest.is_empty()) else { continue };
            let next = self.branch(&left, at, |_| Ok(no_value()), |lowering| lowering.statements(rest))?;
            return self.then(flow, next, at);
        }
        Ok(flow)
    }

    /// One flow after another.
    pub(super) fn then(&mut self, first: Flow, next: Flow, at: Position) -> Lowered<Flow> {
        let flow = first.replaced(&mut |end| {
            if end.goes_on() {
                self.spend(&next, at)?;
                return Ok(next.clone());
            }
            Ok(Tree::Leaf(end))
        })?;
        self.spend(&flow, at)?;
        Ok(flow)
    }

    fn statement(&mut self, statement: &'a Stmt) -> Lowered<Flow> {
        let at = statement.position();
        match statement {
            // What a closure captures is shared with it; `reach` knows what that changes.
            Stmt::Noop(..) | Stmt::Share(..) => Ok(no_value()),
            Stmt::Expr(expression) => Ok(gives(self.value(expression)?)),
            Stmt::FnCall(call, at) => Ok(gives(self.call(call, *at)?)),
            Stmt::Block(block) => self.block(block.statements()),
            Stmt::Var(parts, flags, _) => {
                let (name, value, _) = &**parts;
                let value = self.value(value)?;
                let flow = nothing(&value);
                let constant = flags.contains(ASTFlags::CONSTANT);
                self.variables.push(Variable { name: name.as_str().to_owned(), value, constant });
                Ok(flow)
            }
            Stmt::Return(value, flags, _) if !flags.contains(ASTFlags::BREAK) => {
                let value = value.as_ref().map_or(Ok(Symbol::Unit.into()), |value| self.value(value))?;
                Ok(value.mapped(End::Returns))
            }
            Stmt::If(flow, _) => self.choice(flow),
            Stmt::Switch(switch, at) => self.switch(&switch.0, &switch.1, *at),
            Stmt::For(parts, _) => match self.items(parts)? {
                Some(items) => self.rounds(parts, &items, at),
                None => Ok(self.passed_over(statement)),
            },
            Stmt::BreakLoop(None, flags, _) => Ok(self.leave_round(flags.contains(ASTFlags::BREAK))),
            Stmt::Assignment(assignment) => match &assignment.1.lhs {
                Expr::Variable(variable, ..) if variable.2.is_empty() => {
                    let operator = assignment.0.get_op_assignment_info().map(|info| info.5);
                    self.assignment(&variable.1, operator, &assignment.1.rhs, at)
                }
                _ => Ok(Tree::Leaf(End::Gives(self.unknown(at, "an assignment to a part of something")))),
            },
            other => Ok(self.passed_over(other)),
        }
    }

    /// A statement that is not followed: what it may change is unknown from here on.
    pub(super) fn passed_over(&mut self, statement: &'a Stmt) -> Flow {
        let unknown = self.unknown(statement.position(), why_not(statement));
        let names = assigned(statement);
        for variable in self.variables.iter_mut().filter(|variable| names.contains(&variable.name)) {
            variable.value = Symbol::unknown().into();
        }
        let leaves = returns(statement) || matches!(statement, Stmt::Return(..) | Stmt::BreakLoop(..));
        Tree::Leaf(if leaves { End::Returns(unknown) } else { End::Gives(unknown) })
    }

    fn assignment(&mut self, name: &str, operator: Option<&str>, value: &'a Expr, at: Position) -> Lowered<Flow> {
        let mut value = self.value(value)?;
        if let Some(operator) = operator {
            let before = self.variable(name, at);
            value = self.operator(operator, &[before, value], at)?;
        }
        let flow = nothing(&value);
        match self.variables.iter_mut().rev().find(|variable| variable.name == name) {
            Some(variable) if !variable.constant => variable.value = value,
            _ => return Ok(Tree::Leaf(End::Returns(self.unknown(at, "an assignment to a constant")))),
        }
        Ok(flow)
    }

    fn choice(&mut self, flow: &'a FlowControl) -> Lowered<Flow> {
        let asked = self.value(&flow.expr)?;
        let at = flow.expr.start_position();
        let (yes, no) = (flow.body.statements(), flow.branch.statements());
        self.branch(&asked, at, |lowering| lowering.block(yes), |lowering| lowering.block(no))
    }

    /// One way or the other, by a condition. What the variables are afterwards depends on it, too.
    pub(super) fn branch(
        &mut self,
        asked: &Value,
        at: Position,
        yes: impl FnOnce(&mut Self) -> Lowered<Flow>,
        no: impl FnOnce(&mut Self) -> Lowered<Flow>,
    ) -> Lowered<Flow> {
        if *asked == Symbol::constant(true).into() {
            return yes(self);
        }
        if *asked == Symbol::constant(false).into() {
            return no(self);
        }
        let before = self.variables.clone();
        let yes = yes(self)?;
        let after_yes = std::mem::replace(&mut self.variables, before);
        let no = no(self)?;
        match (yes.count(&End::goes_on), no.count(&End::goes_on)) {
            (0, _) => (),
            (_, 0) => self.variables = after_yes,
            _ => {
                let mut after_no = std::mem::take(&mut self.variables);
                for (variable, yes) in after_no.iter_mut().zip(after_yes) {
                    if variable.value != yes.value {
                        variable.value = self.decided(asked, yes.value, variable.value.clone(), &Symbol::Fails, at)?;
                    }
                }
                self.variables = after_no;
            }
        }
        self.decided(asked, yes, no, &End::Returns(Symbol::Fails), at)
    }

    /// `yes` where the condition holds, else `no`, and `fails` where it fails.
    pub(super) fn decided<L: Leaf>(
        &mut self,
        asked: &Value,
        yes: Tree<L>,
        no: Tree<L>,
        fails: &L,
        at: Position,
    ) -> Lowered<Tree<L>> {
        let tree = asked.clone().replaced(&mut |symbol| {
            let truth = match symbol {
                Symbol::Truth(truth) => truth,
                Symbol::Fails => return Ok(Tree::Leaf(fails.clone())),
                Symbol::Unknown(needs) => Truth::at_most(needs),
                _ => {
                    self.unknown(at, "a value that is no condition");
                    Truth::unknown()
                }
            };
            Ok(Tree::fork(&truth, yes.clone(), no.clone()))
        })?;
        self.spend(&tree, at)?;
        Ok(tree)
    }
}

fn why_not(statement: &Stmt) -> &'static str {
    match statement {
        Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) => "a loop",
        Stmt::TryCatch(..) => "a `try`",
        Stmt::Return(..) => "a `throw`",
        _ => "a statement that is no condition",
    }
}
