//! What an agent that costs something may cost in a day, and what it has cost.
//!
//! It is counted on this node and in memory: each node has the whole of it, and begins anew when it is started. A day is one
//! of UTC. What an endpoint does not say is estimated, at four bytes a token.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use schemars::JsonSchema;
use serde::Serialize;

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// A rough measure of most languages and models.
const TOKEN_BYTES: u64 = 4;

/// What an agent may cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BudgetSettings {
    /// Most tokens of a day, asked and answered; no bound where it is 0.
    pub tokens_per_day: u64,
    /// Most that a day may cost, in whatever the prices are in; no bound where it is 0.
    pub cost_per_day: f64,
    /// The price of a million tokens that are asked.
    pub price_asked: f64,
    /// The price of a million tokens that are answered.
    pub price_answered: f64,
}

/// What an agent has cost since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Costs {
    /// Tokens that it was asked.
    pub tokens_asked: u64,
    /// Tokens that it answered.
    pub tokens_answered: u64,
    /// What they cost, in millionths of whatever the prices are in.
    pub cost_micros: u64,
}

/// The budget of one agent on one node.
#[derive(Debug)]
pub(super) struct Budget {
    settings: BudgetSettings,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    day: u64,
    today: Costs,
    /// What is set aside for questions that are under way.
    aside: Costs,
    ever: Costs,
}

/// The day's budget does not have as much as a question may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// One request under way. Dropped, it has cost what is known of it by then.
#[derive(Debug)]
pub(super) struct Spending {
    budget: Arc<Budget>,
    aside: Costs,
    cost: Costs,
}

impl BudgetSettings {
    /// Whether anything is bounded or priced: an endpoint is then asked to say what an answer took.
    #[must_use]
    pub fn counts(&self) -> bool {
        *self != Self::default()
    }

    /// So many tokens, and what they cost: tokens at a price of a million are millionths.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "it is money"
    )]
    fn cost(&self, tokens_asked: u64, tokens_answered: u64) -> Costs {
        let micros = tokens_asked as f64 * self.price_asked + tokens_answered as f64 * self.price_answered;
        Costs { tokens_asked, tokens_answered, cost_micros: micros.round() as u64 }
    }

    #[expect(clippy::cast_precision_loss, reason = "it is money")]
    fn allows(&self, all: Costs) -> bool {
        let tokens = all.tokens_asked.saturating_add(all.tokens_answered);
        (self.tokens_per_day == 0 || tokens <= self.tokens_per_day)
            && (self.cost_per_day == 0.0 || all.cost_micros as f64 <= self.cost_per_day * 1e6)
    }
}

impl Costs {
    fn plus(self, other: Self) -> Self {
        Self {
            tokens_asked: self.tokens_asked.saturating_add(other.tokens_asked),
            tokens_answered: self.tokens_answered.saturating_add(other.tokens_answered),
            cost_micros: self.cost_micros.saturating_add(other.cost_micros),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            tokens_asked: self.tokens_asked.saturating_sub(other.tokens_asked),
            tokens_answered: self.tokens_answered.saturating_sub(other.tokens_answered),
            cost_micros: self.cost_micros.saturating_sub(other.cost_micros),
        }
    }
}

impl Budget {
    pub(super) fn new(settings: BudgetSettings) -> Self {
        Self { settings, book: Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has cost so far.
    pub(super) fn costs(&self) -> Costs {
        self.book().ever
    }

    /// Sets aside what a request of so many bytes may cost that is answered with at most so many tokens.
    pub(super) fn spend(self: &Arc<Self>, bytes: usize, most_answered: u32) -> Result<Spending, Spent> {
        self.spend_on(today(), bytes, most_answered)
    }

    fn spend_on(self: &Arc<Self>, day: u64, bytes: usize, most_answered: u32) -> Result<Spending, Spent> {
        let asked = tokens(bytes);
        let aside = self.settings.cost(asked, most_answered.into());
        let mut book = self.book();
        if book.day != day {
            (book.day, book.today) = (day, Costs::default());
        }
        if !self.settings.allows(book.today.plus(book.aside).plus(aside)) {
            return Err(Spent);
        }
        book.aside = book.aside.plus(aside);
        Ok(Spending { budget: Arc::clone(self), aside, cost: self.settings.cost(asked, 0) })
    }
}

impl Spending {
    /// Whether anybody wants to know exactly.
    pub(super) fn is_counted(&self) -> bool {
        self.budget.settings.counts()
    }

    /// Nothing was answered, nor begun to be.
    pub(super) fn was_free(&mut self) {
        self.cost = Costs::default();
    }

    /// So many bytes have been answered.
    pub(super) fn answered(&mut self, bytes: usize) {
        self.cost = self.budget.settings.cost(self.cost.tokens_asked, tokens(bytes));
    }

    /// The endpoint says what it took.
    pub(super) fn took(&mut self, tokens_asked: u64, tokens_answered: u64) {
        self.cost = self.budget.settings.cost(tokens_asked, tokens_answered);
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let mut book = self.budget.book();
        book.aside = book.aside.minus(self.aside);
        book.today = book.today.plus(self.cost);
        book.ever = book.ever.plus(self.cost);
    }
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(TOKEN_BYTES)
}

fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(tokens_per_day: u64, cost_per_day: f64) -> Arc<Budget> {
        let prices = BudgetSettings { tokens_per_day, cost_per_day, price_asked: 2.0, price_answered: 10.0 };
        Arc::new(Budget::new(prices))
    }

    #[test]
    fn a_day_costs_no_more_than_it_may_whatever_is_under_way() {
        let budget = budget(100, 0.0);
        let mut first = budget.spend_on(1, 160, 20).unwrap();
        assert_eq!(budget.spend_on(1, 160, 20).unwrap_err(), Spent, "120 could be needed");
        first.took(30, 5);
        drop(first);
        assert_eq!(budget.costs(), Costs { tokens_asked: 30, tokens_answered: 5, cost_micros: 110 });
        drop(budget.spend_on(1, 160, 20).unwrap());
        assert_eq!(budget.costs().tokens_asked, 70, "what was let go of has been asked");
        assert_eq!(budget.spend_on(1, 160, 20).unwrap_err(), Spent);
        assert!(budget.spend_on(2, 160, 20).is_ok(), "the next day");
    }

    #[test]
    fn what_is_not_told_is_estimated_and_what_never_began_costs_nothing() {
        let budget = budget(0, 0.001);
        let mut broken = budget.spend_on(1, 41, 1).unwrap();
        broken.answered(9);
        drop(broken);
        assert_eq!(budget.costs(), Costs { tokens_asked: 11, tokens_answered: 3, cost_micros: 52 });
        let mut away = budget.spend_on(1, 400, 1).unwrap();
        away.was_free();
        drop(away);
        assert_eq!(budget.costs().cost_micros, 52);
        assert!(budget.spend_on(1, 4, 94).is_ok(), "94 answers and a word are 942");
        assert_eq!(budget.spend_on(1, 4, 95).unwrap_err(), Spent);
    }
}
