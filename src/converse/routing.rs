//! Whom a person means: by name, by topic, or whoever spoke last.

use auren_agents::{AgentCard, AgentId};
use serde::{Deserialize, Serialize};

use super::TalkSettings;

/// What may decide who is meant by a message that is addressed to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Who is called by name.
    Mention,
    /// Whose topics have most of the words; of several the one that spoke last.
    Topic,
    /// Who spoke last.
    LastSpeaker,
}

impl Route {
    /// All there are, in the usual order.
    pub const ALL: [Self; 3] = [Self::Mention, Self::Topic, Self::LastSpeaker];
}

/// The agents to ask about a message, in order: whom it is addressed to, else whom the first of the routes finds that finds
/// anybody, else whoever answers what is nobody's business in particular. That may be one who hands it on.
pub(super) fn route(text: &str, to: Option<&AgentId>, settings: &TalkSettings, last: Option<&AgentId>) -> Vec<AgentId> {
    if let Some(to) = to {
        return vec![to.clone()];
    }
    let lower = text.to_lowercase();
    let last = last.filter(|last| settings.knows(last));
    for way in &settings.routing {
        let found = match way {
            Route::Mention => mentioned(&lower, &settings.cards),
            Route::Topic => concerned(&lower, &settings.cards, last).into_iter().collect(),
            Route::LastSpeaker => last.cloned().into_iter().collect(),
        };
        if !found.is_empty() {
            return found;
        }
    }
    vec![settings.default_agent.clone()]
}

/// The agent whose topics have most of the words.
fn concerned(lower: &str, cards: &[AgentCard], last: Option<&AgentId>) -> Option<AgentId> {
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let score = |card: &AgentCard| words.iter().filter(|word| card.topics.iter().any(|topic| topic == *word)).count();
    let best = cards.iter().map(score).max().filter(|best| *best > 0)?;
    let mut able = cards.iter().filter(|card| score(card) == best).map(|card| &card.id);
    let spoke = last.filter(|last| able.clone().any(|id| id == *last));
    spoke.or_else(|| able.next()).cloned()
}

/// The agents called by name: `@coach` anywhere, or the name first with a comma or a colon behind it.
fn mentioned(lower: &str, cards: &[AgentCard]) -> Vec<AgentId> {
    let mut found: Vec<(usize, &AgentId)> = Vec::new();
    for card in cards {
        let name = card.id.as_str().to_lowercase();
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
        let at = lower.match_indices('@').find(|(at, _)| lower[at + 1..].strip_prefix(name.as_str()).is_some_and(ends));
        let called = lower.trim_start().strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([',', ':']));
        if let Some(place) = at.map(|(at, _)| at).or(called.then_some(0)) {
            found.push((place, &card.id));
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, id)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, last: Option<&str>) -> String {
        let cards = [
            AgentCard::new("neuroscientist", "1", "").topics(["hrv", "sleep", "why"]),
            AgentCard::new("coach", "1", "").topics(["run", "sleep", "plan"]),
        ];
        let id = |name: &str| AgentId::new(name).unwrap();
        let last = last.map(id);
        let settings = TalkSettings::plain(cards.to_vec());
        let agents = route(text, None, &settings, last.as_ref());
        agents.iter().map(AgentId::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_name_goes_before_a_topic_and_a_topic_before_whoever_spoke_last() {
        assert_eq!(asked("@neuroscientist should I run?", None), "neuroscientist");
        assert_eq!(asked("Coach, why is my HRV low?", None), "coach");
        assert_eq!(asked("Ask @coach and @neuroscientist", None), "coach neuroscientist");
        assert_eq!(asked("Why is my HRV low?", Some("coach")), "neuroscientist");
        assert_eq!(asked("May I run", Some("neuroscientist")), "coach");
        assert_eq!(asked("And tomorrow?", Some("neuroscientist")), "neuroscientist");
        assert_eq!(asked("Hello", None), "coach");
    }

    #[test]
    fn of_two_that_know_the_topic_the_last_speaker_answers() {
        assert_eq!(asked("my sleep", Some("coach")), "coach");
        assert_eq!(asked("my sleep", None), "neuroscientist");
    }

    #[test]
    fn a_name_within_another_word_is_no_mention() {
        assert_eq!(asked("@coaching hrv", None), "neuroscientist");
        assert_eq!(asked("coaches, hrv", None), "neuroscientist");
    }
}
