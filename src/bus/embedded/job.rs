//! What the writer is asked to do, and what whoever asked hears of it.

use sqlx::Error;
use tokio::sync::oneshot;

use super::{errors, group::Pass};
use crate::{
    bus::{BusError, Cursor, Outgoing, Topic, TopicSpec, Transaction},
    sqlite,
};

/// Something to write.
pub(super) enum Job {
    Publish {
        records: Vec<Outgoing>,
        done: oneshot::Sender<Vec<Result<Cursor, BusError>>>,
    },
    Commit {
        pass: Pass,
        transaction: Transaction,
        done: oneshot::Sender<Result<Vec<Cursor>, BusError>>,
    },
    Create {
        specs: Vec<TopicSpec>,
        done: oneshot::Sender<Result<Vec<Topic>, BusError>>,
    },
    /// Takes a group over from whichever process had it; answered with the new epoch.
    Claim {
        group: String,
        done: oneshot::Sender<Result<i64, BusError>>,
    },
    /// Deletes superseded records of a compacted partition; the last step of a pass says how far it is clean.
    Compact {
        places: Vec<i64>,
        clean: Option<Clean>,
        done: oneshot::Sender<Result<(), BusError>>,
    },
    /// Answered when every job before it is decided.
    Barrier {
        done: oneshot::Sender<()>,
    },
}

/// How far a compacted partition is clean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clean {
    pub(super) base: i64,
    pub(super) end: i64,
    pub(super) kept: i64,
}

/// What a job's sender hears once the transaction is committed.
pub(super) enum Answer {
    Published(Vec<Result<Cursor, BusError>>),
    Committed(Result<Vec<Cursor>, BusError>),
    Created(Result<Vec<Topic>, BusError>),
    Claimed(i64),
    Done,
}

impl Job {
    pub(super) fn weight(&self) -> (usize, usize) {
        let records = match self {
            Self::Publish { records, .. } => records,
            Self::Commit { transaction, .. } => &transaction.outputs,
            Self::Compact { places, .. } => return (places.len(), 0),
            _ => return (1, 0),
        };
        (records.len(), records.iter().map(Outgoing::bytes).sum())
    }

    /// Whoever asked may have stopped waiting; what is written stays written.
    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Publish { done, .. }, Answer::Published(answer)) => drop(done.send(answer)),
            (Self::Commit { done, .. }, Answer::Committed(answer)) => drop(done.send(answer)),
            (Self::Create { done, .. }, Answer::Created(answer)) => drop(done.send(answer)),
            (Self::Claim { done, .. }, Answer::Claimed(epoch)) => drop(done.send(Ok(epoch))),
            (Self::Compact { done, .. }, _) => drop(done.send(Ok(()))),
            (Self::Barrier { done }, _) => drop(done.send(())),
            // Not reached: `plan` answers each kind in its own kind. The sender hears of a closed channel.
            _ => {}
        }
    }

    pub(super) fn fail(self, file: &std::path::Path, error: &Error) {
        let storage = || errors::storage(file, error);
        match self {
            Self::Publish { records, done } => drop(done.send(records.iter().map(|_| Err(storage())).collect())),
            Self::Commit { pass, done, .. } => {
                let why = format!("the embedded bus at {}: {}", file.display(), sqlite::words(error));
                drop(done.send(Err(BusError::NotCommitted { member: pass.member, why })));
            }
            Self::Create { done, .. } => drop(done.send(Err(storage()))),
            Self::Claim { done, .. } => drop(done.send(Err(storage()))),
            Self::Compact { done, .. } => drop(done.send(Err(storage()))),
            // Nothing is half-decided: the transaction is over.
            Self::Barrier { done } => drop(done.send(())),
        }
    }
}
