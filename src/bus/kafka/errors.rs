//! librdkafka's errors in AUREN's words.

use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

use crate::bus::BusError;

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

fn words(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(inner) => inner.to_string(),
        other => other.rdkafka_error_code().map_or_else(|| other.to_string(), |code| code.to_string()),
    }
}
