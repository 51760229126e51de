//! Where the records of an open transaction went, and how many of each partition are on their way.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{ClientContext, error::KafkaError, message::DeliveryResult, producer::ProducerContext};

use super::errors;
use crate::bus::{Cursor, Outgoing};

/// Most records that go out as one request. They are sent at once when so many have come, and otherwise after [`LINGER`].
pub(super) const REQUEST: usize = 2000;

/// How long the client waits for more of a request.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// How long a request is handed over: less than the client waits for more of it.
pub(super) const HAND_OVER: Duration = Duration::from_micros(800);
const _: () = assert!(HAND_OVER.as_micros() < LINGER.as_micros());

/// Most bytes of them: a little less than what the client itself takes for a request (`batch.size`).
const REQUEST_BYTES: usize = 950_000;

/// What a transactional producer hears of its records, which are known by their index in the transaction.
#[derive(Default)]
pub(super) struct Deliveries {
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    cursors: Vec<Cursor>,
    failure: Option<KafkaError>,
    /// The row of each record.
    rows: Vec<usize>,
    /// How many of each row are on their way.
    under_way: Vec<usize>,
}

/// The records of one partition by their index, how large each is, and how many of them were handed over.
#[derive(Default)]
struct Row {
    records: Vec<usize>,
    bytes: Vec<usize>,
    sent: usize,
}

impl Row {
    fn is_sent(&self) -> bool {
        self.sent == self.records.len()
    }

    /// Where the request ends that begins at the next record.
    fn end(&self) -> usize {
        let mut bytes = 0;
        let fits = |(place, more): &(usize, &usize)| {
            bytes += **more;
            *place == 0 || (*place < REQUEST && bytes <= REQUEST_BYTES)
        };
        self.sent + self.bytes[self.sent..].iter().enumerate().take_while(fits).count()
    }
}

/// Records to hand over as one request, by their index, and the row that they are of.
pub(super) struct Request {
    row: usize,
    places: Range<usize>,
}

/// A transaction's records, in the order in which they are handed to the client.
///
/// An idempotent client has one request of a partition under way, and while more of that partition waits its thread spins;
/// on a busy hub that burnt as much as all sessions and agents together. So the next records of a partition are handed over
/// when those before them are answered for.
pub(super) struct Rows(Vec<Row>);

impl Deliveries {
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with the records of a transaction.
    pub(super) fn expect(&self, outputs: &[Outgoing]) -> Rows {
        let mut partitions: BTreeMap<_, Row> = BTreeMap::new();
        for (index, output) in outputs.iter().enumerate() {
            let row = partitions.entry((output.topic, output.partition)).or_default();
            row.records.push(index);
            row.bytes.push(output.bytes());
        }
        let rows: Vec<Row> = partitions.into_values().collect();
        let mut places = self.places();
        places.failure = None;
        places.cursors.clear();
        places.cursors.resize(outputs.len(), Cursor { partition: -1, offset: -1 });
        places.under_way.clear();
        places.under_way.resize(rows.len(), 0);
        places.rows.clear();
        places.rows.resize(outputs.len(), 0);
        for (number, row) in rows.iter().enumerate() {
            row.records.iter().for_each(|index| places.rows[*index] = number);
        }
        Rows(rows)
    }

    /// A record is not on its way any more.
    fn answered(&self, index: usize, placed: Result<Cursor, KafkaError>) {
        let mut places = self.places();
        match placed {
            Ok(cursor) => {
                if let Some(place) = places.cursors.get_mut(index) {
                    *place = cursor;
                }
            }
            Err(error) => places.failure = Some(error),
        }
        let row = places.rows.get(index).copied();
        if let Some(under_way) = row.and_then(|row| places.under_way.get_mut(row)) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// Where the records went, once nothing is on its way any more.
    pub(super) fn taken(&self) -> Result<Vec<Cursor>, KafkaError> {
        let mut places = self.places();
        match places.failure.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut places.cursors)),
        }
    }

    /// The records to hand over next, which count as on their way from now on; none where all partitions that have more
    /// wait for an answer.
    pub(super) fn next(&self, rows: &mut Rows) -> Option<Request> {
        let mut places = self.places();
        let free = |(number, row): &(usize, &mut Row)| !row.is_sent() && places.under_way[*number] == 0;
        let (number, row) = rows.0.iter_mut().enumerate().find(free)?;
        let request = Request { row: number, places: row.sent..row.end() };
        places.under_way[number] = request.places.len();
        row.sent = request.places.end;
        Some(request)
    }

    /// The last of a request's records were not handed over, so many of them.
    pub(super) fn back(&self, rows: &mut Rows, request: &Request, count: usize) {
        self.places().under_way[request.row] -= count;
        rows.0[request.row].sent -= count;
    }
}

