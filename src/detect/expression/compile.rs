//! From CEL's text to a checked tree.

use cel::{
    Program,
    common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators},
};

use super::{Asks, Math, Node, Op, Slot, Type, judge::slot_type};
use crate::detect::problem::nearest;

/// The most parts of one expression.
const NODES_MAX: usize = 200;
/// The longest expression, in bytes.
const TEXT_MAX: usize = 2000;

/// A variable that an expression may name.
#[derive(Debug, Clone, Copy)]
pub(in crate::detect) struct Variable {
    pub(in crate::detect) slot: Slot,
    /// What its values can be, where that is known.
    pub(in crate::detect) range: Option<(f64, f64)>,
}

/// The variables there are.
pub(in crate::detect) trait Scope {
    /// The variable of this name, such as `severity` or `short.run`.
    fn find(&self, name: &str) -> Option<Variable>;
    /// All names, for hints.
    fn names(&self) -> Vec<String>;
}

/// What is wrong with an expression, and at which of its characters, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::detect) struct Fault {
    pub(in crate::detect) at: usize,
    pub(in crate::detect) what: String,
    pub(in crate::detect) hint: Option<String>,
}

/// An expression and what it gives.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Checked {
    pub(in crate::detect) node: Node,
    pub(in crate::detect) gives: Type,
}

/// Compiles an expression.
pub(in crate::detect) fn compile(text: &str, scope: &impl Scope) -> Result<Checked, Fault> {
    if text.len() > TEXT_MAX {
        let what = format!("the expression is longer than {TEXT_MAX} bytes");
        return Err(Fault { at: 0, what, hint: Some("make a signal of its parts".to_owned()) });
    }
    let program = Program::compile(text).map_err(|errors| {
        let first = errors.errors.first();
        let at = first.and_then(|error| usize::try_from(error.pos.1 - 1).ok()).unwrap_or_default();
        let what = first.map_or_else(|| "this is no CEL".to_owned(), |error| error.msg.clone());
        Fault { at, what, hint: None }
    })?;
    let mut compiler = Compiler { scope, info: program.source_info(), parts: 0 };
    let (node, gives) = compiler.node(program.expression())?;
    Ok(Checked { node, gives })
}

struct Compiler<'a, S> {
    scope: &'a S,
    info: &'a SourceInfo,
    parts: usize,
}

type Typed = Result<(Node, Type), Fault>;

