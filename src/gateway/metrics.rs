//! Every metric of the node: names, units and what they mean stand here and nowhere else. Figures are read when somebody
//! asks for them, so that counting costs the river nothing. No label ever names a person.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use super::{
    Refusals,
    chat::{Stats, Tier},
    ops::{RoleWatch, Watches},
    tokens::Published,
};
use crate::{
    bus::{Copies, Facts},
    consult::{AgentHealth, CircuitState, Hosted},
    guarantee::Level,
    lane::Totals,
    project::{
        ProjectStats, ProjectTotals,
        stats::{Standing, TopicTotals},
    },
    provisional::{Provisional, RelayCount},
};

/// The media type of [`Metrics::text`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A figure of something that there are several of; a label says which.
struct Figure<T> {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    of: fn(&T) -> u64,
}

const fn counter<T>(name: &'static str, help: &'static str, of: fn(&T) -> u64) -> Figure<T> {
    Figure { name, help, kind: MetricType::Counter, of }
}

const fn gauge<T>(name: &'static str, help: &'static str, of: fn(&T) -> u64) -> Figure<T> {
    Figure { name, help, kind: MetricType::Gauge, of }
}

/// What is known of each role, by the label `role`. Counters get `_total` behind their name; a node's restart begins them at zero.
const LANES: &[Figure<Totals>] = &[
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
const AGENTS: &[Figure<AgentHealth>] = &[
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
const TOPICS: &[Figure<TopicTotals>] = &[
    counter("auren_project_rows", "Rows written into the history", |topic| topic.rows),
    counter("auren_project_refused", "Records that are no rows of the history", |topic| topic.refused),
];

/// Not there while it is not known, as on a node that stands by.
const BEHIND: Figure<TopicTotals> =
    gauge("auren_project_behind", "Offsets up to the newest record that is not in the history yet", |topic| {
        topic.behind.unwrap_or_default()
    });

/// What is known of the projector.
const PROJECTOR: &[Figure<ProjectTotals>] = &[
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
const RELAY: &[Figure<RelayCount>] = &[
    counter("auren_relay_told", "Messages to other nodes with parts of answers", |count| count.told),
    counter("auren_relay_heard", "Messages of other nodes with parts of answers", |count| count.heard),
    counter("auren_relay_failures", "Times that Redis did not carry them any more", |count| count.failures),
    gauge("auren_relay_people", "People of whom this node hears what other nodes say", |count| count.people),
];

/// 1 for the level that is in force for a role, 0 for the others; a role whose bus has not answered yet has `none`.
const GUARANTEE: (&str, &str) = ("auren_guarantee", "Whether this guarantee is in force (1) or not (0)");
/// Not there while it is not known.
const COPIES: (&str, &str) = ("auren_durable_copies", "Disks that have a record at least when it is acknowledged");

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn new(watches: Watches) -> Self {
        let Watches { roles, agents, projector, chat, relay, facts, refusals, published, .. } = watches;
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Asked(agents)));
        registry.register_collector(Box::new(Lanes(roles.clone())));
        registry.register_collector(Box::new(Guarantees { roles, facts }));
        if let Some(projector) = projector {
            registry.register_collector(Box::new(History(projector)));
        }
        if let Some(stats) = chat {
            registry.register_collector(Box::new(Chatting(stats)));
        }
        registry.register_collector(Box::new(Refused(refusals)));
        if let Some(published) = published {
            registry.register_collector(Box::new(Keys(published)));
        }
        if let Some(board) = relay {
            registry.register_collector(Box::new(Relayed(board)));
        }
        Self(registry)
    }

    /// All figures now, in the text format that Prometheus reads.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct Lanes(Vec<RoleWatch>);

impl Collector for Lanes {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals: Vec<_> = self.0.iter().map(|watch| (watch.role.name(), watch.stats.totals())).collect();
        encode(LANES, "role", &totals, encoder)
    }
}

#[derive(Debug)]
struct Asked(Hosted);

impl Collector for Asked {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let health = self.0.health();
        let by_name: Vec<_> = health.iter().map(|health| (health.agent.as_str(), health.clone())).collect();
        encode(AGENTS, "agent", &by_name, encoder)
    }
}

#[derive(Debug)]
struct History(Arc<ProjectStats>);

impl Collector for History {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.0.totals();
        let topics: Vec<_> = totals.topics.iter().map(|(topic, totals)| (topic.name(), *totals)).collect();
        for figure in TOPICS {
            family(figure, "topic", &topics, &mut encoder)?;
        }
        let known: Vec<_> = topics.into_iter().filter(|(_, topic)| topic.behind.is_some()).collect();
        family(&BEHIND, "topic", &known, &mut encoder)?;
        alone(PROJECTOR, &totals, &mut encoder)
    }
}

