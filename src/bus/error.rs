//! What can go wrong with a bus: what happened, where, and what to do next. Never what a record holds.

/// What went wrong with the bus.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// Nobody answers there.
    #[error("cannot reach {what}: {why}; check that it runs and that its address is the one configured")]
    Unreachable {
        /// The bus and its address.
        what: String,
        /// The client library's words.
        why: String,
    },
    /// Somebody answers there, and one of the two does not trust the other.
    #[error("{what} does not let this client in: {why}; {next}")]
    NotLetIn {
        /// The bus and its address.
        what: String,
        /// The client library's words.
        why: String,
        /// What to do.
        next: &'static str,
    },
    /// A topic of the river is not there.
    #[error("topic {topic} does not exist; create it with `auren topics create`")]
    TopicMissing {
        /// The topic.
        topic: String,
    },
    /// Two topics of the river have different partition counts.
    #[error(
        "topics {first} ({first_count} partitions) and {second} ({second_count}) differ: all topics of the river need \
         the same partition count, or a user's records land in different lanes; recreate one of them"
    )]
    NotCoPartitioned {
        /// One topic.
        first: String,
        /// Its partition count.
        first_count: i32,
        /// The other.
        second: String,
        /// Its partition count.
        second_count: i32,
    },
    /// A record is larger than the topic takes.
    #[error("a record of {bytes} bytes is too large for topic {topic}; at most {max} bytes are taken")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's size.
        bytes: usize,
        /// The most it takes.
        max: usize,
    },
    /// The bus did not take a record or a request.
    #[error("{what} was refused: {why}")]
    Refused {
        /// What was asked, with topic and partition.
        what: String,
        /// The bus's words.
        why: String,
    },
    /// Somebody else works under the same name, or has ended what was left open when nothing was heard of the member.
    #[error(
        "member {member} was fenced: nothing was heard of it for longer than `kafka.session_timeout_ms`, or another process \
         works under the same name; then give every node its own `node.id`, or stop the other process"
    )]
    Fenced {
        /// The member's name.
        member: String,
    },
    /// A transaction did not commit, or nobody can tell whether it did.
    #[error("a transaction of {member} did not commit: {why}; it is worked again from the committed offsets")]
    NotCommitted {
        /// The member's name.
        member: String,
        /// The bus's words.
        why: String,
    },
    /// A member to whom nothing comes although records wait.
    #[error(
        "nothing has come to {member} for {seconds} s, although {lag} offsets of {place} wait from {offset} on; it joins \
         again, and where that does not help look at the brokers' logs"
    )]
    Stalled {
        /// The member's name.
        member: String,
        /// Topic and partition.
        place: String,
        /// The next offset that its group has to work.
        offset: i64,
        /// Offsets from there to the newest record.
        lag: i64,
        /// For how long nothing has come.
        seconds: u64,
    },
    /// The embedded bus's file.
    #[error("the embedded bus at {file}: {why}")]
    Storage {
        /// The file.
        file: String,
        /// What failed.
        why: String,
    },
    /// The other side of a channel is gone: the process is stopping.
    #[error("the bus is closed")]
    Closed,
}

impl BusError {
    /// Whether the record is at fault, and others may go.
    #[must_use]
    pub fn is_of_the_record(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}