impl<S: Scope> Compiler<'_, S> {
    fn fault(&self, of: &IdedExpr, what: impl Into<String>, hint: Option<String>) -> Fault {
        let at = self.info.offset_for(of.id).map_or(0, |(start, _)| start as usize);
        Fault { at, what: what.into(), hint }
    }

    fn node(&mut self, of: &IdedExpr) -> Typed {
        self.parts += 1;
        if self.parts > NODES_MAX {
            let hint = Some("make a signal of its parts".to_owned());
            return Err(self.fault(of, format!("the expression has more than {NODES_MAX} parts"), hint));
        }
        match &of.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(flag) => Ok((Node::Flag(*flag.inner()), Type::Flag)),
                LiteralValue::Double(number) => Ok((Node::Number(*number.inner()), Type::Number)),
                #[expect(clippy::cast_precision_loss, reason = "nobody compares a score with 2^53")]
                LiteralValue::Int(number) => Ok((Node::Number(*number.inner() as f64), Type::Number)),
                LiteralValue::String(text) => Ok((Node::Text(text.inner().into()), Type::Text)),
                _ => Err(self.fault(of, "bytes, null and unsigned numbers are not used in rules", None)),
            },
            Expr::Ident(name) => self.variable(of, name),
            Expr::Select(select) => {
                let Expr::Ident(root) = &select.operand.expr else {
                    return Err(self.fault(of, "a name has at most one point", None));
                };
                let name = format!("{root}.{}", select.field);
                let (node, gives) = self.variable(of, &name)?;
                match node {
                    Node::Variable(slot) if select.test => Ok((Node::Has(slot), Type::Flag)),
                    node => Ok((node, gives)),
                }
            }
            Expr::Call(call) => self.call(of, call),
            Expr::Comprehension(_) => {
                let hint = "count in a signal: `count`, `share` and `run` say how many of its events match";
                Err(self.fault(of, "loops are not used in rules, so that none is endless", Some(hint.to_owned())))
            }
            Expr::List(_) => Err(self.fault(of, "a list stands on the right side of `in` only", None)),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(self.fault(of, "maps and messages are not used in rules", None))
            }
        }
    }

    fn variable(&self, of: &IdedExpr, name: &str) -> Typed {
        let Some(variable) = self.scope.find(name) else {
            let names = self.scope.names();
            let hint = match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", names.join(", ")),
            };
            return Err(self.fault(of, format!("`{name}` is not known here"), Some(hint)));
        };
        let gives = slot_type(variable.slot);
        Ok((Node::Variable(variable.slot), gives))
    }

    fn want(&mut self, of: &IdedExpr, wanted: Type) -> Result<Node, Fault> {
        let (node, gives) = self.node(of)?;
        if gives == wanted {
            return Ok(node);
        }
        Err(self.fault(of, format!("this is {}, and {} is wanted here", gives.name(), wanted.name()), None))
    }

    fn call(&mut self, of: &IdedExpr, call: &CallExpr) -> Typed {
        let CallExpr { func_name, target, args } = call;
        match (func_name.as_str(), target, args.as_slice()) {
            (operators::LOGICAL_AND, None, [left, right]) => {
                let nodes = Box::new([self.want(left, Type::Flag)?, self.want(right, Type::Flag)?]);
                Ok((Node::And(nodes), Type::Flag))
            }
            (operators::LOGICAL_OR, None, [left, right]) => {
                let nodes = Box::new([self.want(left, Type::Flag)?, self.want(right, Type::Flag)?]);
                Ok((Node::Or(nodes), Type::Flag))
            }
            (operators::LOGICAL_NOT, None, [node]) => {
                Ok((Node::Not(Box::new(self.want(node, Type::Flag)?)), Type::Flag))
            }
            (operators::NEGATE, None, [node]) => {
                Ok((Node::Negate(Box::new(self.want(node, Type::Number)?)), Type::Number))
            }
            (operators::CONDITIONAL, None, [test, yes, no]) => {
                let test = self.want(test, Type::Flag)?;
                let (yes, gives) = self.node(yes)?;
                let no = self.want(no, gives)?;
                Ok((Node::If(Box::new([test, yes, no])), gives))
            }
            (operators::IN, None, [node, list]) => self.one_of(node, list),
            (name, None, [left, right]) if comparison(name).is_some() => {
                let op = comparison(name).unwrap_or(Op::Equal);
                self.compare(of, op, left, right)
            }
            (name, None, [left, right]) if math(name).is_some() => {
                let math = math(name).unwrap_or(Math::Add);
                let nodes = Box::new([self.point(left)?, self.point(right)?]);
                Ok((Node::Math(math, nodes), Type::Number))
            }
            (name, Some(text), [part]) if asks(name).is_some() => {
                let asks = asks(name).unwrap_or(Asks::Contains);
                let nodes = Box::new([self.want(text, Type::Text)?, self.want(part, Type::Text)?]);
                Ok((Node::Asks(asks, nodes), Type::Flag))
            }
            _ => {
                let hint = "there are has, in, startsWith, endsWith, contains, and the operators";
                Err(self.fault(of, format!("`{func_name}` is not used in rules"), Some(hint.to_owned())))
            }
        }
    }

    /// A number of an arithmetic expression: CEL does not mix those with a point and those without.
    fn point(&mut self, of: &IdedExpr) -> Result<Node, Fault> {
        if let Expr::Literal(LiteralValue::Int(number)) = &of.expr {
            let hint = format!("write {}.0", number.inner());
            return Err(self.fault(
                of,
                "CEL does not reckon with whole numbers and numbers with a point at once",
                Some(hint),
            ));
        }
        self.want(of, Type::Number)
    }

    fn one_of(&mut self, node: &IdedExpr, list: &IdedExpr) -> Typed {
        let Expr::List(elements) = &list.expr else {
            return Err(self.fault(list, "a list of texts stands on the right side of `in`", None));
        };
        let node = self.want(node, Type::Text)?;
        let mut texts = Vec::new();
        for element in &elements.elements {
            match self.want(element, Type::Text)? {
                Node::Text(text) => texts.push(text),
                _ => return Err(self.fault(element, "the list after `in` holds plain texts", None)),
            }
        }
        Ok((Node::OneOf(Box::new(node), texts.into()), Type::Flag))
    }

    fn compare(&mut self, of: &IdedExpr, op: Op, left: &IdedExpr, right: &IdedExpr) -> Typed {
        let (a, gives) = self.node(left)?;
        let (b, other) = self.node(right)?;
        if gives != other {
            let what = format!("{} and {} do not compare", gives.name(), other.name());
            return Err(self.fault(of, what, None));
        }
        for (variable, number, op) in [(&a, &b, op), (&b, &a, turned(op))] {
            if let (Node::Variable(slot), Node::Number(limit)) = (variable, number) {
                self.reachable(of, *slot, op, *limit)?;
                return Ok((Node::Threshold(*slot, op, *limit), Type::Flag));
            }
        }
        let nodes = Box::new([a, b]);
        let node = match gives {
            Type::Number => Node::Numbers(op, nodes),
            Type::Text => Node::Texts(op, nodes),
            Type::Flag => Node::Flags(op, nodes),
        };
        Ok((node, Type::Flag))
    }

    /// A limit that no value can reach, or none can miss, is in another unit than its writer thought.
    fn reachable(&self, of: &IdedExpr, slot: Slot, op: Op, limit: f64) -> Result<(), Fault> {
        let names = self.scope.names();
        let found = names.iter().filter_map(|name| Some((name, self.scope.find(name)?)));
        let Some((name, (low, high))) = found
            .filter(|(_, variable)| variable.slot == slot)
            .find_map(|(name, variable)| Some((name, variable.range?)))
        else {
            return Ok(());
        };
        let sense = match op {
            Op::Greater => limit >= low && limit < high,
            Op::GreaterEqual => limit > low && limit <= high,
            Op::Less => limit > low && limit <= high,
            Op::LessEqual => limit >= low && limit < high,
            Op::Equal | Op::NotEqual => (low..=high).contains(&limit),
        };
        if sense {
            return Ok(());
        }
        let high = if high == f64::MAX { "any number".to_owned() } else { high.to_string() };
        let what = format!("`{name}` is from {low} to {high}, so that this is always true or always false");
        Err(self.fault(of, what, Some("is the limit in another unit?".to_owned())))
    }
}

fn comparison(name: &str) -> Option<Op> {
    Some(match name {
        operators::LESS => Op::Less,
        operators::LESS_EQUALS => Op::LessEqual,
        operators::GREATER => Op::Greater,
        operators::GREATER_EQUALS => Op::GreaterEqual,
        operators::EQUALS => Op::Equal,
        operators::NOT_EQUALS => Op::NotEqual,
        _ => return None,
    })
}

fn turned(op: Op) -> Op {
    match op {
        Op::Less => Op::Greater,
        Op::LessEqual => Op::GreaterEqual,
        Op::Greater => Op::Less,
        Op::GreaterEqual => Op::LessEqual,
        same @ (Op::Equal | Op::NotEqual) => same,
    }
}

fn math(name: &str) -> Option<Math> {
    Some(match name {
        operators::ADD => Math::Add,
        operators::SUBSTRACT => Math::Subtract,
        operators::MULTIPLY => Math::Multiply,
        operators::DIVIDE => Math::Divide,
        _ => return None,
    })
}

fn asks(name: &str) -> Option<Asks> {
    Some(match name {
        "startsWith" => Asks::StartsWith,
        "endsWith" => Asks::EndsWith,
        "contains" => Asks::Contains,
        _ => return None,
    })
}