#[derive(Debug)]
struct Relayed(Provisional);

impl Collector for Relayed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        alone(RELAY, &self.0.relayed(), &mut encoder)
    }
}

fn encode<T>(
    figures: &[Figure<T>],
    label: &str,
    subjects: &[(&str, T)],
    mut encoder: DescriptorEncoder<'_>,
) -> fmt::Result {
    figures.iter().try_for_each(|figure| family(figure, label, subjects, &mut encoder))
}

/// Figures of which a node has one each.
fn alone<T>(figures: &[Figure<T>], subject: &T, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    figures.iter().try_for_each(|figure| {
        let metric = encoder.encode_descriptor(figure.name, figure.help, None, figure.kind)?;
        value(figure, subject, metric)
    })
}

/// One figure of several subjects.
fn family<T>(
    figure: &Figure<T>,
    label: &str,
    subjects: &[(&str, T)],
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(figure.name, figure.help, None, figure.kind)?;
    for (name, subject) in subjects {
        value(figure, subject, family.encode_family(&[(label, *name)])?)?;
    }
    Ok(())
}

fn value<T>(figure: &Figure<T>, subject: &T, metric: MetricEncoder<'_>) -> fmt::Result {
    let value = (figure.of)(subject);
    match figure.kind {
        MetricType::Counter => ConstCounter::new(value).encode(metric),
        _ => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric),
    }
}

#[derive(Debug)]
struct Guarantees {
    roles: Vec<RoleWatch>,
    facts: watch::Receiver<Option<Facts>>,
}

impl Collector for Guarantees {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let facts = self.facts.borrow();
        let (name, help) = GUARANTEE;
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for watch in &self.roles {
            let force = watch.in_force(facts.as_ref()).level;
            for level in Level::ALL {
                let labels = [("role", watch.role.name()), ("level", level.name())];
                ConstGauge::new(i64::from(*level == force)).encode(family.encode_family(&labels)?)?;
            }
        }
        let copies = match facts.as_ref().map(|facts| &facts.copies) {
            Some(Copies::File) => Some(1),
            Some(Copies::Brokers { sure, .. }) => *sure,
            None => None,
        };
        if let Some(copies) = copies {
            let (name, help) = COPIES;
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::from(copies)).encode(metric)?;
        }
        Ok(())
    }
}

/// Chat, where the node has it.
#[derive(Debug)]
struct Chatting(Arc<Stats>);

impl Collector for Chatting {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let count = self.0.count();
        let (name, help) = ("auren_chat_open", "Sockets and event streams that are open");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(count.open).unwrap_or(i64::MAX)).encode(metric)?;
        for (name, help, value) in [
            ("auren_chat_frames_received", "Frames that clients sent", count.received),
            ("auren_chat_events_sent", "Events sent over WebSockets", count.events),
            ("auren_chat_deltas_sent", "Parts of answers sent before they were committed", count.deltas),
            ("auren_chat_log_reads", "Reads of the log for clients whose place memory did not reach", count.log_reads),
            ("auren_chat_received_bytes", "Bytes of the frames that clients sent", count.received_bytes),
            ("auren_chat_sent_bytes", "Bytes of the frames that clients were sent", count.sent_bytes),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let help = "Events handed to sockets and streams, by where they came from: memory of the person, of the partition, or the log";
        let mut family = encoder.encode_descriptor("auren_chat_events_handed", help, None, MetricType::Counter)?;
        for (tier, events) in Tier::ALL.iter().zip(count.handed) {
            ConstCounter::new(events).encode(family.encode_family(&[("tier", tier.name())])?)?;
        }
        for (name, help, times) in [
            (
                "auren_chat_cause_to_frame",
                "From the log's having a cause to a frame of its event, on sockets that had all before it",
                &self.0.told_since,
            ),
            ("auren_chat_send_to_ack", "From a message of a client to its acknowledgement", &self.0.acknowledged),
            (
                "auren_chat_resume",
                "From the handshake of a client that comes back to its having all that it missed",
                &self.0.resumed,
            ),
        ] {
            times.encode(encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?)?;
        }
        let (name, help) = ("auren_chat_closed", "WebSockets that the node closed, by code");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (code, times) in count.closed {
            let labels = [("code", code.to_string())];
            ConstCounter::new(times).encode(family.encode_family(&labels)?)?;
        }
        let (name, help) = ("auren_chat_refused", "Frames and sockets that were answered with an error, by its code");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (code, times) in count.refused {
            ConstCounter::new(times).encode(family.encode_family(&[("code", code)])?)?;
        }
        Ok(())
    }
}

