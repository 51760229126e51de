//! Every metric of the node: names, units and what they mean stand here and nowhere else. No label ever names a person.

use prometheus_client::metrics::{MetricType, histogram::Histogram};

use crate::{
    consult::{AgentHealth, CircuitState},
    gateway::{
        chat::{Count, Stats},
        tokens::Seen,
    },
    lane::Totals,
    project::{
        ProjectTotals,
        stats::{Standing, TopicTotals},
    },
    provisional::RelayCount,
};

/// A figure of something that there are several of; a label says which.
pub(super) struct Figure<T> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) of: fn(&T) -> u64,
}

const fn counter<T>(name: &'static str, help: &'static str, of: fn(&T) -> u64) -> Figure<T> {
    Figure { name, help, kind: MetricType::Counter, of }
}

const fn gauge<T>(name: &'static str, help: &'static str, of: fn(&T) -> u64) -> Figure<T> {
    Figure { name, help, kind: MetricType::Gauge, of }
}

/// How long something takes, in seconds.
pub(super) struct Times {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) of: fn(&Stats) -> &Histogram,
}

/// What is known of each role, by the label `role`. Counters get `_total` behind their name; a node's restart begins them at zero.
pub(super) const LANES: &[Figure<Totals>] = &[
    counter("auren_lane_records", "Input records worked and committed", |totals| totals.records),
    counter("auren_lane_outputs", "Records written, states and dead letters not counted", |totals| totals.outputs),
    counter("auren_lane_dead_letters", "Dead letters written", |totals| totals.dead_letters),
    counter("auren_lane_moved", "Records moved into their user's own partition", |totals| totals.moved),
    counter("auren_lane_commits", "Transactions committed", |totals| totals.commits),
    counter("auren_lane_rejoins", "Times that a worker began again", |totals| totals.rejoins),
    counter("auren_lane_stalls", "Times that nothing came to a worker although records waited", |totals| totals.stalls),
    gauge("auren_lane_partitions", "Partitions held", |totals| totals.partitions),
    gauge("auren_lane_sessions", "Session actors in memory", |totals| totals.sessions),
    gauge("auren_lane_states", "Saved states in memory: all, or those that Redis lacks", |totals| totals.states),
    gauge("auren_lane_partitions_mirrored", "Partitions whose states Redis holds", |totals| totals.mirrored),
    gauge("auren_lane_partitions_unmirrored", "Partitions whose states Redis should hold and does not", |totals| {
        totals.unmirrored
    }),
    gauge("auren_lane_parked_users", "Users parked because their turns kept failing", |totals| totals.parked),
    gauge("auren_lane_open_consults", "Sessions that wait for an agent", |totals| totals.open),
    gauge("auren_lane_unfinished", "Batches worked and not committed", |totals| totals.unfinished),
    gauge("auren_lane_workers_restoring", "Workers that restore saved states", |totals| totals.restoring),
    gauge("auren_lane_workers_working", "Workers that hold what they were assigned", |totals| totals.working),
];

/// What is known of each agent, by the label `agent`.
pub(super) const AGENTS: &[Figure<AgentHealth>] = &[
    counter("auren_agent_asked", "Questions asked, further attempts not counted", |health| health.totals.asked),
    counter("auren_agent_retried", "Further attempts", |health| health.totals.retried),
    counter("auren_agent_answered", "Questions that ended with an answer", |health| health.totals.answered),
    counter("auren_agent_refused", "Questions that the agent would not answer", |health| health.totals.refused),
    counter("auren_agent_unavailable", "Questions that the agent could not answer", |health| health.totals.unavailable),
    counter("auren_agent_failed", "Questions that ended with a panic of the agent", |health| health.totals.failed),
    counter("auren_agent_late", "Questions that ended at their deadline", |health| health.totals.late),
    counter("auren_agent_spent", "Questions not answered: the agent's budget was used up", |health| {
        health.totals.spent
    }),
    counter("auren_agent_tokens_asked", "Tokens that the agent was asked", |health| health.costs.tokens_asked),
    counter("auren_agent_tokens_answered", "Tokens that the agent answered", |health| health.costs.tokens_answered),
    counter("auren_agent_cost_micros", "What they cost, in millionths of what its prices are in", |health| {
        health.costs.cost_micros
    }),
    counter("auren_agent_abandoned", "Questions whose answer nobody awaits any more", |health| health.totals.abandoned),
    counter("auren_agent_turned_away", "Questions not asked: the circuit was open", |health| health.totals.turned_away),
    counter("auren_agent_busy", "Questions not asked: too many were open", |health| health.totals.busy),
    counter("auren_agent_restarts", "Times that the agent was started again", |health| health.totals.restarts),
    counter("auren_agent_dropped_duplicate", "Answers over topics to questions that had been answered", |health| {
        health.dropped.unwrap_or_default().duplicate
    }),
    counter("auren_agent_dropped_late", "Answers over topics that nobody waited for any more", |health| {
        health.dropped.unwrap_or_default().late
    }),
    counter(
        "auren_agent_dropped_elsewhere",
        "Answers over topics to questions that this node had not asked",
        |health| health.dropped.unwrap_or_default().elsewhere,
    ),
    counter("auren_agent_dropped_nameless", "Answers over topics that name no question", |health| {
        health.dropped.unwrap_or_default().nameless
    }),
    gauge("auren_agent_open", "Questions that are open", |health| health.open as u64),
    gauge("auren_agent_circuit_open", "Whether questions do not reach the agent", |health| {
        u64::from(health.circuit != CircuitState::Closed)
    }),
];

