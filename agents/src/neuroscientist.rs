//! The neuroscientist: explains what changed in a body, how sure that is, and what else could explain it.
//!
//! It needs no key and no network, answers at once, and reads only what a [`Consult`] brings. It explains and leaves
//! what to do about it to the coach. It names no disease.

mod answer;
mod change;
mod reason;

use crate::{
    agent::{Agent, AgentCard, AgentError},
    care::{Care, keeps_coming},
    consult::{Advice, Cause, Consult, Finding},
    events::TriggerType,
    reading::{Band, DayPart, Explanation, Reading, Repeat, Sign, is_nightly, what},
    text::{Score, Text},
    voice::{Voice, fill, speak},
};

/// Explains changes in a person's readings.
#[derive(Debug, Default, Clone, Copy)]
pub struct Neuroscientist;

impl Agent for Neuroscientist {
    fn card(&self) -> AgentCard {
        AgentCard::new(
            "neuroscientist",
            env!("CARGO_PKG_VERSION"),
            "Explains what changed in your nights and days, how sure that is, and what else could explain it.",
        )
        .topics([
            "why",
            "explain",
            "hrv",
            "variability",
            "heart",
            "pulse",
            "brain",
            "sleep",
            "slept",
            "insomnia",
            "stress",
            "stressed",
            "focus",
            "concentration",
            "mood",
            "recovery",
            "temperature",
            "breathing",
            "glucose",
            "sugar",
            "pressure",
            "sick",
        ])
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        Ok(self.advise(&consult))
    }
}

impl Neuroscientist {
    /// The answer, at once.
    pub(crate) fn advise(self, consult: &Consult) -> Advice {
        let reading = Reading::of(consult);
        let voice = Voice::of(&reading);
        match (&consult.cause, Care::of(&reading)) {
            (_, Some(care)) => answer::care(&reading, &voice, care),
            (Cause::Message { text, .. }, None) => answer::message(&reading, &voice, text),
            (Cause::Trigger { trigger_type, severity, .. }, None) => {
                Explained::of(&reading, trigger_type, *severity).advice(&voice)
            }
        }
    }
}

/// A trigger as the neuroscientist understands it.
struct Explained<'r, 'c> {
    reading: &'r Reading<'c>,
    trigger: &'r TriggerType,
    severity: Score,
    repeat: Repeat,
    main: Option<Sign>,
    explanations: Vec<Explanation>,
}

impl<'r, 'c> Explained<'r, 'c> {
    fn of(reading: &'r Reading<'c>, trigger: &'r TriggerType, severity: Score) -> Self {
        Self {
            reading,
            trigger,
            severity,
            repeat: reading.history.repeat(),
            main: reading.main_sign(trigger),
            explanations: Explanation::all(reading, Some(trigger)),
        }
    }

    fn advice(&self, voice: &Voice) -> Advice {
        let mut sentences = vec![self.change(voice)];
        sentences.extend(self.course(voice));
        sentences.push(reason::because(self.reading, voice, self.trigger, self.main, &self.explanations));
        sentences.push(reason::sureness(voice, self.trigger, self.confidence(), !self.explanations.is_empty()));
        if keeps_coming(self.trigger, self.repeat) {
            sentences.push(voice.pick(reason::SEE_A_CLINICIAN).to_owned());
        } else if self.reading.moment.part() == DayPart::Night {
            sentences.push(voice.pick(reason::AT_NIGHT).to_owned());
        }
        Advice {
            message: Text::cut(speak(sentences)),
            findings: self.findings(),
            confidence: Some(self.confidence()),
            reasons: self.reasons(),
            hand_off: None,
            note: voice.note(self.explanations.first().map_or("open", |found| found.subject())),
        }
    }

    /// What changed, and when.
    fn change(&self, voice: &Voice) -> String {
        let band = Band::of(self.severity);
        let when = self.main.and_then(|sign| self.reading.when(sign));
        let row = self.repeat.in_words(is_nightly(self.trigger));
        let wordings = match self.repeat {
            Repeat::First => change::first(self.trigger),
            Repeat::SameDay => change::same_day(),
            Repeat::Again { .. } => change::again(self.trigger),
        };
        let values = [
            ("how", band.how()),
            ("much", band.much()),
            ("when", when.as_deref().unwrap_or("this time")),
            ("row", row.as_str()),
            ("what", what(self.trigger)),
        ];
        fill(voice.pick(wordings), &values)
    }

