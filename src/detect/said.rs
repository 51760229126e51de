//! What rules said of a person, and whether what one finds now is said: news, cooldown, hours of silence, the day's cap.

use serde::{Deserialize, Serialize};

use super::{compile::Quiet, noted::local, rules::InForce};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// What a rule said last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Said {
    /// The rule's key.
    pub(super) rule: Box<str>,
    pub(super) version: u32,
    pub(super) at: i64,
    pub(super) severity: f64,
    /// Whether what it found has not been well since.
    pub(super) holds: bool,
    /// The local day on which it spoke last, and how often on that day.
    day: i32,
    today: u8,
}

impl Quiet {
    /// Whether the person's own time lies within.
    pub(super) fn holds(&self, at: i64, offset: i16) -> bool {
        let minute = local(at, offset).div_euclid(MINUTE_MS).rem_euclid(24 * 60);
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl InForce {
    /// Whether what it found at a moment is said; that it was is entered.
    pub(super) fn speaks(&self, all: &mut Vec<Said>, severity: f64, now: i64, offset: i16) -> bool {
        let rule = &self.rule;
        let day = i32::try_from(local(now, offset).div_euclid(DAY_MS)).unwrap_or(i32::MAX);
        let quiet = rule.quiet.is_some_and(|quiet| severity < quiet.unless && quiet.holds(now, offset));
        let Some(said) = all.iter_mut().find(|said| said.rule == self.key) else {
            if !quiet {
                let (rule, version) = (self.key.clone(), rule.version);
                all.push(Said { rule, version, at: now, severity, holds: true, day, today: 1 });
            }
            return !quiet;
        };
        // It came late, or another stream at the same moment: nothing is said twice of one moment.
        if now <= said.at {
            return false;
        }
        let since = now - said.at;
        let again = rule.remind.is_some_and(|remind| since >= remind);
        let news = !said.holds || severity >= said.severity + rule.worse || again;
        let capped = said.day == day && rule.daily_cap.is_some_and(|cap| said.today >= cap);
        if news && (quiet || capped) {
            // It waits for the next event after these hours, and is said then if it is still so.
            return false;
        }
        if !news || since < rule.cooldown {
            said.holds = true;
            return false;
        }
        said.today = if said.day == day { said.today.saturating_add(1) } else { 1 };
        (said.at, said.severity, said.holds, said.day) = (now, severity, true, day);
        true
    }
}
