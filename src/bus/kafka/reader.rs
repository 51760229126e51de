//! Reads committed records without a group.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use tokio::sync::mpsc;

use super::{
    ASK_LIMIT, BATCH_BYTES, KafkaSettings,
    aside::Aside,
    course::{Course, Span, Step},
    errors,
    probe::{Probe, watermarks},
};
use crate::bus::{BusError, Read, ReadFrom, ReadUntil, Record, Topic, record::header_name};

/// Most records of one batch.
const BATCH: usize = 1000;

/// How long a poll waits when there is nothing to do; also how soon a dropped receiver is noticed.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// A consumer that has no group.
pub(super) type Alone = BaseConsumer<errors::Quiet>;

type Batches = mpsc::Sender<Result<Vec<Record>, BusError>>;

pub(super) fn spawn(
    settings: Arc<KafkaSettings>,
    probe: Arc<Probe>,
    read: Read,
) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
    let (batches, receiver) = mpsc::channel(2);
    let name = format!("auren-read-{}", read.topic);
    let failed = batches.clone();
    let spawned = thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = run(&settings, &probe, &read, &batches) {
            // A reader that went away needs no error.
            let _ = batches.blocking_send(Err(error));
        }
    });
    if let Err(error) = spawned {
        let _ = failed.try_send(Err(BusError::Refused { what: "a reader thread".into(), why: error.to_string() }));
    }
    receiver
}

fn run(settings: &KafkaSettings, probe: &Probe, read: &Read, batches: &Batches) -> Result<(), BusError> {
    let topic = settings.topic(read.topic);
    let partitions = probe.partitions(read.topic, &read.partitions)?;
    // A bounded read ends with a fetch that finds nothing: that one must not wait for more.
    let patience = if read.until == ReadUntil::End { "10" } else { "500" };
    let group = format!("{}auren-reader", settings.prefix);
    let consumer: Alone = settings
        .client(&[
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.queue.backoff.ms", "10"),
            ("fetch.wait.max.ms", patience),
        ])
        .create_with_context(errors::Quiet::default())
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
    // The reader hears of the end at once, and not after the client has closed.
    let consumer = Aside::new(settings, consumer);
    // Without the topic's leaders at hand the client looks for them once a second.
    consumer.fetch_metadata(Some(&topic), ASK_LIMIT).map_err(|error| errors::unreachable(&settings.brokers, &error))?;
    let reading = Reading { settings, probe, read, batches, consumer: &consumer, topic: &topic };
    let mut spans = BTreeMap::new();
    for partition in partitions {
        let Some(span) = reading.span(partition)? else { return Ok(()) };
        spans.insert(partition, span);
    }
    if let ReadFrom::Last(count) = read.from
        && !reading.step_back(&mut spans, count)?
    {
        return Ok(());
    }
    reading.deliver(Course::begin(&consumer, read.topic, &topic, &spans)?)
}

/// One read, on its own thread.
struct Reading<'a> {
    settings: &'a KafkaSettings,
    probe: &'a Probe,
    read: &'a Read,
    batches: &'a Batches,
    consumer: &'a Alone,
    topic: &'a str,
}

