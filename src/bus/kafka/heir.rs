//! What a member that is gone left open: whoever takes its partitions over ends it.
//!
//! A node that was killed in the middle of a commit leaves a transaction open, and until the brokers abort it nobody can
//! read what stands behind it. They do so after `transaction.timeout.ms`, and look only every ten seconds. So every
//! committed offset carries the name of who committed it. A member that is given partitions looks whose they were; where
//! the group has nobody of that name any more, it opens that one's producers, which fences them and aborts what is open.
//! Somebody who is not in the group can commit nothing anyway: all its commits carry offsets.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};

use super::{
    ASK_LIMIT, KafkaSettings,
    errors::{self, Quiet},
    probe::Probe,
    transaction,
};
use crate::bus::{BusError, Guarantee, Join};

/// How long all of it may take: the thread that does it is the one by which the group sees that this member lives.
const LIMIT: Duration = Duration::from_secs(10);

/// Takes over what others had.
pub(super) struct Heir {
    settings: Arc<KafkaSettings>,
    probe: Arc<Probe>,
    join: Join,
}

impl Heir {
    pub(super) fn new(settings: &Arc<KafkaSettings>, probe: &Arc<Probe>, join: &Join) -> Self {
        Self { settings: Arc::clone(settings), probe: Arc::clone(probe), join: join.clone() }
    }

    /// Ends what those left open who had these partitions and are gone. Where that fails the brokers do it, later.
    pub(super) fn settle(&self, partitions: &[i32]) {
        if self.join.guarantee == Guarantee::AtLeastOnce || partitions.is_empty() {
            return;
        }
        let (group, until) = (&self.join.group, Instant::now() + LIMIT);
        match self.gone(partitions) {
            Ok(gone) => {
                for member in gone {
                    match self.end(&member, until) {
                        Ok(()) => {
                            tracing::info!(%group, gone = %member, "ended what a member that is gone had left open")
                        }
                        Err(error) => self.failed(&error),
                    }
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &BusError) {
        tracing::warn!(
            group = %self.join.group, %error,
            "what a member that is gone may have left open is not ended; the brokers abort it when it has timed out \
             (kafka.transaction_timeout_ms)"
        );
    }

    /// Who committed last in these partitions and is no member any more.
    fn gone(&self, partitions: &[i32]) -> Result<BTreeSet<String>, BusError> {
        let mut gone = self.names(partitions)?;
        gone.remove(&self.join.member);
        if !gone.is_empty() {
            for holder in self.probe.holders(&self.group())? {
                gone.remove(&holder.member);
            }
        }
        Ok(gone)
    }

    /// Who committed last in these partitions. It looks past what is still open.
    fn names(&self, partitions: &[i32]) -> Result<BTreeSet<String>, BusError> {
        let consumer: BaseConsumer<Quiet> = self
            .settings
            .client(&[("group.id", &self.group()), ("isolation.level", "read_uncommitted")])
            .create_with_context(Quiet::default())
            .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
        let mut asked = TopicPartitionList::new();
        for topic in &self.join.topics {
            let name = self.settings.topic(*topic);
            for partition in partitions {
                asked.add_partition(&name, *partition);
            }
        }
        let offsets = consumer
            .committed_offsets(asked, ASK_LIMIT)
            .map_err(|error| errors::refused(&format!("the committed offsets of group {}", self.group()), &error))?;
        let names = offsets.elements().iter().map(|element| element.metadata().to_owned()).collect::<BTreeSet<_>>();
        Ok(names.into_iter().filter(|name| !name.is_empty()).collect())
    }

    /// Fences the producers of a member and aborts what they have open.
    fn end(&self, member: &str, until: Instant) -> Result<(), BusError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let why = format!("it took longer than {} s", LIMIT.as_secs());
            return Err(BusError::Refused { what: format!("ending what {member} left open"), why });
        }
        let join = Join { member: member.to_owned(), ..self.join.clone() };
        let open = |turn| transaction::producer(&self.settings, &join, turn, "1", left).map(drop);
        thread::scope(|scope| {
            let other = scope.spawn(|| open(1));
            let one = open(0);
            one.and(other.join().unwrap_or(Err(BusError::Closed)))
        })
    }

    fn group(&self) -> String {
        format!("{}{}", self.settings.prefix, self.join.group)
    }
}
