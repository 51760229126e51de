//! One person's rules: which have found something, when, and what an event changes.

use auren_agents::{AgentId, BiometricEvent, EventId, Observation, Score, Text, TriggerEvent, UserId, events};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    History, RULES, Rule,
    rules::{Found, Judgement},
};
use crate::{
    config::Role,
    lane::{Effects, Input, Lates, Never, Processor, Pure, Reduce, Refusal},
    seen::Seen,
    wire,
};

/// The version of the saved state.
const VERSION: u8 = 1;
/// A rule that has said something is silent for this long, whatever it finds.
const COOLDOWN_MS: i64 = 4 * DAY_MS;
/// While what it found goes on and has not become worse, it is said again after this long.
const REMINDER_MS: i64 = 14 * DAY_MS;
/// A severity higher by this much is worse.
const WORSE: f64 = 0.1;
const DAY_MS: i64 = 86_400_000;
/// A trigger carries at most so many events that it rests on, and at most so many others of those days.
const WINDOW_MAX: usize = 16;
const COMPANY_MAX: usize = 12;
/// How far back the others go.
const COMPANY_MS: i64 = 2 * DAY_MS;

/// The role that finds triggers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detect;

impl Processor for Detect {
    type Late = Never;
    type Session = Pure<Session>;

    fn role(&self) -> Role {
        Role::Detect
    }

    fn open(&self, user: &UserId, saved: Option<&[u8]>, _: Lates<Never>) -> Result<Self::Session, Refusal> {
        let unreadable = |why: &str| Refusal::new("state_unreadable", "state", why);
        let memory = match saved.and_then(<[u8]>::split_first) {
            None => Memory::default(),
            Some((&VERSION, saved)) => postcard::from_bytes(saved).map_err(|_| unreadable("is damaged"))?,
            Some(_) => return Err(unreadable("was saved by another version of AUREN")),
        };
        Ok(Pure(Session { user: user.clone(), memory }))
    }
}

/// One person's session.
#[derive(Debug)]
pub struct Session {
    user: UserId,
    memory: Memory,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    history: History,
    /// What each rule said last.
    said: Vec<Said>,
}

/// What a rule said last.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    rule: String,
    at: i64,
    severity: f64,
    /// Whether what it found has not been well since.
    holds: bool,
}

impl Reduce for Session {
    fn apply(&mut self, input: Input) -> Result<Effects, Refusal> {
        let event: BiometricEvent = events::parse(&input.payload)?;
        if event.user_id != self.user {
            return Err(Refusal::other_user());
        }
        let seen = Seen::of(&event);
        if !self.memory.history.add(seen.clone(), |seen| RULES.iter().any(|rule| (rule.concerns)(seen))) {
            // The same event again.
            return Ok(Effects::default());
        }
        let mut outputs = Vec::new();
        for rule in RULES.iter().filter(|rule| (rule.concerns)(&seen)) {
            if let Some(found) = self.memory.judge(rule, &seen) {
                outputs.push(wire::outgoing(&self.trigger(rule, found, &event)));
            }
        }
        Ok(Effects { outputs, state: Some(self.save()?), open: false })
    }
}

impl Memory {
    /// What the rule has to say about this event, if it is time to say it.
    fn judge(&mut self, rule: &Rule, seen: &Seen) -> Option<Found> {
        let judgement = (rule.judge)(&self.history, seen);
        let Some(said) = self.said.iter_mut().find(|said| said.rule == rule.id) else {
            let Judgement::Found(found) = judgement else { return None };
            self.said.push(Said { rule: rule.id.to_owned(), at: seen.at, severity: found.severity, holds: true });
            return Some(found);
        };
        if seen.at <= said.at {
            // It came late: it neither says again what was said about a later day nor takes it back.
            return None;
        }
        match judgement {
            Judgement::Found(found) => {
                let since = seen.at - said.at;
                let news = !said.holds || found.severity >= said.severity + WORSE || since >= REMINDER_MS;
                said.holds = true;
                (news && since >= COOLDOWN_MS).then(|| {
                    said.at = seen.at;
                    said.severity = found.severity;
                    found
                })
            }
            Judgement::Between => None,
            Judgement::Clear => {
                said.holds = false;
                None
            }
        }
    }
}

impl Session {
    fn trigger(&self, rule: &Rule, found: Found, event: &BiometricEvent) -> TriggerEvent {
        let id = ["trigger", self.user.as_str(), rule.id, &rule.version.to_string(), event.event_id.as_str()];
        let at = event.timestamp.millis();
        let window = &found.events[found.events.len().saturating_sub(WINDOW_MAX)..];
        TriggerEvent {
            trigger_id: EventId::derived(&id),
            user_id: self.user.clone(),
            trigger_type: rule.trigger_type.clone(),
            severity: Score::clamped((found.severity * 100.0).round() / 100.0),
            context_window: window.iter().filter_map(|event| EventId::new(event.as_str()).ok()).collect(),
            recommended_agents: rule.agents.iter().filter_map(|agent| AgentId::new(*agent).ok()).collect(),
            message: Text::cut(found.message),
            timestamp: event.timestamp.clone(),
            evidence: self.evidence(window, at),
            rule: Some(events::RuleRef { id: Text::cut(rule.id), version: rule.version }),
            extra: serde_json::Map::new(),
        }
    }

