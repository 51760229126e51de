//! One person's session of the role `detect`: an event is read, judged by the rules in force, and what they found is written.

use std::sync::Arc;

use auren_agents::{BiometricEvent, EventId, Score, Text, TriggerEvent, UserId, events};
use bytes::Bytes;
use tokio::sync::watch;

use super::{Finding, Memory, Noted, Rules};
use crate::{
    config::Role,
    lane::{Effects, Input, Lates, Never, Processor, Pure, Reduce, Refusal, Wake},
    seen::moment,
    wire,
};

/// An event dated further ahead of its record than this comes from a clock that is wrong.
const AHEAD_MAX_MS: i64 = 12 * 3_600_000;

/// The role that finds triggers.
#[derive(Debug, Clone)]
pub struct Detect {
    rules: watch::Receiver<Arc<Rules>>,
}

impl Detect {
    /// Judges by the rules that are in force when an event is worked: each event by one set of them.
    #[must_use]
    pub fn new(rules: watch::Receiver<Arc<Rules>>) -> Self {
        Self { rules }
    }
}

impl Processor for Detect {
    const WAKES: bool = true;
    type Late = Never;
    type Session = Pure<Session>;

    fn role(&self) -> Role {
        Role::Detect
    }

    fn timing(&self) -> u64 {
        self.rules.borrow().timing
    }

    fn open(&self, user: &UserId, saved: Option<&[u8]>, _: Lates<Never>) -> Result<Self::Session, Refusal> {
        let unreadable = |why| Refusal::new("state_unreadable", "state", why);
        let memory = saved.map_or(Ok(Memory::default()), |saved| Memory::read(saved).map_err(unreadable))?;
        Ok(Pure(Session { user: user.clone(), rules: self.rules.clone(), memory }))
    }
}

/// One person's session.
#[derive(Debug)]
pub struct Session {
    user: UserId,
    rules: watch::Receiver<Arc<Rules>>,
    memory: Memory,
}

impl Reduce for Session {
    fn apply(&mut self, input: Input) -> Result<Effects, Refusal> {
        let event: BiometricEvent = events::parse(&input.payload)?;
        if event.user_id != self.user {
            return Err(Refusal::other_user());
        }
        if event.timestamp.millis() > input.written_ms.saturating_add(AHEAD_MAX_MS) {
            let why = "is more than 12 hours ahead of the time at which the event was written: a clock is wrong";
            return Err(Refusal::new("clock_ahead", "timestamp", why));
        }
        let rules = Arc::clone(&self.rules.borrow());
        let (noted, stream) = Noted::of(&event);
        let mut found = Vec::new();
        // Nothing changes by the same event again, or by one that is older than all that is remembered.
        let changed = rules.work(&mut self.memory, noted, &stream, input.written_ms, &mut found);
        self.effects(&rules, &found, changed)
    }

    fn time(&mut self, now: i64) -> Result<Effects, Refusal> {
        let rules = Arc::clone(&self.rules.borrow());
        let mut found = Vec::new();
        let changed = rules.tick(&mut self.memory, now, &mut found);
        self.effects(&rules, &found, changed)
    }
}

/// What a rule found, as the record that is written.
#[must_use]
pub fn trigger(user: &UserId, rules: &Rules, finding: &Finding) -> Option<TriggerEvent> {
    let rule = &rules.in_force().get(finding.rule as usize)?.rule;
    // An absence may become complete without an event, so that the moment belongs to it.
    let (version, at) = (rule.version.to_string(), finding.at.to_string());
    let id = ["trigger", user.as_str(), &rule.id, &version, &finding.event.text(), &at];
    Some(TriggerEvent {
        trigger_id: EventId::derived(&id),
        user_id: user.clone(),
        trigger_type: rule.trigger.clone(),
        severity: Score::clamped((finding.severity * 100.0).round() / 100.0),
        context_window: finding.window.iter().filter_map(|id| EventId::new(id.text()).ok()).collect(),
        recommended_agents: rule.agents.clone(),
        message: Text::cut(finding.message.as_str()),
        timestamp: moment(finding.at, i32::from(finding.offset) * 60)?,
        evidence: finding.evidence.clone(),
        rule: Some(events::RuleRef { id: Text::cut(rule.id.as_str()), version: rule.version }),
        extra: serde_json::Map::new(),
    })
}

