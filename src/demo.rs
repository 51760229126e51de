//! The data set of `auren demo --once`: invented wearers, their readings and their questions, always the same.

use std::cmp::Ordering;

use auren_agents::{ConversationEvent, InboxRecord, Text, Timestamp, events};

use crate::{
    app::Running,
    bus::{BusError, Read, ReadFrom, ReadUntil, SharedBus, Topic},
    client::message,
    intake::{Intake, Untaken},
    phi::Keys,
    simulate::{Settings, Simulation},
    wearable::Row,
    wire,
};

/// Readings published in one call.
const CHUNK: usize = 500;

/// What the wearers ask when all their readings are in: whose turn it is by number, and what.
const QUESTIONS: &[(u32, &str)] = &[
    (0, "Why do I see this?"),
    (0, "@coach may I train today?"),
    (1, "How was my sleep this week?"),
    (2, "coach, what is the plan for tomorrow?"),
    (3, "Thank you"),
];

/// Invented wearers and what they say.
#[derive(Debug)]
pub struct DataSet {
    /// The readings, in order of time.
    pub readings: Vec<Row>,
    /// The messages, sent when every reading has been worked.
    pub messages: Vec<InboxRecord>,
}

/// Why the demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A simulated reading that was not taken.
    #[error("a simulated reading was not taken: {0}")]
    Reading(#[from] Untaken),
    /// A conversation event that cannot be read back.
    #[error("a conversation event at {cursor} cannot be read: {why}")]
    Event {
        /// Where it stands in `conversations.events`.
        cursor: crate::bus::Cursor,
        /// What is wrong with it.
        why: auren_agents::Rejected,
    },
}

impl DataSet {
    /// The data set of `demo --once`.
    #[must_use]
    pub fn fixed() -> Self {
        Self::of(&Settings { users: 8, days: 70, seed: 7, ..Settings::default() }).unwrap_or_else(|_| Self::empty())
    }

    fn empty() -> Self {
        Self { readings: Vec::new(), messages: Vec::new() }
    }

    /// A data set of simulated wearers.
    ///
    /// # Errors
    /// [`crate::simulate::SettingsError`] where the settings are out of range.
    pub fn of(settings: &Settings) -> Result<Self, crate::simulate::SettingsError> {
        let simulation = Simulation::new(settings.clone())?;
        let users: Vec<_> = (0..settings.users).map_while(|number| simulation.user(number).cloned()).collect();
        let readings: Vec<Row> = simulation.collect();
        let mut messages = Vec::new();
        for (number, (user, text)) in (1..).zip(QUESTIONS) {
            let Some(user) = usize::try_from(*user).ok().and_then(|index| users.get(index)) else { continue };
            let Some(last) = readings.iter().rev().find(|row| row.user == *user) else { continue };
            let asked = last.at.at() + chrono::TimeDelta::minutes(30 * number);
            let client_id = Some(Text::cut(format!("demo-{number}")));
            messages.push(message(user.clone(), Text::cut(*text), None, client_id, Timestamp::from(asked)));
        }
        Ok(Self { readings, messages })
    }

    /// Sends everything through a running hub and answers with the whole conversation, in order of time, then of user.
    ///
    /// # Errors
    /// [`DemoError`] where the bus fails.
    pub async fn run(&self, hub: &Running, keys: &Keys) -> Result<Vec<ConversationEvent>, DemoError> {
        for rows in self.readings.chunks(CHUNK) {
            publish_readings(hub.bus(), rows, keys).await?;
        }
        hub.settled().await?;
        hub.bus().publish_all(self.messages.iter().map(wire::outgoing).collect()).await?;
        hub.settled().await?;
        conversation(hub.bus()).await
    }
}

/// Seals readings and publishes them; they must all be taken.
///
/// # Errors
/// [`DemoError`] where a reading is refused or the bus fails.
pub async fn publish_readings(bus: &SharedBus, rows: &[Row], keys: &Keys) -> Result<(), DemoError> {
    for answer in Intake::new(SharedBus::clone(bus), keys.clone()).take("auren demo", rows).await {
        answer?;
    }
    Ok(())
}

/// Every conversation event on the bus, in order of time, then of user, then as they were written.
async fn conversation(bus: &SharedBus) -> Result<Vec<ConversationEvent>, DemoError> {
    let read = Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End };
    let mut batches = bus.read(read);
    let mut said: Vec<(ConversationEvent, i64)> = Vec::new();
    while let Some(batch) = batches.recv().await {
        for record in batch? {
            let payload = record.payload.as_deref().unwrap_or_default();
            let event = events::parse(payload).map_err(|why| DemoError::Event { cursor: record.cursor(), why })?;
            said.push((event, record.offset));
        }
    }
    said.sort_by(|(one, at), (other, then)| {
        let by_user = || one.user_id.cmp(&other.user_id);
        one.timestamp.cmp(&other.timestamp).then_with(by_user).then(at.cmp(then)).then(Ordering::Equal)
    });
    Ok(said.into_iter().map(|(event, _)| event).collect())
}
