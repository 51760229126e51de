//! A rule as a person writes it: YAML in, a checked shape out, with the place of everything that can be wrong. Nothing here
//! judges an event.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::problem::{Place, Problem};

/// The most bytes of one rule's text.
pub const RULE_BYTES_MAX: usize = 64 * 1024;

/// A rule, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, as triggers carry it.
    pub id: Spanned<String>,
    /// Its version; a change without a higher one is refused when it is pushed.
    pub version: Spanned<u32>,
    /// Who answers for it.
    pub owner: Spanned<String>,
    /// What it is about, in a few words.
    pub title: String,
    /// Where it comes from: the paper or the guideline.
    pub source: Spanned<String>,
    /// The type of its triggers.
    pub trigger: Spanned<String>,
    /// The agents to ask, in order.
    pub agents: Spanned<Vec<String>>,
    /// The streams it reads, by a name of its own.
    pub inputs: BTreeMap<String, Spanned<Input>>,
    /// What it sees in them, by a name of its own.
    #[serde(default)]
    pub signals: BTreeMap<String, Spanned<Signal>>,
    /// When it has found something: CEL over `event` and the signals.
    pub when: Spanned<String>,
    /// When all is well again, so that the next finding is news: CEL. Without it, whenever `when` is false.
    pub clear: Option<Spanned<String>>,
    /// How much it matters, from 0 to 1: CEL.
    pub severity: Spanned<String>,
    /// What is said: text with CEL between braces, which also knows `severity`.
    pub message: Spanned<String>,
    /// How it is explained to an operator: as `message`.
    pub explanation: Option<Spanned<String>>,
    /// For how long it is silent after it has said something.
    pub cooldown: Option<Spanned<String>>,
    /// After how long it says again what goes on.
    pub remind: Option<Spanned<String>>,
    /// By how much the severity must have risen to be said again.
    pub worse: Option<Spanned<f64>>,
    /// Most triggers in one local day.
    pub daily_cap: Option<Spanned<u8>>,
    /// When it says nothing.
    pub quiet_hours: Option<Spanned<Quiet>>,
    /// What becomes of its state when a version follows another.
    #[serde(default)]
    pub on_change: OnChange,
    /// What it must do, as data.
    #[serde(default)]
    pub tests: Vec<Spanned<Trial>>,
}

/// A stream of one person's events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The type of the events.
    #[serde(rename = "type")]
    pub event_type: Spanned<String>,
    /// The statistic; one rule's input has one, because two statistics never compare.
    pub measure: Spanned<String>,
    /// The statistic's unit, where the rule speaks of it.
    pub unit: Option<Spanned<String>>,
    /// Whether events whose producer names no statistic belong to it.
    #[serde(default)]
    pub unnamed: bool,
    /// How late its events may come and still be judged in their order; the rule waits so long, and no longer.
    pub lateness: Option<Spanned<String>>,
}

/// What a rule sees in an input. Exactly one of `last`, `newest`, `nights`, `tumbling`, `session`, `sequence` and `absent`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The input; a sequence names one in each step.
    pub input: Option<Spanned<String>>,
    /// Which of its events match: CEL over the event's fields.
    #[serde(rename = "where")]
    pub condition: Option<Spanned<String>>,
    /// The field that mean, sum and the like are of; `severity` where nothing is said.
    pub value: Option<Spanned<String>>,
    /// A sliding window: the time up to now.
    pub last: Option<Spanned<String>>,
    /// A window of the newest so many events.
    pub newest: Option<Spanned<u16>>,
    /// A window of so many of the person's own nights, each counted once.
    pub nights: Option<Spanned<u16>>,
    /// Windows side by side, aligned to the person's own midnight: the newest that is complete.
    pub tumbling: Option<Spanned<String>>,
    /// Events with less than this between them: the session that goes on.
    pub session: Option<Spanned<String>>,
    /// Steps one after the other.
    pub sequence: Option<Spanned<Vec<Spanned<Step>>>>,
    /// How long all steps of a sequence may take.
    pub within: Option<Spanned<String>>,
    /// For how long nothing that matches has come. It is found when that time is over, on the person's own clock: that of
    /// their newest event, which goes on as the wall clock does. What the inputs' `lateness` allows may still come until
    /// then, so give one where devices are slow to tell. Hours of silence and a day's cap put it off to their end.
    /// A rule that is new tells of a person from their next event on.
    pub absent: Option<Spanned<String>>,
    /// What the absence counts from; without it, from the newest that matches.
    pub after: Option<Spanned<Anchor>>,
    /// Most events looked at: the newest ones.
    pub most: Option<Spanned<u16>>,
}

