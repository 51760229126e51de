//! Whom a person means: by name, by topic, or whoever spoke last.

use auren_agents::{AgentCard, AgentId};

/// The agents to ask about a message, in order.
pub(super) fn route(
    text: &str,
    to: Option<&AgentId>,
    cards: &[AgentCard],
    last: Option<&AgentId>,
    default: &AgentId,
) -> Vec<AgentId> {
    if let Some(to) = to {
        return vec![to.clone()];
    }
    let lower = text.to_lowercase();
    let named = mentioned(&lower, cards);
    if !named.is_empty() {
        return named;
    }
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let score = |card: &AgentCard| words.iter().filter(|word| card.topics.iter().any(|topic| topic == *word)).count();
    let best = cards.iter().map(score).max().unwrap_or(0);
    let known = |agent: &AgentId| cards.iter().any(|card| card.id == *agent);
    if best > 0 {
        let mut able = cards.iter().filter(|card| score(card) == best).map(|card| &card.id);
        let spoke = last.filter(|last| able.clone().any(|id| id == *last));
        if let Some(agent) = spoke.or_else(|| able.next()) {
            return vec![agent.clone()];
        }
    }
    vec![last.filter(|last| known(last)).unwrap_or(default).clone()]
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
        let agents = route(text, None, &cards, last.as_ref(), &id("coach"));
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
