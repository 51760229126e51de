//! The metrics of the node, as Prometheus reads them; [`figures`] has all of them. They are read when somebody asks for them,
//! so that counting costs the river nothing.

mod figures;

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelValue, EncodeMetric as _, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use self::figures::{
    AGENTS, BEHIND, CHAT, CHAT_CLOSED, CHAT_HANDED, CHAT_REFUSED, CHAT_TIMES, COPIES, Figure, GUARANTEE, HTTP_REFUSED,
    KEYS, KEYS_AGE, KEYS_READ, LANES, PROJECTOR, RELAY, TOPICS, Times,
};
use super::{
    Refusals,
    chat::{Stats, Tier},
    ops::{RoleWatch, Watches},
    tokens::Published,
};
use crate::{
    bus::{Copies, Facts},
    consult::Hosted,
    guarantee::Level,
    project::ProjectStats,
    provisional::Provisional,
};

/// The media type of [`Metrics::text`].
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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
        value(figure.kind, (figure.of)(subject), metric)
    })
}

/// One figure of several subjects.
fn family<T>(
    figure: &Figure<T>,
    label: &str,
    subjects: &[(&str, T)],
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let values = subjects.iter().map(|(name, subject)| (*name, (figure.of)(subject)));
    labelled((figure.name, figure.help), figure.kind, label, values, encoder)
}

/// Values of one figure, by what its label says.
fn labelled(
    (name, help): (&str, &str),
    kind: MetricType,
    label: &str,
    values: impl IntoIterator<Item = (impl EncodeLabelValue, u64)>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (said, figure) in values {
        value(kind, figure, family.encode_family(&[(label, said)])?)?;
    }
    Ok(())
}

fn value(kind: MetricType, value: u64, metric: MetricEncoder<'_>) -> fmt::Result {
    match kind {
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
        alone(CHAT, &count, &mut encoder)?;
        let handed = Tier::ALL.iter().map(|tier| tier.name()).zip(count.handed);
        labelled(CHAT_HANDED, MetricType::Counter, "tier", handed, &mut encoder)?;
        for Times { name, help, of } in CHAT_TIMES {
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            of(&self.0).encode(metric)?;
        }
        let closed = count.closed.into_iter().map(|(code, times)| (code.to_string(), times));
        labelled(CHAT_CLOSED, MetricType::Counter, "code", closed, &mut encoder)?;
        labelled(CHAT_REFUSED, MetricType::Counter, "code", count.refused, &mut encoder)
    }
}

/// What the server refused.
#[derive(Debug)]
struct Refused(Arc<Refusals>);

impl Collector for Refused {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        labelled(HTTP_REFUSED, MetricType::Counter, "limit", self.0.all(), &mut encoder)
    }
}

/// Published keys.
#[derive(Debug)]
struct Keys(Arc<Published>);

impl Collector for Keys {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let seen = self.0.seen();
        alone(KEYS, &seen, &mut encoder)?;
        if seen.age_s.is_some() {
            alone(KEYS_AGE, &seen, &mut encoder)?;
        }
        alone(KEYS_READ, &seen, &mut encoder)
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
