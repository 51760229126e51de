//! The one way in: readings are checked, sealed, written down and published, and each is answered for by itself.

use auren_agents::EventId;
use serde_json::json;

use super::{Refused, SealedReading, check};
use crate::{
    bus::{BusError, Cursor, SharedBus},
    phi::{
        KeyError, Keys,
        audit::{Act, Deed},
    },
    wearable::Row,
    wire,
};

/// Takes readings in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake {
    bus: SharedBus,
    keys: Keys,
    /// What the records' traces follow from.
    traceparent: Option<String>,
}

/// A reading that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its id: the same reading has it again when it is sent again.
    pub event_id: EventId,
    /// Where it stands in `health.readings`.
    pub cursor: Cursor,
}

/// Why a reading is not in the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Untaken {
    /// The reading is at fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be sealed, or that cannot be written down.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The bus did not take it.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl Untaken {
    /// Whether this reading alone is at fault, and others may go.
    #[must_use]
    pub fn is_of_the_reading(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Keys(error) => !error.is_passing(),
            Self::Bus(error) => error.is_of_the_record(),
        }
    }
}

impl Intake {
    /// Seals under these keys, and publishes on this bus.
    #[must_use]
    pub fn new(bus: SharedBus, keys: Keys) -> Self {
        Self { bus, keys, traceparent: None }
    }

    /// The same for readings that are a part of this trace.
    #[must_use]
    pub fn of_trace(&self, traceparent: Option<String>) -> Self {
        Self { traceparent, ..self.clone() }
    }

    /// Where readings go, in words.
    #[must_use]
    pub fn whereto(&self) -> String {
        format!("health.readings on {}", self.bus.describe())
    }

    /// Takes readings in for somebody; one answer for each, in order, once the bus has acknowledged it.
    ///
    /// That they are sealed is written down before the first is published: where that fails, none is, and none where
    /// keyring or vault are away.
    pub async fn take(&self, actor: &str, rows: &[Row]) -> Vec<Result<Taken, Untaken>> {
        let mut sealed = Vec::with_capacity(rows.len());
        for row in rows {
            match self.seal(row).await {
                // What is away is away for all; each would wait its full time.
                Err(Untaken::Keys(error)) if error.is_passing() => {
                    return rows.iter().map(|_| Err(error.clone().into())).collect();
                }
                one => sealed.push(one),
            }
        }
        let good = sealed.iter().filter(|one| one.is_ok()).count();
        if let Err(error) = self.write_down(actor, rows, good).await {
            return rows.iter().map(|_| Err(error.clone().into())).collect();
        }
        let traceparent = self.traceparent.as_deref();
        let records =
            sealed.iter().flatten().map(|reading| wire::traced(wire::outgoing(reading), traceparent)).collect();
        let mut answers = self.bus.publish(records).await.into_iter();
        let answered = |one: Result<SealedReading, Untaken>| {
            let cursor = one.map(|reading| (reading.event_id, answers.next().unwrap_or(Err(BusError::Closed))));
            cursor.and_then(|(event_id, cursor)| Ok(Taken { event_id, cursor: cursor? }))
        };
        sealed.into_iter().map(answered).collect()
    }

    async fn seal(&self, row: &Row) -> Result<SealedReading, Untaken> {
        // What cannot be makes nobody a key.
        check(row)?;
        let key = self.keys.make(&row.user, 1).await?;
        Ok(SealedReading::seal(row, &key)?)
    }

    async fn write_down(&self, actor: &str, rows: &[Row], good: usize) -> Result<(), KeyError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut users: Vec<_> = rows.iter().map(|row| &row.user).collect();
        users.sort_unstable();
        users.dedup();
        let detail = json!({ "readings": good, "refused": rows.len() - good, "users": users.len() });
        self.keys.record(&Act::new(Deed::Tokenise, actor).with(detail)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    };

    use async_trait::async_trait;
    use auren_agents::{BiometricType, Text, Timestamp, UserId};
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        bus::embedded::EmbeddedBus,
        phi::{master::Master, store::MemoryStore},
    };

    /// A vault that is away, and how often it was asked.
    #[derive(Debug)]
    struct Away(Arc<AtomicU32>);

    impl Away {
        fn asked<T>(&self) -> Result<T, KeyError> {
            self.0.fetch_add(1, Relaxed);
            Err(KeyError::Vault { vault: "a vault".to_owned(), why: "is away".to_owned() })
        }
    }

    #[async_trait]
    impl Master for Away {
        fn describe(&self) -> String {
            "a vault".to_owned()
        }

        async fn wrap(&self, _: &[u8]) -> Result<String, KeyError> {
            self.asked()
        }

        async fn unwrap(&self, _: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
            self.asked()
        }

        async fn rewrap(&self, _: &str) -> Result<String, KeyError> {
            self.asked()
        }

        async fn primary(&self) -> Result<u32, KeyError> {
            self.asked()
        }
    }

    #[tokio::test]
    async fn a_vault_that_is_away_is_asked_once_and_all_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let bus: SharedBus = Arc::new(EmbeddedBus::open(folder.path().join("auren.db")).await.unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let master = Box::new(Away(Arc::clone(&asked)));
        let keys = Keys::open("t", master, Box::new(MemoryStore::default()), 0).await.unwrap();
        let row = |number: u32| Row {
            user: UserId::new(format!("u-{number}")).unwrap(),
            event_type: BiometricType::HrvMeasurement,
            measure: "rmssd".into(),
            value: 41.5,
            unit: "ms".into(),
            at: Timestamp::parse("2024-01-01T07:00:00+01:00").unwrap(),
            device: Text::cut("watch"),
            context: Text::cut("sleep"),
        };
        let rows: Vec<_> = (0..100).map(row).collect();
        let answers = Intake::new(bus, keys).take("test", &rows).await;
        let passing = |error: &Untaken| matches!(error, Untaken::Keys(error) if error.is_passing());
        assert_eq!(answers.iter().filter(|answer| answer.as_ref().is_err_and(passing)).count(), rows.len());
        assert_eq!(asked.load(Relaxed), 1);
    }
}
