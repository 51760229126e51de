//! The rules: when a person's last days are worth a conversation.
//!
//! Rules judge what metadata tells: how far a week is off, whether a night was short. An outside producer whose metadata
//! does not carry those is judged by the schema's own fields, severity and trend.

use auren_agents::TriggerType;

use super::History;
use crate::seen::{BASELINE_FORMING, Seen};

/// A rule: what it looks at, and what it finds.
pub struct Rule {
    /// Its name, as triggers carry it.
    pub id: &'static str,
    /// Its version.
    pub version: u32,
    /// What it finds.
    pub trigger_type: TriggerType,
    /// The agents to ask, in order.
    pub agents: &'static [&'static str],
    /// Whether an event concerns it.
    pub concerns: fn(&Seen) -> bool,
    /// Judges a person's past at an event that concerns it; the event is the newest of that past.
    pub judge: fn(&History, &Seen) -> Judgement,
}

/// What a rule makes of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// Something worth a conversation.
    Found(Found),
    /// Neither good nor bad enough to change anything.
    Between,
    /// All is well again: the rule may find the next one at once.
    Clear,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How much it matters, 0 to 1.
    pub severity: f64,
    /// What was found, in a sentence without a measured value.
    pub message: String,
    /// The events it rests on, oldest first.
    pub events: Vec<String>,
}

/// The rules in force.
pub const RULES: &[Rule] = &[
    Rule {
        id: "hrv_week_below_baseline",
        version: 1,
        trigger_type: TriggerType::HrvDrop,
        agents: &["neuroscientist", "coach"],
        concerns: is_variability,
        judge: hrv_week_below_baseline,
    },
    Rule {
        id: "short_nights_in_a_row",
        version: 1,
        trigger_type: TriggerType::SleepDeprivation,
        agents: &["neuroscientist", "coach"],
        concerns: is_night,
        judge: short_nights_in_a_row,
    },
];

/// A week this far below what came before is worth a conversation, in standard deviations of single nights. The smallest
/// worthwhile change is half of one (Buchheit 2014); at one, real nights give an alert in about one month of a person.
const WEEK_FOUND: f32 = 1.0;
/// A week this close to what came before is well again.
const WEEK_CLEAR: f32 = 0.5;
/// An outside producer's severity from which a falling trend is worth a conversation.
const SEVERE: f32 = 0.7;
const DAY_MS: i64 = 86_400_000;
/// Two nights further apart than this do not follow each other.
const NEXT_NIGHT_MS: i64 = 36 * 3_600_000;
/// Short nights in a row that are worth a conversation.
const SHORT_NIGHTS: usize = 3;

fn is_variability(seen: &Seen) -> bool {
    // Of the two statistics of one night rMSSD is the one to judge; an event that does not say which is judged as it is.
    seen.event_type == "hrv_measurement" && matches!(&*seen.measure, "rmssd" | "")
}

fn is_night(seen: &Seen) -> bool {
    seen.event_type == "sleep_analysis" && matches!(&*seen.measure, "asleep" | "")
}

/// The mean of ln rMSSD over a week against a longer baseline (Plews et al. 2014).
fn hrv_week_below_baseline(history: &History, newest: &Seen) -> Judgement {
    let week: Vec<String> = history
        .until(newest.at)
        .filter(|seen| is_variability(seen) && seen.at > newest.at - 7 * DAY_MS)
        .map(|seen| seen.event.clone())
        .collect();
    let falling = newest.trend.starts_with("declining");
    let (found, clear, severity) = match newest.week {
        Some(off) => (off >= WEEK_FOUND, off < WEEK_CLEAR, 0.5 + 0.25 * (f64::from(off) - f64::from(WEEK_FOUND))),
        None => (newest.severity >= SEVERE && falling, newest.severity < SEVERE / 2.0, f64::from(newest.severity)),
    };
    if !found {
        return if clear { Judgement::Clear } else { Judgement::Between };
    }
    let how = match severity {
        severe if severe >= 0.75 => "far",
        some if some >= 0.6 => "clearly",
        _ => "somewhat",
    };
    let trend = if falling { " and still falling" } else { "" };
    let what = if newest.week.is_some() { "over the last week is" } else { "is" };
    let message = format!("Heart-rate variability {what} {how} below the usual range{trend}.");
    Judgement::Found(Found { severity: severity.clamp(0.0, 1.0), message, events: week })
}

/// Three nights or more in a row of less than six hours of sleep, of a person whose usual sleep is known: agents compare
/// with it.
fn short_nights_in_a_row(history: &History, newest: &Seen) -> Judgement {
    if newest.trend == BASELINE_FORMING {
        return Judgement::Between;
    }
    let short = |seen: &Seen| match &*seen.band {
        "" => seen.measure.is_empty() && seen.severity >= SEVERE,
        band => matches!(band, "short" | "very_short"),
    };
    if !short(newest) {
        let before = history.until(newest.at).rev().find(|seen| is_night(seen) && seen.event != newest.event);
        return if before.is_some_and(short) { Judgement::Between } else { Judgement::Clear };
    }
    let mut nights: Vec<&Seen> = vec![newest];
    for earlier in history.until(newest.at).rev().filter(|seen| is_night(seen) && seen.event != newest.event) {
        let later = nights[nights.len() - 1];
        if !short(earlier) || later.at - earlier.at > NEXT_NIGHT_MS {
            break;
        }
        if later.at - earlier.at > NEXT_NIGHT_MS / 3 {
            nights.push(earlier);
        }
    }
    if nights.len() < SHORT_NIGHTS {
        return Judgement::Between;
    }
    nights.reverse();
    let very = nights.iter().filter(|night| night.band == "very_short").count();
    let (count, very_share) = (nights.len(), if very * 2 >= nights.len() { 0.2 } else { 0.0 });
    #[expect(clippy::cast_precision_loss, reason = "a handful of nights")]
    let severity = 0.5 + 0.08 * (count - SHORT_NIGHTS) as f64 + very_share;
    let message = format!("{count} nights in a row with less than six hours of sleep.");
    let events = nights.into_iter().map(|night| night.event.clone()).collect();
    Judgement::Found(Found { severity: severity.clamp(0.0, 1.0), message, events })
}