/// What is known of the history where the node has the role `project`, by the label `topic`.
pub(super) const TOPICS: &[Figure<TopicTotals>] = &[
    counter("auren_project_rows", "Rows written into the history", |topic| topic.rows),
    counter("auren_project_refused", "Records that are no rows of the history", |topic| topic.refused),
];

/// Not there while it is not known, as on a node that stands by.
pub(super) const BEHIND: Figure<TopicTotals> =
    gauge("auren_project_behind", "Offsets up to the newest record that is not in the history yet", |topic| {
        topic.behind.unwrap_or_default()
    });

/// What is known of the projector.
pub(super) const PROJECTOR: &[Figure<ProjectTotals>] = &[
    counter("auren_project_transactions", "Transactions committed into the history", |totals| totals.transactions),
    counter("auren_project_failures", "Times that the projector had to begin again", |totals| totals.failures),
    gauge("auren_project_working", "Whether this node writes the history", |totals| {
        u64::from(totals.standing == Standing::Working)
    }),
    gauge("auren_project_standing_by", "Whether another node writes the history and this one stands by", |totals| {
        u64::from(totals.standing == Standing::StandingBy)
    }),
];

/// What nodes tell each other of what agents say before it is committed, where a Redis carries it.
pub(super) const RELAY: &[Figure<RelayCount>] = &[
    counter("auren_relay_told", "Messages to other nodes with parts of answers", |count| count.told),
    counter("auren_relay_heard", "Messages of other nodes with parts of answers", |count| count.heard),
    counter("auren_relay_failures", "Times that Redis did not carry them any more", |count| count.failures),
    gauge("auren_relay_people", "People of whom this node hears what other nodes say", |count| count.people),
];

/// What is known of chat.
pub(super) const CHAT: &[Figure<Count>] = &[
    gauge("auren_chat_open", "Sockets and event streams that are open", |count| count.open),
    counter("auren_chat_frames_received", "Frames that clients sent", |count| count.received),
    counter("auren_chat_events_sent", "Events sent over WebSockets", |count| count.events),
    counter("auren_chat_deltas_sent", "Parts of answers sent before they were committed", |count| count.deltas),
    counter("auren_chat_log_reads", "Reads of the log for clients whose place memory did not reach", |count| {
        count.log_reads
    }),
    counter("auren_chat_received_bytes", "Bytes of the frames that clients sent", |count| count.received_bytes),
    counter("auren_chat_sent_bytes", "Bytes of the frames that clients were sent", |count| count.sent_bytes),
];

/// By the label `tier`.
pub(super) const CHAT_HANDED: (&str, &str) = (
    "auren_chat_events_handed",
    "Events handed to sockets and streams, by where they came from: memory of the person, of the partition, or the log",
);

/// How long chat takes.
pub(super) const CHAT_TIMES: &[Times] = &[
    Times {
        name: "auren_chat_cause_to_frame",
        help: "From the log's having a cause to a frame of its event, on sockets that had all before it",
        of: |stats| &stats.told_since,
    },
    Times {
        name: "auren_chat_send_to_ack",
        help: "From a message of a client to its acknowledgement",
        of: |stats| &stats.acknowledged,
    },
    Times {
        name: "auren_chat_resume",
        help: "From the handshake of a client that comes back to its having all that it missed",
        of: |stats| &stats.resumed,
    },
];

/// By the label `code`, both.
pub(super) const CHAT_CLOSED: (&str, &str) = ("auren_chat_closed", "WebSockets that the node closed, by code");
pub(super) const CHAT_REFUSED: (&str, &str) =
    ("auren_chat_refused", "Frames and sockets that were answered with an error, by its code");

/// What the server refused, by the label `limit`.
pub(super) const HTTP_REFUSED: (&str, &str) =
    ("auren_http_refused", "Connections and requests that were ended at a limit, by its name");

/// Published keys.
pub(super) const KEYS: &[Figure<Seen>] =
    &[gauge("auren_token_keys", "Published keys that tokens are believed by", |seen| seen.keys)];
/// Not there before they have been read.
pub(super) const KEYS_AGE: &[Figure<Seen>] =
    &[gauge("auren_token_keys_age_seconds", "Seconds since published keys were read", |seen| {
        seen.age_s.unwrap_or_default()
    })];
pub(super) const KEYS_READ: &[Figure<Seen>] = &[
    counter("auren_token_keys_read", "Times that published keys were read", |seen| seen.reads),
    counter("auren_token_keys_failed", "Times that published keys could not be read", |seen| seen.failures),
];

/// 1 for the level that is in force for a role, 0 for the others; a role whose bus has not answered yet has `none`.
pub(super) const GUARANTEE: (&str, &str) = ("auren_guarantee", "Whether this guarantee is in force (1) or not (0)");
/// Not there while it is not known.
pub(super) const COPIES: (&str, &str) =
    ("auren_durable_copies", "Disks that have a record at least when it is acknowledged");
