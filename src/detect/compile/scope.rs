//! The words that conditions may use, and what their values can be.

use crate::detect::{
    expression::{Aggregate, Field, Scope, Slot, Type, Variable},
    signal::{Shape, Signal},
};

/// The words that an event's condition may use.
pub(in crate::detect) struct EventScope;

impl Scope for EventScope {
    fn find(&self, name: &str) -> Option<Variable> {
        let field = Field::named(name.strip_prefix("event.").unwrap_or(name))?;
        Some(Variable { slot: Slot::Event(field), range: field.range() })
    }

    fn names(&self) -> Vec<String> {
        Field::ALL.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// The words that a rule's own expressions may use.
pub(super) struct RuleScope<'a> {
    pub(super) signals: &'a [Signal],
    /// Whether the severity has been found.
    pub(super) severity: bool,
}

impl Scope for RuleScope<'_> {
    fn find(&self, name: &str) -> Option<Variable> {
        if name == "severity" && self.severity {
            return Some(Variable { slot: Slot::Severity, range: Field::Severity.range() });
        }
        let (of, part) = name.split_once('.')?;
        if of == "event" {
            return EventScope.find(part);
        }
        let index = self.signals.iter().position(|signal| signal.name == of)?;
        let (signal, aggregate) = (&self.signals[index], Aggregate::named(part)?);
        let variable = Variable { slot: Slot::Signal(index, aggregate), range: signal.range(aggregate) };
        signal.offers(aggregate).then_some(variable)
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for signal in self.signals {
            let offered = Aggregate::ALL.iter().filter(|(_, aggregate)| signal.offers(*aggregate));
            names.extend(offered.map(|(name, _)| format!("{}.{name}", signal.name)));
        }
        names.extend(Field::ALL.iter().map(|(name, _)| format!("event.{name}")));
        names.extend(self.severity.then(|| "severity".to_owned()));
        names
    }
}

impl Signal {
    /// Whether this can be asked of it.
    fn offers(&self, aggregate: Aggregate) -> bool {
        match &self.shape {
            Shape::Window { .. } => aggregate.of() == Type::Number,
            Shape::Sequence(_) => aggregate == Aggregate::Found,
            Shape::Absence { .. } => matches!(aggregate, Aggregate::Absent | Aggregate::Hours),
        }
    }

    /// What its values can be.
    fn range(&self, aggregate: Aggregate) -> Option<(f64, f64)> {
        let Shape::Window { value, most, .. } = &self.shape else { return aggregate.range() };
        match aggregate {
            Aggregate::Count | Aggregate::Seen | Aggregate::Run => Some((0.0, f64::from(*most))),
            Aggregate::Mean | Aggregate::Min | Aggregate::Max | Aggregate::Newest | Aggregate::Oldest => value.range(),
            other => other.range(),
        }
    }
}