    /// Where it is going: the trend at first, the pattern when it comes again.
    fn course(&self, voice: &Voice) -> Option<String> {
        let recovering = self.main.is_some_and(|sign| self.reading.trend(sign).recovering(sign));
        match self.repeat {
            Repeat::Again { .. } if self.past_reason().is_some() => {
                let then = self.past_reason().map(Explanation::name).unwrap_or_default();
                Some(fill(voice.pick(reason::OTHER_THAN_LAST_TIME), &[("then", then)]))
            }
            Repeat::Again { times: 2, .. } => Some(voice.pick(reason::SECOND).to_owned()),
            Repeat::Again { .. } if recovering => Some(voice.pick(reason::TURNING).to_owned()),
            Repeat::Again { .. } => Some(voice.pick(reason::LATER).to_owned()),
            Repeat::First => reason::trend(self.reading, voice, self.main?),
            Repeat::SameDay => None,
        }
    }

    /// What explained the same notice last time and does not any more.
    fn past_reason(&self) -> Option<Explanation> {
        let about = self.trigger.as_str();
        let last = self.reading.history.own().find(|past| &*past.about == about)?;
        Explanation::noted(&last.note).filter(|then| then.is_refuted(self.reading))
    }

    /// How sure the explanation is: by what was seen, for how long, and by how many signs that agree.
    fn confidence(&self) -> Score {
        let seen = self.main.is_some_and(|sign| self.reading.is_off(sign));
        let worsening = self.main.is_some_and(|sign| self.reading.trend(sign).worsening(sign).is_some());
        let again = matches!(self.repeat, Repeat::Again { .. });
        let explained = match self.explanations.as_slice() {
            [] => 0.0,
            [Explanation::Fighting, ..] | [_] => 0.15,
            // Two that compete say less than one that stands alone.
            _ => 0.1,
        };
        let sum: f64 = 0.35
            + if seen { 0.15 } else { 0.0 }
            + if worsening { 0.1 } else { 0.0 }
            + if again { 0.1 } else { 0.0 }
            + explained;
        Score::clamped((sum * 100.0).round() / 100.0)
    }

    fn findings(&self) -> Vec<Finding> {
        let main = self.main.filter(|sign| self.reading.is_off(*sign));
        let subject = main.map_or(self.trigger.as_str(), |sign| sign.subject());
        let statement = main.map_or_else(
            || format!("A rule noticed {}.", what(self.trigger)),
            |sign| change::statement(self.reading, sign),
        );
        let mut alternatives: Vec<Text<256>> =
            self.explanations.iter().map(|explanation| Text::cut(explanation.name())).collect();
        alternatives.extend(change::lookalikes(self.trigger).iter().map(|other| Text::cut(*other)));
        let events = self.main.map(|sign| self.reading.events(sign)).unwrap_or_default();
        let mut findings = vec![Finding {
            subject: Text::cut(subject),
            statement: Text::cut(statement),
            confidence: self.confidence(),
            events,
            alternatives,
        }];
        let others = self.explanations.iter().filter(|found| found.subject() != subject);
        findings.extend(others.map(|found| reason::finding(self.reading, *found)));
        findings
    }

    fn reasons(&self) -> Vec<Text<512>> {
        let mut reasons = Vec::new();
        for sign in self.reading.all_off().into_iter().take(6) {
            reasons.push(Text::cut(change::statement(self.reading, sign)));
        }
        if let Repeat::Again { .. } = self.repeat {
            let row = self.repeat.in_words(is_nightly(self.trigger));
            reasons.push(Text::cut(format!("It was noticed {row}.")));
        }
        if reasons.is_empty() {
            reasons.push(Text::cut(
                "The rule's own notice is all there is; no recent reading lies outside the usual range.",
            ));
        }
        reasons
    }
}