impl Session {
    fn effects(&self, rules: &Rules, found: &[Finding], changed: bool) -> Result<Effects, Refusal> {
        let triggers = found.iter().filter_map(|finding| trigger(&self.user, rules, finding));
        let outputs = triggers.map(|trigger| wire::outgoing(&trigger)).collect();
        let state = if changed { Some(self.save()?) } else { None };
        let wake = self.memory.wake().map(|at| Wake { at, timing: rules.timing });
        Ok(Effects { outputs, state, open: false, wake, trace: None })
    }

    fn save(&self) -> Result<Bytes, Refusal> {
        let saved = self.memory.saved().map(Bytes::from);
        saved.ok_or_else(|| Refusal::new("state_unwritable", "state", "the person's last days cannot be written"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone as _, Utc};
    use serde_json::json;

    use super::*;
    use crate::{
        bus::{Cursor, Topic},
        detect::shipped,
    };

    fn open(saved: Option<&[u8]>) -> Session {
        let (sender, _) = tokio::sync::mpsc::channel(1);
        let (_, rules) = watch::channel(Arc::new(Rules::compile(&shipped()).unwrap()));
        Detect::new(rules).open(&UserId::new("u-1").unwrap(), saved, Lates::new(sender)).unwrap().0
    }

    /// Works one event of a night and answers with the triggers.
    fn night(session: &mut Session, day: i64, kind: &str, metadata: &serde_json::Value) -> Vec<TriggerEvent> {
        let effects = work(session, day, kind, metadata, 0).unwrap();
        effects.outputs.iter().map(|record| events::parse(record.payload.as_ref().unwrap()).unwrap()).collect()
    }

    /// Works one event of a night that is dated so many hours ahead of its record.
    fn work(
        session: &mut Session,
        day: i64,
        kind: &str,
        metadata: &serde_json::Value,
        ahead: i64,
    ) -> Result<Effects, Refusal> {
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
        let cursor = Cursor { partition: 0, offset: 0 };
        let written_ms = chrono::DateTime::parse_from_rfc3339(&at).unwrap().timestamp_millis() - ahead * 3_600_000;
        let input = Input { topic: Topic::Biometrics, cursor, written_ms, payload, trace: None };
        session.apply(input)
    }

    fn hrv(session: &mut Session, day: i64, week: f64) -> usize {
        let metadata = json!({ "measure": "rmssd", "week_deviation": week, "severity_score": 0.5 });
        night(session, day, "hrv_measurement", &metadata).len()
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
        assert_eq!((hrv(&mut session, 0, 2.0), hrv(&mut session, 1, 2.0)), (0, 1));
        assert_eq!(hrv(&mut session, 1, 2.0), 0);
        let saved = session.save().unwrap();
        let mut session = open(Some(&saved));
        assert_eq!((hrv(&mut session, 1, 2.0), hrv(&mut session, 2, 2.0)), (0, 0));
    }

    #[test]
    fn an_event_of_a_clock_that_is_a_day_ahead_is_refused_and_changes_nothing() {
        let mut session = open(None);
        hrv(&mut session, 0, 2.0);
        let before = session.save().unwrap();
        let metadata = json!({ "measure": "rmssd", "week_deviation": 2.0, "severity_score": 1.0 });
        let refusal = work(&mut session, 1, "hrv_measurement", &metadata, 24).unwrap_err();
        assert_eq!((refusal.class, session.save().unwrap()), ("clock_ahead", before));
        assert_eq!(work(&mut session, 1, "hrv_measurement", &metadata, 11).unwrap().outputs.len(), 1);
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
