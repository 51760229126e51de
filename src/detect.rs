//! Biometric events become triggers: rules over what metadata tells, written in YAML, checked before they judge.
//!
//! Read the modules in this order: [`rule`] (a rule as a person writes it), [`problem`] (what can be wrong with it),
//! [`expression`] (its conditions), [`signal`] and [`sequence`] (what it sees in a past), [`compile`] (all of it, checked),
//! [`rules`] (those in force), [`feed`] (how they change without a restart), [`noted`] and [`history`] (what is remembered
//! of a person), [`engine`] (when what is judged), [`said`] (what of it is said), [`explain`], [`trial`] (tests that stand in
//! a rule), [`library`] (what AUREN ships), [`session`] (how the role works an event). No token is opened here.

mod compile;
mod engine;
mod explain;
mod expression;
mod feed;
mod history;
mod library;
mod noted;
mod problem;
mod rule;
mod rules;
mod said;
mod sequence;
mod session;
mod signal;
mod template;
mod trial;

pub use compile::Compiled;
pub use engine::{Finding, Memory};
pub use explain::Explained;
pub use feed::{Feed, Mode, in_folder, pushing, with_folder};
pub use library::shipped;
pub use noted::{Id, Noted, Stream};
pub use problem::{Place, Problem};
pub use rule::{OnChange, RULE_BYTES_MAX, Rule};
pub use rules::{InForce, RuleText, Rules};
pub use session::{Detect, trigger};
pub use trial::{Trialled, try_rule};

#[cfg(test)]
mod tests;
