//! Statements: what a block gives or returns, and what its variables are afterwards.

use rhai::{ASTFlags, Expr, FlowControl, Position, Stmt};

use super::reach::{assigned, breaks, returns};
use super::symbol::{Symbol, Value};
use super::tree::{Leaf, Tree};
use super::truth::Truth;
use super::{Lowered, Lowering, Variable};

/// Most times that the body of a loop is followed.
const ROUNDS: usize = 100;

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

    fn goes_on(&self) -> bool {
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
        let mut flow = Flow::Leaf(End::Gives(Symbol::Unit));
        for statement in statements {
            if flow.count(&End::goes_on) == 0 {
                break;
            }
            let next = self.statement(statement)?;
            flow = self.then(flow, next, statement.position())?;
        }
        Ok(flow)
    }

    /// One flow after another.
    fn then(&mut self, first: Flow, next: Flow, at: Position) -> Lowered<Flow> {
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
            Stmt::Noop(..) | Stmt::Share(..) => Ok(Tree::Leaf(End::Gives(Symbol::Unit))),
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
            Stmt::For(parts, _) => {
                self.rounds(statement, &parts.2, parts.0.as_str(), parts.1.as_ref().map(|n| n.as_str()))
            }
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
    fn passed_over(&mut self, statement: &'a Stmt) -> Flow {
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

    /// A loop over what is known beforehand: its body, once for each.
    fn rounds(
        &mut self,
        statement: &'a Stmt,
        flow: &'a FlowControl,
        item: &str,
        counter: Option<&str>,
    ) -> Lowered<Flow> {
        let at = statement.position();
        let over = self.value(&flow.expr)?;
        let items: Option<Vec<Symbol>> = match over {
            Tree::Leaf(Symbol::List(items)) => Some(items),
            Tree::Leaf(Symbol::Range { from, to, inclusive }) => {
                let to = if inclusive { to.saturating_add(1) } else { to };
                (to.saturating_sub(from) <= ROUNDS as i64).then(|| (from..to).map(Symbol::Integer).collect())
            }
            _ => None,
        };
        let Some(items) = items.filter(|items| items.len() <= ROUNDS && !flow.body.iter().any(breaks)) else {
            return Ok(self.passed_over(statement));
        };
        let mut all = Flow::Leaf(End::Gives(Symbol::Unit));
        for (number, symbol) in (0..).zip(items) {
            let outer = self.variables.len();
            let bound = [(Some(item), symbol), (counter, Symbol::Integer(number))];
            self.variables.extend(bound.into_iter().filter_map(|(name, symbol)| {
                Some(Variable { name: name?.to_owned(), value: symbol.into(), constant: false })
            }));
            let round = self.block(flow.body.statements())?;
            self.variables.truncate(outer);
            all = self.then(all, round, at)?;
            if all.count(&End::goes_on) == 0 {
                return Ok(all);
            }
        }
        self.then(all, Tree::Leaf(End::Gives(Symbol::Unit)), at)
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
