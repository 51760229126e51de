//! The yardstick of `auren bench river`: consume, transform, produce and commit in transactions, with nothing around it.
//!
//! It uses the clients with the same settings as a member, two producers by turns, and one loop on one thread.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, Producer},
};

use super::{KafkaSettings, deliveries::Deliveries, errors, publisher::record, transaction};
use crate::bus::{Begin, BusError, Guarantee, Join, Outgoing, Topic};

/// How long it waits for records before it commits what it has.
const POLL: Duration = Duration::from_millis(50);

/// Most records of a request: what the client does by itself, which is best where records come one by one.
const REQUEST: &str = "10000";

/// What to pass through.
#[derive(Debug, Clone)]
pub struct Passthrough {
    /// The group to consume in.
    pub group: String,
    /// The topic to consume.
    pub topic: Topic,
    /// Most records of one commit.
    pub max_batch: usize,
}

impl Passthrough {
    /// Passes records through until `transform` has been given as many as `count`; told after each commit how many that
    /// were. It blocks its thread.
    ///
    /// # Errors
    /// [`BusError`] where the cluster fails: it is a yardstick and repeats nothing.
    pub fn run(
        &self,
        settings: &KafkaSettings,
        count: u64,
        mut transform: impl FnMut(&[u8]) -> Vec<Outgoing>,
        mut committed: impl FnMut(u64),
    ) -> Result<(), BusError> {
        let settings = Arc::new(settings.clone());
        let join = Join {
            group: self.group.clone(),
            member: self.group.clone(),
            topics: vec![self.topic],
            begin: Begin::Earliest,
            guarantee: Guarantee::ExactlyOnce,
            max_batch: self.max_batch,
        };
        let refused = |what: &str| {
            let what = what.to_owned();
            move |error: rdkafka::error::KafkaError| errors::refused(&what, &error)
        };
        let limit = settings.transaction_timeout * 2;
        let producer = |turn| transaction::producer(&settings, &join, turn, REQUEST, limit);
        let producers = [producer(0)?, producer(1)?];
        let consumer: BaseConsumer = super::member::config(&settings, &join).create().map_err(refused("a consumer"))?;
        let topic = settings.topic(self.topic);
        consumer.subscribe(&[&topic]).map_err(refused("subscribing"))?;
        let (mut done, mut turn) = (0, 0);
        while done < count {
            let mut offsets = TopicPartitionList::new();
            let producer = &producers[turn];
            let mut batch = 0;
            while batch < self.max_batch {
                let wait = if batch == 0 { POLL } else { Duration::ZERO };
                let Some(message) = consumer.poll(wait) else { break };
                let message = message.map_err(refused("consuming"))?;
                if batch == 0 {
                    producer.begin_transaction().map_err(refused("a transaction"))?;
                }
                for output in transform(message.payload().unwrap_or_default()) {
                    self.send(producer, &settings, &output, message.partition())?;
                }
                let next = Offset::Offset(message.offset() + 1);
                offsets
                    .set_partition_offset(&topic, message.partition(), next)
                    .or_else(|_| offsets.add_partition_offset(&topic, message.partition(), next))
                    .map_err(refused("an offset"))?;
                batch += 1;
            }
            if batch == 0 {
                continue;
            }
            while producer.in_flight_count() > 0 {
                transaction::hear(producer);
            }
            let group = consumer.group_metadata().ok_or(BusError::Closed)?;
            let limit = settings.transaction_timeout;
            producer.send_offsets_to_transaction(&offsets, &group, limit).map_err(refused("the offsets"))?;
            producer.commit_transaction(limit).map_err(refused("a commit"))?;
            done += u64::try_from(batch).unwrap_or(0);
            committed(done);
            turn ^= 1;
        }
        Ok(())
    }

    fn send(
        &self,
        producer: &BaseProducer<Deliveries>,
        settings: &KafkaSettings,
        output: &Outgoing,
        partition: i32,
    ) -> Result<(), BusError> {
        let topic = settings.topic(output.topic);
        let mut record = record(&topic, output, usize::MAX);
        record.partition = Some(partition);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                return Err(errors::refused("a record", &error));
            }
            record = back;
            transaction::hear(producer);
        }
        Ok(())
    }
}
