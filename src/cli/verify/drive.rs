//! Sends numbered triggers and messages of invented users through the bus at a rate, again and again until each is
//! acknowledged. It never waits for an answer, and it never has two inputs of one user on the way: the order of a
//! user's numbers is the order of the log.

use std::{collections::VecDeque, time::Duration};

use auren::bus::Topic;
use auren::client::{self, ClientError, EventProducer};
use auren_agents::{
    AgentId, EventId, InboxRecord, Score, Text, Timestamp, TriggerEvent, TriggerType, UserId, events::CauseKind,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::history::{Acked, Sent};

/// The pause before an input that was not acknowledged is sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// How often it looks what is due.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// What is not sent for so long, because every user waits for an acknowledgement, is not made up for.
const CATCH_UP: Duration = Duration::from_millis(250);

/// Whom it invents and what they send.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Marks this run; random.
    pub(super) run: u64,
    pub(super) users: u64,
    pub(super) rate: u64,
    /// The agents that each trigger asks for; messages go to the first.
    pub(super) agents: Vec<AgentId>,
}

/// Whose inputs are on the way, and whose can be sent.
pub(super) struct Driver {
    plan: Plan,
    producer: EventProducer,
    free: VecDeque<(u64, u64)>,
    on_the_way: JoinSet<((u64, u64), Acked)>,
    trouble: mpsc::UnboundedSender<ClientError>,
    due: f64,
    looked: Instant,
    clock: Clock,
}

/// Milliseconds since the epoch that only go forward.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began_ms: i64,
    began: Instant,
}

/// One input, as it is sent.
enum Input {
    Trigger(Box<TriggerEvent>),
    Message(Box<InboxRecord>),
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began_ms: chrono::Utc::now().timestamp_millis(), began: Instant::now() }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.began_ms + i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Driver {
    /// A driver that has sent nothing, and where it tells what went wrong with a send that it will try again.
    pub(super) fn new(
        plan: Plan,
        producer: EventProducer,
        clock: Clock,
    ) -> (Self, mpsc::UnboundedReceiver<ClientError>) {
        let (trouble, told) = mpsc::unbounded_channel();
        let free = (0..plan.users).map(|user| (user, 1)).collect();
        let looked = Instant::now();
        (Self { plan, producer, free, on_the_way: JoinSet::new(), trouble, due: 0.0, looked, clock }, told)
    }

    pub(super) fn on_the_way(&self) -> usize {
        self.on_the_way.len()
    }

    /// Sends what is due by now, at most so many.
    pub(super) fn send_due(&mut self, most: u64) -> Vec<Sent> {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = self.plan.rate as f64;
        let now = Instant::now();
        self.due += rate * (now - self.looked).as_secs_f64();
        self.due = self.due.min((rate * CATCH_UP.as_secs_f64()).max(1.0));
        self.looked = now;
        let mut sent = Vec::new();
        while self.due >= 1.0 && u64::try_from(sent.len()).unwrap_or(u64::MAX) < most {
            let Some((user, number)) = self.free.pop_front() else { break };
            self.due -= 1.0;
            let (input, note) = self.plan.input(user, number, self.clock.now_ms());
            sent.push(note);
            let (producer, trouble, clock) = (self.producer.clone(), self.trouble.clone(), self.clock);
            self.on_the_way.spawn(async move { ((user, number), insist(&producer, &input, &trouble, clock).await) });
        }
        sent
    }

    /// The next acknowledgement; its user is free again. Never where nothing is on the way.
    pub(super) async fn acknowledged(&mut self) -> Acked {
        loop {
            match self.on_the_way.join_next().await {
                Some(Ok(((user, number), acked))) => {
                    self.free.push_back((user, number + 1));
                    return acked;
                }
                // A send panicked: its user sends no more, and its input stays unacknowledged.
                Some(Err(_)) => {}
                None => return std::future::pending().await,
            }
        }
    }
}

/// Sends an input until it is acknowledged. The same record under the same id each time: the hub passes over the second.
async fn insist(
    producer: &EventProducer,
    input: &Input,
    trouble: &mpsc::UnboundedSender<ClientError>,
    clock: Clock,
) -> Acked {
    loop {
        let (topic, id, answer) = match input {
            Input::Trigger(trigger) => {
                (Topic::Triggers, &trigger.trigger_id, producer.send_trigger_event(trigger).await)
            }
            Input::Message(message) => (Topic::Inbox, &message.event_id, producer.send_inbox_record(message).await),
        };
        match answer {
            Ok(at) => {
                let (partition, offset) = (at.partition, at.offset);
                return Acked { at_ms: clock.now_ms(), input: id.clone(), topic, partition, offset };
            }
            Err(error) => {
                // Nobody listens once the run is over.
                let _ = trouble.send(error);
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Plan {
    /// What the names of all its users begin with.
    pub(super) fn mark(&self) -> String {
        format!("verify-{:016x}-", self.run)
    }

    /// One of its users.
    pub(super) fn user(&self, user: u64) -> UserId {
        UserId::new(format!("{}{user}", self.mark())).expect("a short printable text is an id")
    }

    /// A user's input with this number: every fourth is a message, the others are triggers.
    fn input(&self, user: u64, number: u64, at_ms: i64) -> (Input, Sent) {
        let user_id = self.user(user);
        let at = Timestamp::from(chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default());
        let note = |input: &EventId, kind, seats| Sent {
            at_ms,
            input: input.clone(),
            user: user_id.clone(),
            kind,
            number,
            seats,
        };
        if (user + number) % 4 == 3 {
            let client_id = Some(Text::cut(format!("{number}")));
            let to = self.agents.first().cloned();
            let text = Text::cut(format!("Message {number} of a verification."));
            let message = client::message(user_id.clone(), text, to, client_id, at);
            let note = note(&message.event_id, CauseKind::Message, vec![0, 1]);
            return (Input::Message(Box::new(message)), note);
        }
        let trigger = TriggerEvent {
            trigger_id: EventId::derived(&["verify", user_id.as_str(), &number.to_string()]),
            user_id: user_id.clone(),
            trigger_type: TriggerType::HrvDrop,
            severity: Score::clamped(0.5),
            context_window: Vec::new(),
            recommended_agents: self.agents.clone(),
            message: Text::cut(format!("Trigger {number} of a verification.")),
            timestamp: at,
            evidence: Vec::new(),
            rule: None,
            extra: serde_json::Map::new(),
        };
        let note =
            note(&trigger.trigger_id, CauseKind::Trigger, (1..).zip(&self.agents).map(|(seat, _)| seat).collect());
        (Input::Trigger(Box::new(trigger)), note)
    }
}
