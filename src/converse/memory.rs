//! What a session remembers of its person, and its saved form.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use auren_agents::{AgentId, Cause, ConversationId, Observation, Score, Text, Timestamp, consult::PastAdvice};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::panel::Panel;
use crate::{
    lane::Refusal,
    seen::{Seen, four_digits, moment, saved_score},
};

/// The version of the saved state.
const VERSION: u8 = 1;
/// A buffer that most states fit into.
const USUAL_BYTES: usize = 1024;
/// Most measurements remembered of one statistic, and of all.
const SAME_MAX: usize = 3;
const RECENT_MAX: usize = 20;
/// Most pieces of advice remembered.
const PAST_MAX: usize = 8;
/// Most causes whose repetition is recognised: a device that was offline may send this many messages again.
const CAUSES_MAX: usize = 64;

/// What a session remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last turn.
    pub(super) turn: u64,
    /// The conversation that goes on, and when its last cause happened.
    pub(super) conversation: Option<(ConversationId, i64)>,
    /// The last measurements, oldest first.
    recent: Vec<Seen>,
    /// What was said, oldest first, as agents are shown it.
    past: Arc<[PastAdvice]>,
    /// Who spoke last.
    pub(super) last_speaker: Option<AgentId>,
    /// The last causes worked, by their digest.
    causes: VecDeque<u64>,
    /// Panels that wait for an agent.
    pub(super) open: Vec<Panel>,
}

/// The saved form: small, and versioned by its first byte.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    turn: u64,
    conversation: Option<(Cow<'a, str>, i64)>,
    recent: Cow<'a, [Seen]>,
    #[serde(borrow)]
    past: Vec<SavedAdvice<'a>>,
    last_speaker: Option<Cow<'a, str>>,
    causes: Cow<'a, VecDeque<u64>>,
    /// As JSON: they are rare, and hold what came from outside.
    open: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedAdvice<'a> {
    at: i64,
    offset: i32,
    agent: &'a str,
    about: &'a str,
    severity: f32,
    note: &'a str,
}

impl Memory {
    pub(super) fn load(saved: &[u8]) -> Result<Self, Refusal> {
        let unreadable = |why: &str| Refusal::new("state_unreadable", "state", why);
        let damaged = || unreadable("is damaged; the person's conversation cannot go on from it");
        let saved: Saved = match saved.split_first() {
            Some((&VERSION, saved)) => postcard::from_bytes(saved).map_err(|_| damaged())?,
            _ => return Err(unreadable("was saved by another version of AUREN")),
        };
        Ok(Self {
            turn: saved.turn,
            conversation: saved
                .conversation
                .map(|(id, at)| ConversationId::new(id).map(|id| (id, at)))
                .transpose()
                .map_err(|_| damaged())?,
            recent: saved.recent.into_owned(),
            past: saved.past.iter().filter_map(SavedAdvice::advice).collect(),
            last_speaker: saved.last_speaker.map(AgentId::new).transpose().map_err(|_| damaged())?,
            causes: saved.causes.into_owned(),
            open: saved
                .open
                .iter()
                .map(|panel| serde_json::from_str(panel))
                .collect::<Result<_, _>>()
                .map_err(|_| damaged())?,
        })
    }

    pub(super) fn save(&self) -> Result<Bytes, Refusal> {
        let unwritable = || Refusal::new("state_unwritable", "state", "the person's conversation cannot be written");
        let open = self.open.iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(|_| unwritable())?;
        let saved = Saved {
            turn: self.turn,
            conversation: self.conversation.as_ref().map(|(id, at)| (id.as_str().into(), *at)),
            recent: self.recent.as_slice().into(),
            past: self.past.iter().map(SavedAdvice::of).collect(),
            last_speaker: self.last_speaker.as_ref().map(|agent| agent.as_str().into()),
            causes: Cow::Borrowed(&self.causes),
            open,
        };
        let mut state = Vec::with_capacity(USUAL_BYTES);
        state.push(VERSION);
        let state = postcard::to_extend(&saved, state).map_err(|_| unwritable())?;
        // It is kept as long as its user is: without the rest of the buffer.
        Ok(Bytes::copy_from_slice(&state))
    }

