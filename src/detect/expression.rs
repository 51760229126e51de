//! Conditions: CEL, parsed by the `cel` crate, checked for names, types and ranges, and compiled to a tree that needs no
//! allocation to be judged.
//!
//! The part of CEL that rules may use is comparisons, logic, arithmetic on numbers with a point, `in` over a list, `has`,
//! the ternary operator, `startsWith`, `endsWith` and `contains`. There are no loops in it, so that no condition is endless.
//! A field that an event does not have makes what needs it undecided, and what is undecided at the end is false; `&&` and
//! `||` decide without it where they can, as CEL says.

mod compile;
mod judge;

pub(super) use compile::{Checked, Fault, Scope, Variable, compile};
pub(super) use judge::{Values, slot_type};

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    Text,
    Flag,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Flag => "true or false",
        }
    }
}

/// A field of an event, as rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Severity,
    Rank,
    Week,
    Mean,
    Sd,
    Declining,
    Rising,
    Hour,
    Trend,
    Band,
    Measure,
    Context,
    Type,
}

/// What a signal says of the events that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    Seen,
    Share,
    Run,
    Mean,
    Min,
    Max,
    Sum,
    Newest,
    Oldest,
    Rise,
    Hours,
    Found,
    Absent,
}

/// Where a variable's value is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// A field of the event.
    Event(Field),
    /// What a signal says, by the signal's number.
    Signal(usize, Aggregate),
    /// The severity of what was found.
    Severity,
}

/// How two things compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Math {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// What is asked of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    StartsWith,
    EndsWith,
    Contains,
}

/// An expression, compiled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Text(Box<str>),
    Flag(bool),
    Variable(Slot),
    Has(Slot),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// The most common condition of all: a variable and a number.
    Threshold(Slot, Op, f64),
    Numbers(Op, Box<[Node; 2]>),
    Texts(Op, Box<[Node; 2]>),
    Flags(Op, Box<[Node; 2]>),
    OneOf(Box<Node>, Box<[Box<str>]>),
    Math(Math, Box<[Node; 2]>),
    Asks(Asks, Box<[Node; 2]>),
    If(Box<[Node; 3]>),
}

macro_rules! names {
    ($kind:ident { $($variant:ident $name:literal $of:ident $range:expr;)* }) => {
        impl $kind {
            /// All of them, as rules name them.
            pub(super) const ALL: &'static [(&'static str, Self)] = &[$(($name, Self::$variant)),*];

            pub(super) fn of(self) -> Type {
                match self { $(Self::$variant => Type::$of,)* }
            }

            /// What its values can be.
            pub(super) fn range(self) -> Option<(f64, f64)> {
                match self { $(Self::$variant => $range,)* }
            }

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
            }
        }
    };
}

names! { Field {
    Severity "severity" Number Some((0.0, 1.0));
    Rank "rank" Number Some((0.0, 1.0));
    Week "week" Number Some((-20.0, 20.0));
    Mean "mean" Number None;
    Sd "sd" Number Some((0.0, f64::MAX));
    Declining "declining" Number Some((0.0, 90.0));
    Rising "rising" Number Some((0.0, 90.0));
    Hour "hour" Number Some((0.0, 24.0));
    Trend "trend" Text None;
    Band "band" Text None;
    Measure "measure" Text None;
    Context "context" Text None;
    Type "type" Text None;
}}

names! { Aggregate {
    Count "count" Number Some((0.0, f64::MAX));
    Seen "seen" Number Some((0.0, f64::MAX));
    Share "share" Number Some((0.0, 1.0));
    Run "run" Number Some((0.0, f64::MAX));
    Mean "mean" Number None;
    Min "min" Number None;
    Max "max" Number None;
    Sum "sum" Number None;
    Newest "newest" Number None;
    Oldest "oldest" Number None;
    Rise "rise" Number None;
    Hours "hours" Number Some((0.0, f64::MAX));
    Found "found" Flag None;
    Absent "absent" Flag None;
}}

#[cfg(test)]
mod tests;