/// A step of a sequence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The input.
    pub input: Spanned<String>,
    /// Which of its events match.
    #[serde(rename = "where")]
    pub condition: Option<Spanned<String>>,
    /// How often, one after the other.
    pub times: Option<Spanned<u8>>,
    /// Whether it is the very next event of the sequence's inputs, or may follow later.
    #[serde(default)]
    pub comes: Comes,
    /// Whether it must not come between the step before and the step after it.
    #[serde(default)]
    pub never: bool,
}

/// How a step follows the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comes {
    /// Other events may lie between.
    #[default]
    Later,
    /// No other event of the sequence's inputs lies between.
    Next,
}

/// What an absence counts from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The input.
    pub input: Spanned<String>,
    /// Which of its events match.
    #[serde(rename = "where")]
    pub condition: Option<Spanned<String>>,
}

/// Hours, in the person's own time, in which a rule says nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// From this hour and minute on.
    pub from: String,
    /// Up to this one.
    pub to: String,
    /// A severity from which it speaks all the same.
    pub unless: Option<f64>,
}

/// What becomes of a rule's state when a new version comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// It stays: what was said is not said again.
    #[default]
    Keep,
    /// It begins anew.
    Reset,
    /// When it last spoke stays, so that the cooldown goes on; whether it still holds is found out anew.
    Migrate,
}

/// A test that stands in the rule: some days, and on which of them it speaks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What it shows.
    pub name: String,
    /// The person's offset from UTC, such as `+02:00`.
    pub offset: Option<String>,
    /// A day each: what came, by input. An event is at seven in the morning unless it says otherwise.
    pub days: Vec<BTreeMap<String, TrialEvents>>,
    /// The days, counted from 0, on which it speaks. An empty day lets time go by.
    pub alerts: Vec<usize>,
}

/// One event of an input on a day, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum TrialEvents {
    /// One.
    One(TrialEvent),
    /// Several.
    Many(Vec<TrialEvent>),
}

/// An event of a test; what is not said is as on a usual day.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialEvent {
    /// Hour and minute.
    pub at: Option<String>,
    /// As in the metadata.
    pub severity: Option<f64>,
    /// As in the metadata.
    pub rank: Option<f64>,
    /// As in the metadata.
    pub trend: Option<String>,
    /// As in the metadata.
    pub week: Option<f64>,
    /// As in the metadata.
    pub band: Option<String>,
    /// As in the metadata.
    pub context: Option<String>,
    /// Whether its producer names no statistic.
    #[serde(default)]
    pub unnamed: bool,
}

impl Rule {
    /// Reads a rule's text.
    ///
    /// # Errors
    /// [`Problem`] where it is no YAML, or a field is unknown, missing or of another type.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problem> {
        let problem = |place, what: String, hint: Option<&str>| Problem {
            file: file.to_owned(),
            place,
            what,
            hint: hint.map(ToOwned::to_owned),
        };
        if text.len() > RULE_BYTES_MAX {
            let what = format!("the rule is longer than {RULE_BYTES_MAX} bytes");
            return Err(problem(Place { line: 1, column: 1 }, what, Some("one file holds one rule")));
        }
        serde_saphyr::from_str(text).map_err(|error| {
            let place = error.location().map_or(Place { line: 1, column: 1 }, Place::from);
            let whole = error.without_snippet().to_string();
            // The place stands before the text already.
            let what = whole.split(" at line ").next().unwrap_or(&whole).lines().next().unwrap_or_default().to_owned();
            problem(place, what, None)
        })
    }
}

/// A span of time: a number and `m`, `h` or `d`, in milliseconds.
pub(super) fn span(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    let of = match unit {
        'm' => 60_000.0,
        'h' => 3_600_000.0,
        'd' => 86_400_000.0,
        _ => return None,
    };
    let whole = number * of;
    #[expect(clippy::cast_possible_truncation, reason = "a century is checked for")]
    (whole > 0.0 && whole < 3.2e12).then_some(whole as i64)
}

/// An hour and a minute, in minutes after midnight.
pub(super) fn minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
}