    /// Remembers a measurement; false where it is remembered already, or older than what there is room for.
    pub(super) fn measured(&mut self, seen: Seen) -> bool {
        if self.recent.iter().any(|known| known.event == seen.event) {
            return false;
        }
        let same = |known: &Seen| known.event_type == seen.event_type && known.measure == seen.measure;
        let oldest = if self.recent.iter().filter(|known| same(known)).count() >= SAME_MAX {
            self.recent.iter().position(same)
        } else {
            (self.recent.len() >= RECENT_MAX).then_some(0)
        };
        if let Some(oldest) = oldest {
            if seen.at < self.recent[oldest].at {
                return false;
            }
            self.recent.remove(oldest);
        }
        let place = self.recent.partition_point(|known| known.at <= seen.at);
        self.recent.insert(place, seen);
        true
    }

    /// The measurements up to a moment, oldest first, as agents see them.
    pub(super) fn recent(&self, until: &Timestamp) -> Arc<[Observation]> {
        let until = until.millis();
        self.recent.iter().filter(|seen| seen.at <= until).filter_map(Seen::observation).collect()
    }

    /// What was said, oldest first.
    pub(super) fn past(&self) -> Arc<[PastAdvice]> {
        Arc::clone(&self.past)
    }

    /// Remembers who said what about one thing, as it would come back from its saved form: a session that slept tells its
    /// agents the same as one that did not.
    pub(super) fn said(
        &mut self,
        (at, about, severity): (&Timestamp, &str, Score),
        said: impl ExactSizeIterator<Item = (AgentId, Text<64>)>,
    ) {
        let Some(at) = moment(at.millis(), at.at().offset().local_minus_utc()) else { return };
        let (about, severity) = (Text::cut(about), four_digits(saved_score(severity)));
        let leave = (self.past.len() + said.len()).saturating_sub(PAST_MAX);
        let said = said.map(|(agent, note)| PastAdvice { at: at.clone(), agent, about: about.clone(), severity, note });
        match Arc::get_mut(&mut self.past) {
            // Most often nobody is being shown it, and there are as many as there may be.
            Some(past) if leave == said.len() && leave <= past.len() => {
                past.rotate_left(leave);
                past.iter_mut().skip(PAST_MAX - leave).zip(said).for_each(|(place, said)| *place = said);
            }
            _ => self.past = self.past.iter().cloned().chain(said).skip(leave).collect(),
        }
    }

    /// Notes a cause; false where it was worked before.
    pub(super) fn first_time(&mut self, cause: &Cause) -> bool {
        let cause = cause.digest();
        if self.causes.contains(&cause) {
            return false;
        }
        if self.causes.len() == CAUSES_MAX {
            self.causes.pop_front();
        }
        self.causes.push_back(cause);
        true
    }
}

impl<'a> SavedAdvice<'a> {
    fn of(advice: &'a PastAdvice) -> Self {
        Self {
            at: advice.at.millis(),
            offset: advice.at.at().offset().local_minus_utc(),
            agent: advice.agent.as_str(),
            about: &advice.about,
            severity: saved_score(advice.severity),
            note: &advice.note,
        }
    }

    /// As agents see it; none where what was saved is no longer valid.
    fn advice(&self) -> Option<PastAdvice> {
        Some(PastAdvice {
            at: moment(self.at, self.offset)?,
            agent: AgentId::new(self.agent).ok()?,
            about: Text::new(self.about).ok()?,
            severity: four_digits(self.severity),
            note: Text::new(self.note).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(past: &[PastAdvice]) -> Vec<String> {
        let text = |said: &PastAdvice| {
            let PastAdvice { at, agent, about, severity, note } = said;
            format!("{at} {agent} {about} {} {note}", severity.get())
        };
        past.iter().map(text).collect()
    }

    #[test]
    fn the_newest_of_what_was_said_is_kept_as_it_comes_back_from_its_saved_form_and_nobody_is_shown_another_past_meanwhile()
     {
        let (mut memory, mut notes, mut shown) = (Memory::default(), Vec::new(), Vec::new());
        for turn in 0..24 {
            let at = Timestamp::parse(format!("2024-01-01T10:{turn:02}:00.1234567+02:00")).unwrap();
            let new: Vec<_> = (0..turn % 4).map(|place| format!("note {turn} {place}")).collect();
            let said = new.iter().map(|note| (AgentId::new("coach").unwrap(), Text::cut(note.as_str())));
            memory.said((&at, "hrv_drop", Score::clamped(0.123_456)), said);
            notes.extend(new);
            let past = memory.past();
            assert!(past.iter().map(|said| &*said.note).eq(&notes[notes.len().saturating_sub(PAST_MAX)..]));
            assert_eq!(texts(&past), texts(&Memory::load(&memory.save().unwrap()).unwrap().past()));
            if turn % 2 == 0 {
                shown.push((texts(&past), past));
            }
        }
        assert!(shown.iter().all(|(then, past)| *then == texts(past)));
    }
}
