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

    /// When it ends that holds at a moment.
    fn end(&self, at: i64, offset: i16) -> i64 {
        let here = local(at, offset);
        let today = here.div_euclid(DAY_MS) * DAY_MS + self.to * MINUTE_MS;
        let end = if today > here { today } else { today + DAY_MS };
        end - here + at
    }
}

/// A moment's local day.
fn day(at: i64, offset: i16) -> i32 {
    i32::try_from(local(at, offset).div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

impl InForce {
    /// Until when it may not say what it finds at a moment; none where it may.
    pub(super) fn silent_until(&self, said: Option<&Said>, at: i64, offset: i16) -> Option<i64> {
        let quiet = self.rule.quiet.filter(|quiet| quiet.holds(at, offset)).map(|quiet| quiet.end(at, offset));
        let here = local(at, offset);
        let tomorrow = (here.div_euclid(DAY_MS) + 1) * DAY_MS - here + at;
        let capped = said.is_some_and(|said| self.is_capped(said, day(at, offset))).then_some(tomorrow);
        quiet.max(capped)
    }

    fn is_capped(&self, said: &Said, day: i32) -> bool {
        said.day == day && self.rule.daily_cap.is_some_and(|cap| said.today >= cap)
    }

    /// Whether what it found at a moment is said; that it was is entered.
    pub(super) fn speaks(&self, all: &mut Vec<Said>, severity: f64, now: i64, offset: i16) -> bool {
        let rule = &self.rule;
        let day = day(now, offset);
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
        let capped = self.is_capped(said, day);
        if news && (quiet || capped) {
            // It waits for the next event after these hours, an absence for their end, and is said then if it is still so.
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
