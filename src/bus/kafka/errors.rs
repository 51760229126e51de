//! librdkafka's errors in AUREN's words.

use std::{
    net::{TcpStream, ToSocketAddrs as _},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{ClientContext, Message, consumer::ConsumerContext, error::KafkaError, types::RDKafkaErrorCode};

use super::ASK_LIMIT;
use crate::bus::{BusError, Cursor};

/// How long a connection may take that only shows whether anything listens, and how many addresses are tried.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
const ADDRESSES: usize = 4;

/// How long to wait before a question is asked again.
const MOVE_PAUSE: Duration = Duration::from_millis(20);

/// A client whose every call says itself what went wrong, so that the client's own words about it are not repeated. Only
/// why it was not let in is kept: the calls themselves say no more than that nobody answered.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<Option<(RDKafkaErrorCode, String)>>);

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
        let Some(code) = error.rdkafka_error_code().filter(|code| tells(*code, reason)) else { return };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.to_owned()));
    }
}

impl ConsumerContext for Quiet {}

impl Quiet {
    /// Why the brokers do not answer this client.
    pub(super) fn unreachable(&self, brokers: &str, error: &KafkaError) -> BusError {
        let what = format!("Kafka at {brokers}");
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some((code, reason)) => BusError::NotLetIn { what, why: plain(&reason), next: next(code, &reason) },
            None if answers(brokers) => {
                let hint = "although something listens there; if it wants TLS, kafka.security_protocol must say so, and if it \
                            wants a certificate, kafka.certificate_file and kafka.key_file must name one";
                BusError::Unreachable { what, why: format!("{}, {hint}", words(error)) }
            }
            None => unreachable(brokers, error),
        }
    }
}

/// Whether anything takes connections at one of the addresses.
fn answers(brokers: &str) -> bool {
    let addresses = brokers.split(',').filter_map(|broker| broker.trim().to_socket_addrs().ok()).flatten();
    addresses.take(ADDRESSES).any(|address| TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok())
}

/// Whether this is why a client is not let in.
fn tells(code: RDKafkaErrorCode, reason: &str) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL
    ) || reason.contains("security.protocol")
}

/// The client's words without its own name of the connection and the time that it took.
fn plain(reason: &str) -> String {
    let words = reason.split_once("]: ").map_or(reason, |(_, words)| words);
    words.split(" (after ").next().unwrap_or(words).trim().to_owned()
}

/// What to do where a client is not let in.
fn next(code: RDKafkaErrorCode, reason: &str) -> &'static str {
    match code {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
            "look at kafka.sasl_mechanism, kafka.username and kafka.password, and whether the cluster knows this user"
        }
        _ if reason.contains("verify failed") || reason.contains("could not be verified") => {
            "kafka.ca_file must name the authority that signed the brokers' certificates, and kafka.brokers a name that \
             stands in them"
        }
        _ => {
            "look at kafka.security_protocol, which must be that of the listener, and at kafka.ca_file, \
             kafka.certificate_file and kafka.key_file"
        }
    }
}

pub(super) fn unreachable(brokers: &str, error: &KafkaError) -> BusError {
    BusError::Unreachable { what: format!("Kafka at {brokers}"), why: words(error) }
}

pub(super) fn refused(what: &str, error: &KafkaError) -> BusError {
    BusError::Refused { what: what.to_owned(), why: words(error) }
}

/// What became of a transaction: fenced by somebody under the same name, or not known to be committed.
pub(super) fn not_committed(member: &str, error: &KafkaError) -> BusError {
    if is_fenced(error) {
        BusError::Fenced { member: member.to_owned() }
    } else {
        BusError::NotCommitted { member: member.to_owned(), why: words(error) }
    }
}

pub(super) fn is_fenced(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    };
    matches!(
        code,
        Some(
            RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::FencedInstanceId
        )
    )
}

/// Errors that librdkafka recovers from by itself; it reports them so that they can be logged.
pub(super) fn passes(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::NetworkException
    )
}

/// What stands for an acknowledgement without a place.
pub(super) const NOWHERE: RDKafkaErrorCode = RDKafkaErrorCode::BadMessage;

/// Where an acknowledged record stands; [`NOWHERE`] where the client cannot tell.
///
/// librdkafka reports a record as delivered, with an offset below 0, where a broker calls it a duplicate of one whose
/// answer was lost. It is not always there: of records sent while a broker's partitions were being set up and the broker
/// then did not answer for 8 s, some were reported so and were in no log (also librdkafka issue 4134). To believe it would
/// be to acknowledge what is lost.
pub(super) fn placed(message: &impl Message) -> Result<Cursor, KafkaError> {
    let (partition, offset) = (message.partition(), message.offset());
    if offset < 0 { Err(KafkaError::MessageProduction(NOWHERE)) } else { Ok(Cursor { partition, offset }) }
}

/// Asks again while a partition has no leader or a new one, as one that was just created may.
pub(super) fn insist<T>(mut question: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let limit = Instant::now() + ASK_LIMIT;
    loop {
        match question() {
            Err(error) if error.rdkafka_error_code().is_some_and(moves) && Instant::now() < limit => {
                thread::sleep(MOVE_PAUSE);
            }
            answer => return answer,
        }
    }
}

fn moves(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::ReplicaNotAvailable
            | RDKafkaErrorCode::UnknownTopicOrPartition
    )
}

pub(super) fn words(error: &KafkaError) -> String {
    match error {
        KafkaError::MessageProduction(NOWHERE) => "a record was acknowledged without a place in the log".to_owned(),
        KafkaError::Transaction(inner) => inner.to_string(),
        other => other.rdkafka_error_code().map_or_else(|| other.to_string(), |code| code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{Timestamp, message::OwnedMessage};

    use super::*;

    #[test]
    fn an_acknowledgement_without_a_place_is_none() {
        let at = |offset| OwnedMessage::new(None, None, "t".to_owned(), Timestamp::NotAvailable, 3, offset, None);
        assert_eq!(placed(&at(0)), Ok(Cursor { partition: 3, offset: 0 }));
        let error = placed(&at(-1001)).unwrap_err();
        assert_eq!(error.rdkafka_error_code(), Some(NOWHERE));
        assert_eq!(not_committed("m", &error).to_string().matches("without a place in the log").count(), 1);
    }
}
