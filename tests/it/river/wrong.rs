//! What can be wrong with an answer that comes from outside, and how it is judged: whatever it is, the person is told one
//! thing, the panel goes on, and the question is counted once.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use auren::{
    bus::Topic,
    config::Role,
    consult::{AgentTotals, Agents},
};
use auren_agents::ConversationEvent;
use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures::stream;

use crate::support::{Player, River, far::Far, settled, speakers, trigger};

/// How a question ends to which there is no answer. What may pass is asked twice.
#[derive(Debug, Clone, Copy)]
pub enum Ends {
    Unavailable,
    Failed,
    Refused,
    Late,
}

impl Ends {
    /// The code in the log, and how the question is counted.
    fn told(self) -> (&'static str, AgentTotals) {
        let asked = AgentTotals { asked: 1, ..AgentTotals::default() };
        match self {
            Self::Unavailable => ("agent_unavailable", AgentTotals { retried: 1, unavailable: 1, ..asked }),
            Self::Failed => ("agent_failed", AgentTotals { retried: 1, failed: 1, ..asked }),
            Self::Refused => ("agent_failed", AgentTotals { refused: 1, ..asked }),
            Self::Late => ("agent_late", AgentTotals { late: 1, ..asked }),
        }
    }
}

/// What somebody does wrong, and what becomes of it.
pub struct Wrong {
    what: &'static str,
    play: fn() -> Response,
    ends: Ends,
}

pub fn wrong(what: &'static str, play: fn() -> Response, ends: Ends) -> Wrong {
    Wrong { what, play, ends }
}

/// Bytes that never end.
pub fn endless(piece: &str) -> Body {
    let piece = Bytes::from(piece.repeat(1000));
    Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(piece.clone())))
}

/// Bytes that never come.
pub fn pending() -> stream::Pending<Result<Bytes, std::io::Error>> {
    stream::pending()
}

/// Lets an agent named `far`, who answers at the address that `agents` is given, do each of these on a panel with a coach.
/// Where it answers, `41.8` stands for what nobody may repeat.
pub async fn each_has_one_final_word(river: River, agents: impl Fn(&str) -> Agents, everything: Vec<Wrong>) {
    let (everything, turn) = (Arc::new(everything), Arc::new(AtomicUsize::new(0)));
    let (plays, now) = (Arc::clone(&everything), Arc::clone(&turn));
    let far = Far::plays(move |_| {
        let answer = (plays[now.load(Relaxed)].play)();
        async move { answer }
    })
    .await;
    let agents = agents(&far.url).with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    let settings = &mut river.config.converse;
    (settings.agent_attempts, settings.agent_retry_ms) = (2, 1);
    (settings.agent_deadline_ms, settings.agent_circuit_failures) = (3000, 1000);
    let hub = river.hub().await;
    let mut before = counted(AgentTotals::default());
    for (number, Wrong { what, ends, .. }) in everything.iter().enumerate() {
        turn.store(number, Relaxed);
        let cause = format!("t-{number}");
        river.json(Topic::Triggers, "u-1", &trigger("u-1", &cause, &["far", "coach"])).await;
        settled(&hub).await;
        let mut said: Vec<ConversationEvent> = river.said().await;
        said.retain(|said| said.metadata.cause.as_str() == cause);
        let (code, counts) = ends.told();
        assert_eq!(speakers(&said), [format!("far: {code}"), "coach".to_owned()], "{what}");
        assert!(said[0].content.contains("incomplete") && !said[0].content.contains("41.8"), "{what}");
        let now = counted(hub.agents().health().remove(0).totals);
        let since: Vec<_> = now.iter().zip(&before).map(|(now, then)| now - then).collect();
        assert_eq!(since, counted(counts), "{what}");
        before = now;
    }
    hub.stop().await;
}

fn counted(totals: AgentTotals) -> [u64; 7] {
    let AgentTotals { asked, retried, answered, refused, unavailable, failed, late, .. } = totals;
    [asked, retried, answered, refused, unavailable, failed, late]
}
