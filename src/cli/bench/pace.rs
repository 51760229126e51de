//! What the benches of the river share: triggers at a stated rate, an agent of one sentence, and how figures are summed up.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use auren::{
    bus::{BusError, Record, SharedBus},
    wire,
};
use auren_agents::{
    Advice, Agent, AgentCard, AgentError, AgentId, Consult, ConversationEvent, EventId, Score, Text, Timestamp,
    TriggerEvent, TriggerType, UserId,
};
use tokio::sync::mpsc;

/// What an agent of the bench says.
pub(super) const SENTENCE: &str =
    "Your overnight HRV is a quarter under your usual range. Keep today's session easy, and aim for an early night.";
/// Triggers at a stated rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// So many a second.
    pub(super) rate: u32,
    /// For so long.
    pub(super) seconds: u64,
    /// How long events may be missing at the end.
    pub(super) grace: Duration,
}

impl Pace {
    /// Publishes what `make` makes, and takes the time from each trigger to its first committed event; sorted.
    pub(super) async fn keep(
        self,
        bus: &SharedBus,
        events: &mut mpsc::Receiver<Result<Vec<Record>, BusError>>,
        mut make: impl FnMut(u64) -> TriggerEvent + 'static,
    ) -> anyhow::Result<Vec<Duration>> {
        let count = u64::from(self.rate) * self.seconds;
        let (sent, mut times) = mpsc::unbounded_channel();
        let (bus, gap) = (Arc::clone(bus), Duration::from_secs(1) / self.rate);
        actix::spawn(async move {
            let mut ticks = tokio::time::interval(gap);
            for number in 0..count {
                ticks.tick().await;
                let (one, bus) = (make(number), Arc::clone(&bus));
                // Whoever counts may have given up.
                let _ = sent.send((one.trigger_id.clone(), Instant::now()));
                actix::spawn(async move { bus.publish(vec![wire::outgoing(&one)]).await });
            }
        });
        let mut waiting: HashMap<EventId, Instant> = HashMap::new();
        let mut latency = Vec::new();
        let all = async {
            while u64::try_from(latency.len()).unwrap_or(u64::MAX) < count {
                let batch = events.recv().await.context("the events have ended")??;
                let now = Instant::now();
                while let Ok((id, at)) = times.try_recv() {
                    waiting.insert(id, at);
                }
                for record in batch {
                    let event: ConversationEvent =
                        auren_agents::events::parse(record.payload.as_deref().unwrap_or_default())?;
                    latency.extend(waiting.remove(&event.metadata.cause).map(|at| now - at));
                }
            }
            anyhow::Ok(())
        };
        let limit = Duration::from_secs(self.seconds) + self.grace;
        tokio::time::timeout(limit, all).await.with_context(|| format!("events are missing after {limit:?}"))??;
        latency.sort_unstable();
        Ok(latency)
    }
}

/// An agent that says one sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentence(pub(super) &'static str);

impl Agent for Sentence {
    fn card(&self) -> AgentCard {
        AgentCard::new(self.0, "1", "Says one sentence.")
    }

    async fn consult(&self, _: Consult) -> Result<Advice, AgentError> {
        Ok(Advice::say(SENTENCE))
    }
}

pub(super) fn trigger(number: u64, users: u64) -> TriggerEvent {
    let id = |text: String| EventId::new(text).unwrap_or_else(|_| EventId::derived(&["bench"]));
    let user = format!("user-{}", number % users.max(1));
    TriggerEvent {
        trigger_id: EventId::derived(&["bench", &number.to_string()]),
        user_id: UserId::new(user).unwrap_or_else(|_| UserId::derived(&["bench"])),
        trigger_type: TriggerType::HrvDrop,
        severity: Score::clamped(0.8),
        context_window: vec![id(format!("event-{number}-1")), id(format!("event-{number}-2"))],
        recommended_agents: ["neuroscientist", "coach"].iter().filter_map(|name| AgentId::new(*name).ok()).collect(),
        message: Text::cut("Heart-rate variability over the last week is clearly below the usual range."),
        timestamp: Timestamp::from(chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000)),
        evidence: Vec::new(),
        rule: None,
        extra: serde_json::Map::new(),
    }
}

pub(super) fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
}

pub(super) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or_default()
}