impl Reading<'_> {
    fn deliver(&self, mut course: Course<'_>) -> Result<(), BusError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        loop {
            let wait = if batch.is_empty() { IDLE_POLL } else { Duration::ZERO };
            let quiet = match course.step(wait)? {
                Step::Record(record) => {
                    bytes += record.payload.as_ref().map_or(0, Bytes::len);
                    batch.push(record);
                    false
                }
                Step::Other => false,
                Step::Quiet => true,
            };
            let full = batch.len() >= BATCH || bytes >= BATCH_BYTES;
            if (quiet || full || course.is_over()) && !batch.is_empty() {
                bytes = 0;
                if self.batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                    return Ok(());
                }
            }
            if self.batches.is_closed() || course.is_over() {
                return Ok(());
            }
        }
    }

    /// Where a partition of the read begins and stops; none where nobody waits for it any more.
    fn span(&self, partition: i32) -> Result<Option<Span>, BusError> {
        let (low, high) = self.probe.watermarks(self.read.topic, partition)?;
        let bounded = self.read.until == ReadUntil::End;
        if bounded && !self.settle(partition, high)? {
            return Ok(None);
        }
        let from = match &self.read.from {
            ReadFrom::Earliest | ReadFrom::Last(_) => low,
            ReadFrom::Latest => high,
            ReadFrom::Offset(offset) => (*offset).clamp(low, high),
            ReadFrom::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(low).clamp(low, high),
            ReadFrom::Time(millis) => self.at_time(partition, *millis)?,
        };
        Ok(Some(Span { from, to: bounded.then_some(high) }))
    }

    /// Waits until every transaction that had written below `high` is decided, so that a committed read reaches it.
    fn settle(&self, partition: i32, high: i64) -> Result<bool, BusError> {
        let topic = self.topic;
        let limit = Instant::now() + self.settings.transaction_timeout * 2 + ASK_LIMIT;
        while !self.batches.is_closed() {
            let (_, stable) = watermarks(self.consumer, topic, partition)?;
            if stable >= high {
                return Ok(true);
            }
            if Instant::now() > limit {
                return Err(BusError::Refused {
                    what: format!("reading {topic}[{partition}] to its end"),
                    why: format!(
                        "an open transaction holds offset {stable}; does a producer with a long timeout hang?"
                    ),
                });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }

    /// Moves every span's beginning to its last `count` records; false where nobody waits for it any more.
    ///
    /// Offsets alone do not tell: markers of transactions, aborted records and gaps of compaction have offsets too. So
    /// the end of the partition is read, and more of it until there is enough.
    fn step_back(&self, spans: &mut BTreeMap<i32, Span>, count: i64) -> Result<bool, BusError> {
        let wanted = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        let mut unsure = BTreeMap::new();
        for (partition, span) in spans.iter_mut() {
            let (low, high) = (span.from, self.probe.watermarks(self.read.topic, *partition)?.1);
            let high = span.to.unwrap_or(high);
            span.from = high;
            if wanted > 0 {
                unsure.insert(*partition, (low, high));
            }
        }
        let mut reach = count.saturating_mul(2).saturating_add(8);
        while !unsure.is_empty() {
            let looks = unsure.iter().map(|(partition, (low, high))| {
                (*partition, Span { from: high.saturating_sub(reach).max(*low), to: Some(*high) })
            });
            let looks: BTreeMap<_, _> = looks.collect();
            let Some(found) = self.last_offsets(&looks, wanted)? else { return Ok(false) };
            unsure.retain(|partition, (low, _)| {
                let offsets = found.get(partition);
                let enough = offsets.is_some_and(|offsets| offsets.len() >= wanted);
                let all = looks.get(partition).is_none_or(|look| look.from <= *low);
                if let (Some(span), Some(first)) = (spans.get_mut(partition), offsets.and_then(VecDeque::front)) {
                    span.from = *first;
                }
                !enough && !all
            });
            reach = reach.saturating_mul(8);
        }
        Ok(true)
    }

    /// The offsets of the last committed records in each span, at most `wanted`.
    fn last_offsets(
        &self,
        spans: &BTreeMap<i32, Span>,
        wanted: usize,
    ) -> Result<Option<BTreeMap<i32, VecDeque<i64>>>, BusError> {
        let mut found: BTreeMap<i32, VecDeque<i64>> = BTreeMap::new();
        let mut course = Course::begin(self.consumer, self.read.topic, self.topic, spans)?;
        while !course.is_over() {
            if self.batches.is_closed() {
                return Ok(None);
            }
            if let Step::Record(record) = course.step(IDLE_POLL)? {
                let offsets = found.entry(record.partition).or_default();
                offsets.push_back(record.offset);
                if offsets.len() > wanted {
                    offsets.pop_front();
                }
            }
        }
        Ok(Some(found))
    }

    fn at_time(&self, partition: i32, millis: i64) -> Result<i64, BusError> {
        let topic = self.topic;
        let refused =
            |error: &KafkaError| errors::refused(&format!("the offset for a time in {topic}[{partition}]"), error);
        // The brokers look for a time among what is committed only. Where they find none, what an open transaction has
        // written may be new enough: the read begins before it.
        let (_, stable) = errors::insist(|| self.consumer.fetch_watermarks(topic, partition, ASK_LIMIT))
            .map_err(|error| refused(&error))?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(topic, partition, Offset::Offset(millis)).map_err(|error| refused(&error))?;
        let found = errors::insist(|| self.consumer.offsets_for_times(asked.clone(), ASK_LIMIT))
            .map_err(|error| refused(&error))?;
        let Some(element) = found.find_partition(topic, partition) else { return Ok(stable) };
        element.error().map_err(|error| refused(&error))?;
        Ok(match element.offset() {
            Offset::Offset(offset) => offset,
            // Nothing that new is committed yet.
            _ => stable,
        })
    }
}

/// A record as it was read: key, payload and the values of its headers share one buffer.
pub(super) fn record(topic: Topic, message: &BorrowedMessage<'_>) -> Record {
    let (key, payload) = (message.key(), message.payload());
    let held: Vec<_> = message.headers().into_iter().flat_map(|headers| headers.iter()).collect();
    let sizes = held.iter().filter_map(|header| header.value).chain(key).chain(payload).map(<[u8]>::len);
    let mut buffer = Vec::with_capacity(sizes.sum());
    let values = held.iter().map(|header| header.value).chain([key, payload]).flatten();
    values.for_each(|value| buffer.extend_from_slice(value));
    let mut rest = Bytes::from(buffer);
    let headers = held.iter().map(|header| {
        let value = header.value.map_or_else(Bytes::new, |value| rest.split_to(value.len()));
        (header_name(header.key), value)
    });
    let headers = headers.collect();
    Record {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: key.map(|key| rest.split_to(key.len())),
        payload: payload.map(|_| rest),
        headers,
    }
}
