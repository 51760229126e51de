//! What a compiled expression gives for some values.

use super::{Asks, Math, Node, Op, Slot, Type};

/// Where the variables of an expression have their values.
pub(in crate::detect) trait Values {
    /// A number; none where the event does not have it.
    fn number(&self, slot: Slot) -> Option<f64>;
    /// A text.
    fn text(&self, slot: Slot) -> Option<&str>;
    /// True or false.
    fn flag(&self, slot: Slot) -> Option<bool>;
}

impl Op {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }
}

impl Node {
    /// Whether it holds; none where that cannot be told.
    pub(in crate::detect) fn flag(&self, values: &impl Values) -> Option<bool> {
        match self {
            Self::Threshold(slot, op, limit) => Some(op.holds(&values.number(*slot)?, limit)),
            Self::Flag(flag) => Some(*flag),
            Self::Variable(slot) => values.flag(*slot),
            Self::Has(slot) => Some(match slot_type(*slot) {
                Type::Number => values.number(*slot).is_some(),
                Type::Text => values.text(*slot).is_some_and(|text| !text.is_empty()),
                Type::Flag => values.flag(*slot).is_some(),
            }),
            Self::Not(node) => node.flag(values).map(|flag| !flag),
            Self::And(nodes) => match nodes[0].flag(values) {
                Some(false) => Some(false),
                left => match (left, nodes[1].flag(values)) {
                    (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            },
            Self::Or(nodes) => match nodes[0].flag(values) {
                Some(true) => Some(true),
                left => match (left, nodes[1].flag(values)) {
                    (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            },
            Self::Numbers(op, nodes) => Some(op.holds(&nodes[0].number(values)?, &nodes[1].number(values)?)),
            Self::Texts(op, nodes) => Some(op.holds(&nodes[0].text(values)?, &nodes[1].text(values)?)),
            Self::Flags(op, nodes) => Some(op.holds(&nodes[0].flag(values)?, &nodes[1].flag(values)?)),
            Self::OneOf(node, list) => {
                let text = node.text(values)?;
                Some(list.iter().any(|known| **known == *text))
            }
            Self::Asks(asks, nodes) => {
                let (text, part) = (nodes[0].text(values)?, nodes[1].text(values)?);
                Some(match asks {
                    Asks::StartsWith => text.starts_with(part),
                    Asks::EndsWith => text.ends_with(part),
                    Asks::Contains => text.contains(part),
                })
            }
            Self::If(nodes) => branch(nodes, values)?.flag(values),
            Self::Number(_) | Self::Text(_) | Self::Negate(_) | Self::Math(..) => None,
        }
    }

    /// The number it gives.
    pub(in crate::detect) fn number(&self, values: &impl Values) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Variable(slot) => values.number(*slot),
            Self::Negate(node) => node.number(values).map(|number| -number),
            Self::Math(math, nodes) => {
                let (left, right) = (nodes[0].number(values)?, nodes[1].number(values)?);
                Some(match math {
                    Math::Add => left + right,
                    Math::Subtract => left - right,
                    Math::Multiply => left * right,
                    Math::Divide => left / right,
                })
            }
            Self::If(nodes) => branch(nodes, values)?.number(values),
            _ => None,
        }
    }

    /// The text it gives.
    pub(in crate::detect) fn text<'v>(&'v self, values: &'v impl Values) -> Option<&'v str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Variable(slot) => values.text(*slot),
            Self::If(nodes) => branch(nodes, values)?.text(values),
            _ => None,
        }
    }

    /// Every variable it names, in order, each once.
    pub(in crate::detect) fn slots(&self, into: &mut Vec<Slot>) {
        let mut add = |slot: Slot| {
            if !into.contains(&slot) {
                into.push(slot);
            }
        };
        match self {
            Self::Variable(slot) | Self::Has(slot) | Self::Threshold(slot, ..) => add(*slot),
            Self::Not(node) | Self::Negate(node) | Self::OneOf(node, _) => node.slots(into),
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().for_each(|node| node.slots(into)),
            Self::Numbers(_, nodes) | Self::Texts(_, nodes) | Self::Flags(_, nodes) => {
                nodes.iter().for_each(|node| node.slots(into));
            }
            Self::Math(_, nodes) => nodes.iter().for_each(|node| node.slots(into)),
            Self::Asks(_, nodes) => nodes.iter().for_each(|node| node.slots(into)),
            Self::If(nodes) => nodes.iter().for_each(|node| node.slots(into)),
            Self::Number(_) | Self::Text(_) | Self::Flag(_) => {}
        }
    }
}

/// The side that a test decides for; none where it cannot be told.
fn branch<'n>(nodes: &'n [Node; 3], values: &impl Values) -> Option<&'n Node> {
    Some(if nodes[0].flag(values)? { &nodes[1] } else { &nodes[2] })
}

pub(in crate::detect) fn slot_type(slot: Slot) -> Type {
    match slot {
        Slot::Event(field) => field.of(),
        Slot::Signal(_, aggregate) => aggregate.of(),
        Slot::Severity => Type::Number,
    }
}