impl Rows {
    /// Whether all have been handed over.
    pub(super) fn is_sent(&self) -> bool {
        self.0.iter().all(Row::is_sent)
    }

    /// The records of a request, by their index.
    pub(super) fn of(&self, request: &Request) -> &[usize] {
        &self.0[request.row].records[request.places.clone()]
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        // What it means for a commit is that commit's answer.
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        self.answered(
            index,
            match result {
                Ok(message) => errors::placed(message),
                Err((error, _)) => Err(error.clone()),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Topic;

    fn record(topic: Topic, partition: i32) -> Outgoing {
        Outgoing { topic, partition: Some(partition), key: None, payload: None, headers: Vec::new() }
    }

    #[test]
    fn the_next_records_of_a_partition_wait_until_those_before_them_are_answered_for() {
        let deliveries = Deliveries::default();
        let mut outputs = Vec::new();
        for _ in 0..REQUEST + 1 {
            outputs.extend([record(Topic::Events, 0), record(Topic::Events, 1), record(Topic::StateConverse, 0)]);
        }
        let mut rows = deliveries.expect(&outputs);
        let mut sent = Vec::new();
        while let Some(next) = deliveries.next(&mut rows) {
            let next = rows.of(&next);
            assert!(next.len() == REQUEST && next.is_sorted(), "a partition's records keep their order");
            sent.extend_from_slice(next);
        }
        assert!(sent.len() == 3 * REQUEST && !rows.is_sent());
        // The next one of a partition goes when the last of its first ones is answered for.
        let answered: Vec<usize> = sent.iter().copied().filter(|index| index % 3 == 1).collect();
        for (offset, index) in (0..).zip(&answered) {
            assert!(deliveries.next(&mut rows).is_none());
            deliveries.answered(*index, Ok(Cursor { partition: 1, offset }));
        }
        let next = deliveries.next(&mut rows).unwrap();
        assert_eq!(rows.of(&next), [3 * REQUEST + 1]);
        let cursors = deliveries.taken().unwrap();
        assert_eq!(cursors[answered[7]], Cursor { partition: 1, offset: 7 });
    }

    #[test]
    fn a_request_takes_no_more_than_the_client_puts_into_one() {
        let large = |bytes: usize| Outgoing { payload: Some(vec![0; bytes].into()), ..record(Topic::Events, 0) };
        let outputs = [large(REQUEST_BYTES - 1), large(1), large(1), large(2 * REQUEST_BYTES), large(1)];
        let deliveries = Deliveries::default();
        let mut rows = deliveries.expect(&outputs);
        let mut requests = Vec::new();
        while !rows.is_sent() {
            let next = deliveries.next(&mut rows).unwrap();
            let next = rows.of(&next).to_vec();
            next.iter().for_each(|index| deliveries.answered(*index, Ok(Cursor { partition: 0, offset: 0 })));
            requests.push(next);
        }
        assert_eq!(requests, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn what_there_was_no_time_to_hand_over_is_the_beginning_of_the_next_request() {
        let outputs = vec![record(Topic::Events, 0); 10];
        let deliveries = Deliveries::default();
        let mut rows = deliveries.expect(&outputs);
        let request = deliveries.next(&mut rows).unwrap();
        deliveries.back(&mut rows, &request, 7);
        for index in 0..3 {
            assert!(!rows.is_sent() && deliveries.next(&mut rows).is_none());
            deliveries.answered(index, Ok(Cursor { partition: 0, offset: 0 }));
        }
        let request = deliveries.next(&mut rows).unwrap();
        assert_eq!(rows.of(&request), (3..10).collect::<Vec<_>>());
        assert!(rows.is_sent());
    }

    #[test]
    fn one_record_that_was_not_written_fails_the_transaction() {
        let deliveries = Deliveries::default();
        deliveries.expect(&[record(Topic::Events, 0), record(Topic::Events, 0)]);
        deliveries.answered(0, Err(KafkaError::Canceled));
        deliveries.answered(1, Ok(Cursor { partition: 0, offset: 0 }));
        assert!(deliveries.taken().is_err());
        deliveries.expect(&[]);
        assert_eq!(deliveries.taken().unwrap(), []);
    }
}