/// What the server refused.
#[derive(Debug)]
struct Refused(Arc<Refusals>);

impl Collector for Refused {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("auren_http_refused", "Connections and requests that were ended at a limit, by its name");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (limit, times) in self.0.all() {
            ConstCounter::new(times).encode(family.encode_family(&[("limit", limit)])?)?;
        }
        Ok(())
    }
}

/// Published keys.
#[derive(Debug)]
struct Keys(Arc<Published>);

impl Collector for Keys {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen = self.0.seen();
        // How old they are is not there before they have been read.
        let ages =
            seen.age_s.map(|age| ("auren_token_keys_age_seconds", "Seconds since published keys were read", age));
        for (name, help, value) in
            [("auren_token_keys", "Published keys that tokens are believed by", seen.keys)].into_iter().chain(ages)
        {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?;
        }
        for (name, help, value) in [
            ("auren_token_keys_read", "Times that published keys were read", seen.reads),
            ("auren_token_keys_failed", "Times that published keys could not be read", seen.failures),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        config::{Config, Role},
        consult::Agents,
        lane::LaneStats,
    };

    fn watches(projector: Option<Arc<ProjectStats>>) -> Watches {
        let role = |role: &Role| RoleWatch { role: *role, stats: Arc::new(LaneStats::default()), workers: 1 };
        let agents = Agents::built_in().hosted(Config::default().converse.consults());
        let roles = Role::ON_LANES.iter().map(role).collect();
        let refusals = Arc::default();
        let facts = watch::channel(None).1;
        Watches { roles, agents, projector, chat: None, relay: None, rules: None, facts, refusals, published: None }
    }

    #[test]
    fn every_role_has_every_figure_under_its_own_name() {
        let text = Metrics::new(watches(None)).text().unwrap();
        assert!(
            text.contains("# TYPE auren_lane_records counter\nauren_lane_records_total{role=\"enrich\"} 0\n"),
            "{text}"
        );
        assert!(text.contains("\nauren_lane_sessions{role=\"converse\"} 0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(text.contains("\nauren_agent_asked_total{agent=\"coach\"} 0\n"), "{text}");
        let names: BTreeSet<_> =
            LANES.iter().map(|figure| figure.name).chain(AGENTS.iter().map(|figure| figure.name)).collect();
        assert_eq!(names.len(), LANES.len() + AGENTS.len());
        assert!(text.contains("\nauren_guarantee{role=\"detect\",level=\"none\"} 1\n"), "{text}");
        let figures = text.lines().filter(|line| !line.starts_with('#')).count();
        let limits = text.lines().filter(|line| line.starts_with("auren_http_refused_total{")).count();
        assert_eq!(figures, (LANES.len() + Level::ALL.len()) * Role::ON_LANES.len() + 2 * AGENTS.len() + limits);
    }

    #[test]
    fn a_projector_has_figures_by_topic_and_no_lag_before_it_is_known() {
        let text = Metrics::new(watches(Some(Arc::default()))).text().unwrap();
        for line in [
            "auren_project_rows_total{topic=\"triggers.detected\"} 0",
            "auren_project_refused_total{topic=\"system.events\"} 0",
            "auren_project_transactions_total 0",
            "auren_project_working 0",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} is not in {text}");
        }
        assert!(!text.contains("auren_project_behind{"), "{text}");
    }

    #[test]
    fn every_figure_that_the_dashboard_and_the_alerts_name_is_one() {
        let watches = Watches { chat: Some(Arc::default()), ..watches(Some(Arc::default())) };
        let text = Metrics::new(watches).text().unwrap();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let mut known: BTreeSet<_> = types
            .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
            .collect();
        // These are there once they are known.
        known.extend([COPIES.0, BEHIND.name].map(str::to_owned));
        for file in [
            include_str!("../../docker/grafana/dashboards/auren.json"),
            include_str!("../../docker/prometheus/alerts.yaml"),
            include_str!("../../docker/prometheus/alerts_test.yaml"),
        ] {
            let words = file.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let named: BTreeSet<_> = words.filter(|word| word.starts_with("auren_")).collect();
            assert!(named.len() > 5, "{named:?}");
            for name in named {
                assert!(known.contains(name), "{name} is no figure of /metrics: {known:?}");
            }
        }
    }
}
