//! Every metric of the node: names, units and what they mean stand here and nowhere else. Figures are read when somebody
//! asks for them, so that counting costs the river nothing. No label ever names a person.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use tokio::sync::watch;

use super::{chat::Stats, ops::RoleWatch};
use crate::{
    bus::{Copies, Facts},
    guarantee::Level,
    lane::Totals,
};

/// The media type of [`Metrics::text`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A figure of a role, by the label `role`.
struct Figure {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    of: fn(&Totals) -> u64,
}

const fn counter(name: &'static str, help: &'static str, of: fn(&Totals) -> u64) -> Figure {
    Figure { name, help, kind: MetricType::Counter, of }
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&Totals) -> u64) -> Figure {
    Figure { name, help, kind: MetricType::Gauge, of }
}

/// What is known of each role. Counters get `_total` behind their name; a node's restart begins them at zero.
const LANES: &[Figure] = &[
    counter("auren_lane_records", "Input records worked and committed", |totals| totals.records),
    counter("auren_lane_outputs", "Records written, states and dead letters not counted", |totals| totals.outputs),
    counter("auren_lane_dead_letters", "Dead letters written", |totals| totals.dead_letters),
    counter("auren_lane_moved", "Records moved into their user's own partition", |totals| totals.moved),
    counter("auren_lane_commits", "Transactions committed", |totals| totals.commits),
    counter("auren_lane_rejoins", "Times that a worker began again", |totals| totals.rejoins),
    counter("auren_lane_stalls", "Times that nothing came to a worker although records waited", |totals| totals.stalls),
    gauge("auren_lane_partitions", "Partitions held", |totals| totals.partitions),
    gauge("auren_lane_sessions", "Session actors in memory", |totals| totals.sessions),
    gauge("auren_lane_open_consults", "Sessions that wait for an agent", |totals| totals.open),
    gauge("auren_lane_unfinished", "Batches worked and not committed", |totals| totals.unfinished),
    gauge("auren_lane_workers_restoring", "Workers that restore saved states", |totals| totals.restoring),
    gauge("auren_lane_workers_working", "Workers that hold what they were assigned", |totals| totals.working),
];

/// 1 for the level that is in force for a role, 0 for the others; a role whose bus has not answered yet has `none`.
const GUARANTEE: (&str, &str) = ("auren_guarantee", "Whether this guarantee is in force (1) or not (0)");
/// Not there while it is not known.
const COPIES: (&str, &str) = ("auren_durable_copies", "Disks that have a record at least when it is acknowledged");

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn new(roles: Vec<RoleWatch>, facts: watch::Receiver<Option<Facts>>, chat: Option<Arc<Stats>>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Lanes(roles.clone())));
        registry.register_collector(Box::new(Guarantees { roles, facts }));
        if let Some(stats) = chat {
            registry.register_collector(Box::new(Chatting(stats)));
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
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals: Vec<_> = self.0.iter().map(|watch| (watch.role.name(), watch.stats.totals())).collect();
        for figure in LANES {
            let mut family = encoder.encode_descriptor(figure.name, figure.help, None, figure.kind)?;
            for (role, totals) in &totals {
                let value = (figure.of)(totals);
                let labels = [("role", *role)];
                let metric = family.encode_family(&labels)?;
                match figure.kind {
                    MetricType::Counter => ConstCounter::new(value).encode(metric)?,
                    _ => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?,
                }
            }
        }
        Ok(())
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
            ("auren_chat_log_reads", "Reads of the log for clients whose place memory did not reach", count.log_reads),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let (name, help) = ("auren_chat_closed", "WebSockets that the node closed, by code");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (code, times) in count.closed {
            let labels = [("code", code.to_string())];
            ConstCounter::new(times).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{config::Role, lane::LaneStats};

    #[test]
    fn every_role_has_every_figure_under_its_own_name() {
        let roles =
            Role::ALL.iter().map(|role| RoleWatch { role: *role, stats: Arc::new(LaneStats::default()), workers: 1 });
        let text = Metrics::new(roles.collect(), watch::channel(None).1, None).text().unwrap();
        assert!(
            text.contains("# TYPE auren_lane_records counter\nauren_lane_records_total{role=\"enrich\"} 0\n"),
            "{text}"
        );
        assert!(text.contains("\nauren_lane_sessions{role=\"converse\"} 0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let names: BTreeSet<_> = LANES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), LANES.len());
        assert!(text.contains("\nauren_guarantee{role=\"detect\",level=\"none\"} 1\n"), "{text}");
        let figures = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(figures, (LANES.len() + Level::ALL.len()) * Role::ALL.len());
    }
}