    /// The events that a trigger rests on, and the others of its last days, oldest first.
    fn evidence(&self, window: &[String], at: i64) -> Vec<Observation> {
        let rests_on = |seen: &Seen| window.contains(&seen.event);
        let company: Vec<&Seen> =
            self.memory.history.until(at).filter(|seen| !rests_on(seen) && seen.at > at - COMPANY_MS).collect();
        let company = &company[company.len().saturating_sub(COMPANY_MAX)..];
        self.memory
            .history
            .until(at)
            .filter(|seen| rests_on(seen) || company.iter().any(|known| known.event == seen.event))
            .filter_map(Seen::observation)
            .collect()
    }

    fn save(&self) -> Result<Bytes, Refusal> {
        postcard::to_extend(&self.memory, vec![VERSION])
            .map(Bytes::from)
            .map_err(|_| Refusal::new("state_unwritable", "state", "the person's last days cannot be written"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone as _, Utc};
    use serde_json::json;

    use super::*;
    use crate::bus::{Cursor, Topic};

    fn open(saved: Option<&[u8]>) -> Session {
        let (sender, _) = tokio::sync::mpsc::channel(1);
        Detect.open(&UserId::new("u-1").unwrap(), saved, Lates::new(sender)).unwrap().0
    }

    /// Works one event of a night and answers with the triggers.
    fn night(session: &mut Session, day: i64, kind: &str, metadata: &serde_json::Value) -> Vec<TriggerEvent> {
        let at = (Utc.with_ymd_and_hms(2024, 1, 1, 7, 0, 0).unwrap() + Duration::days(day)).to_rfc3339();
        let mut known = json!({
            "percentile_rank": 0.5, "severity_score": 0.0, "trend": "stable", "timestamp_iso": at,
            "source_device": "watch", "measurement_context": "sleep",
        });
        known.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let event = json!({
            "event_id": format!("{kind}-{day}"), "user_id": "u-1", "event_type": kind, "token": "t",
            "metadata": known, "timestamp": at,
        });
        let payload = event.to_string().into();
        let input = Input { topic: Topic::Biometrics, cursor: Cursor { partition: 0, offset: 0 }, payload };
        let effects = session.apply(input).unwrap();
        effects.outputs.iter().map(|record| events::parse(record.payload.as_ref().unwrap()).unwrap()).collect()
    }

    fn hrv(session: &mut Session, day: i64, week: f64) -> usize {
        night(session, day, "hrv_measurement", &json!({ "measure": "rmssd", "week_deviation": week })).len()
    }

    fn sleep(session: &mut Session, day: i64, band: &str) -> usize {
        night(session, day, "sleep_analysis", &json!({ "measure": "asleep", "band": band })).len()
    }

    #[test]
    fn a_low_week_is_said_once_and_again_when_it_is_worse_or_was_well_between_but_not_within_four_days() {
        let mut session = open(None);
        let weeks = [0.0, 0.5, 1.0, 1.0, 1.5, 1.5, 1.5, 1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        let said: Vec<usize> = (0..).zip(weeks).map(|(day, week)| hrv(&mut session, day, week)).collect();
        assert_eq!(said, [0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
        let said: usize = (15..25).map(|day| hrv(&mut session, day, 1.0)).sum();
        assert_eq!(said, 1, "two weeks on it is said once more");
    }

    #[test]
    fn three_short_nights_in_a_row_are_said_and_a_gap_breaks_the_row() {
        let mut session = open(None);
        let said: Vec<usize> = (0..4).map(|day| sleep(&mut session, day, "short")).collect();
        assert_eq!(said, [0, 0, 1, 0]);
        let mut session = open(None);
        assert_eq!([0, 1, 3].map(|day| sleep(&mut session, day, "short")), [0, 0, 0]);
        let mut session = open(None);
        let bands = ["short", "short", "short", "", "short", "short", "short", "", "", "short", "short", "short"];
        let said: Vec<usize> = (0..).zip(bands).map(|(day, band)| sleep(&mut session, day, band)).collect();
        assert_eq!(said, [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], "one good night is no recovery, two are");
    }

    #[test]
    fn an_outside_producer_is_judged_by_severity_and_trend() {
        let mut session = open(None);
        let metadata = json!({ "severity_score": 0.85, "trend": "declining_3_days" });
        let triggers = night(&mut session, 0, "hrv_measurement", &metadata);
        let trigger = &triggers[0];
        assert_eq!(trigger.trigger_type, auren_agents::TriggerType::HrvDrop);
        assert_eq!(trigger.severity.get(), 0.85);
        assert_eq!(trigger.evidence.len(), 1);
        assert_eq!(&*trigger.message, "Heart-rate variability is far below the usual range and still falling.");
    }

    #[test]
    fn the_same_event_twice_finds_nothing_twice_also_after_a_restart() {
        let mut session = open(None);
        assert_eq!(hrv(&mut session, 0, 2.0), 1);
        assert_eq!(hrv(&mut session, 0, 2.0), 0);
        let saved = session.save().unwrap();
        let mut session = open(Some(&saved));
        assert_eq!((hrv(&mut session, 0, 2.0), hrv(&mut session, 1, 2.0)), (0, 0));
    }

    #[test]
    fn a_person_s_state_stays_small() {
        let mut session = open(None);
        for day in 0..30 {
            hrv(&mut session, day, 0.5);
            sleep(&mut session, day, "short");
            for measure in ["resting_heart_rate", "skin_temperature", "stress_score", "workout_load", "mood", "steps"] {
                night(&mut session, day, measure, &json!({ "measure": measure }));
            }
        }
        let bytes = session.save().unwrap().len();
        assert!(bytes < 2800, "{bytes} bytes");
    }
}
