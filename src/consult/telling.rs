//! Parts of an answer from outside, told on as they come, and what of such an answer is never shown.

use auren_agents::{Advice, AgentError, Consult, HandOff, Parts, care};

use super::ServiceError;

/// What ends a sentence.
pub(super) const ENDS: [char; 5] = ['.', '!', '?', '…', '。'];

/// Tells the parts of one answer, whose words only ever grow.
pub(super) struct Telling<'c> {
    parts: &'c Parts,
    /// Nothing is told before its sentence is whole and fit to be told.
    guarded: bool,
    seen: usize,
    told: usize,
}

impl<'c> Telling<'c> {
    pub(super) fn of(consult: &'c Consult, guarded: bool) -> Self {
        Self { parts: &consult.parts, guarded, seen: 0, told: 0 }
    }

    /// Tells what is new of all words so far; to their end where they are all there is.
    pub(super) fn hear(&mut self, words: &str, over: bool) -> Result<(), ServiceError> {
        // The mark that ends a sentence may have come before the white space that shows it.
        let from = words.floor_char_boundary(self.seen.saturating_sub('…'.len_utf8()));
        self.seen = words.len();
        let whole =
            if over || !self.guarded { Some(words.len()) } else { sentences(&words[from..]).map(|end| from + end) };
        let Some(to) = whole.filter(|to| *to > self.told) else { return Ok(()) };
        let next = &words[self.told..to];
        if self.guarded {
            fit(next)?;
        }
        self.parts.tell(next);
        self.told = to;
        Ok(())
    }
}

/// Where the last sentence ends that is known to be whole.
fn sentences(words: &str) -> Option<usize> {
    let mut ends = words.rmatch_indices(ENDS).map(|(at, end)| at + end.len());
    ends.find(|end| words[*end..].starts_with(char::is_whitespace))
}

/// That nothing of it names a disease, a medicine or a dose.
pub(super) fn fit(words: &str) -> Result<(), ServiceError> {
    if care::is_fit(words) {
        return Ok(());
    }
    Err(ServiceError::unusable("answer", "must name no disease, no medicine and no dose"))
}

/// The same of a wish that another go on.
pub(super) fn fit_hand_off(hand_off: &HandOff) -> Result<(), ServiceError> {
    fit(&hand_off.reason)?;
    fit(hand_off.to.as_str())
}

/// The same of everything that an advice shows to anybody.
fn fit_advice(advice: &Advice) -> Result<(), ServiceError> {
    fit(&advice.message)?;
    for finding in &advice.findings {
        fit(&finding.subject)?;
        fit(&finding.statement)?;
        finding.alternatives.iter().try_for_each(|words| fit(words))?;
    }
    advice.reasons.iter().try_for_each(|words| fit(words))?;
    advice.hand_off.as_ref().map_or(Ok(()), fit_hand_off)
}

/// Asks somebody outside, as far as they are trusted. A guarded agent is not asked about what calls for care, which the house's
/// own words answer, and nothing is shown of an answer that is not fit.
pub(super) async fn asked(
    consult: &Consult,
    guarded: bool,
    asking: impl Future<Output = Result<Advice, ServiceError>>,
) -> Result<Advice, AgentError> {
    if let Some(advice) = guarded.then(|| care::first(consult)).flatten() {
        return Ok(advice);
    }
    let advice = asking.await.and_then(|advice| {
        if guarded {
            fit_advice(&advice)?;
        }
        if advice.message.trim().is_empty() && advice.hand_off.is_none() {
            return Err(ServiceError::unusable("message", "must not be empty"));
        }
        Ok(advice)
    });
    advice.map_err(|error| {
        tracing::warn!(agent = %consult.agent, consult = %consult.id, %error, "an agent outside has no answer");
        error.into()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use auren_agents::events;
    use serde_json::json;

    use super::*;

    /// What is told of words that grow by these parts, part by part.
    fn told(guarded: bool, parts: &[&str]) -> (Vec<String>, Result<(), ServiceError>) {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let consult = json!({
            "id": "c", "agent": "far", "user_id": "u", "conversation_id": "k", "turn": 1,
            "cause": { "kind": "message", "id": "m", "text": "hi" }, "at": "2024-01-01T10:00:00Z",
            "recent": [], "past": [], "panel": [], "deadline_ms": 1000,
        });
        let mut consult: Consult = events::parse(consult.to_string().as_bytes()).unwrap();
        consult.parts = Parts::to(move |part| hears.lock().unwrap().push(part.to_owned()));
        let mut telling = Telling::of(&consult, guarded);
        let mut words = String::new();
        let end = parts.iter().try_for_each(|part| {
            words.push_str(part);
            telling.hear(&words, false)
        });
        let end = end.and_then(|()| telling.hear(&words, true));
        let heard = heard.lock().unwrap().clone();
        (heard, end)
    }

    #[test]
    fn whole_sentences_are_told_as_soon_as_they_are_known_to_be_whole() {
        let (heard, end) = told(true, &["Well…", " Or", " not. 7", ".5 ", "hours"]);
        assert_eq!((heard.concat().as_str(), end), ("Well… Or not. 7.5 hours", Ok(())));
        assert_eq!(heard, ["Well…", " Or not.", " 7.5 hours"]);
        assert_eq!(told(false, &["Well", "…"]).0, ["Well", "…"]);
    }

    #[test]
    fn of_a_sentence_that_is_not_fit_nothing_is_told() {
        let (heard, end) = told(true, &["You sleep badly.", " It is diab", "etes", ". Or so."]);
        assert_eq!(heard, ["You sleep badly."]);
        assert!(end.unwrap_err().to_string().contains("must name no disease"));
        assert_eq!(told(false, &["It is diabetes. "]).1, Ok(()));
    }
}
