//! What a cluster and the client's settings are seen to allow: asked of the brokers, changed nowhere.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier},
    error::KafkaError,
    producer::{BaseProducer, Producer as _},
};
use tokio::runtime::Handle;

use super::{KafkaSettings, deliveries::Deliveries, errors, member, probe::Probe};
use crate::bus::{
    Begin, BusError, Cleanup, Copies, Facts, Guarantee, Join, Keeping, Override, Taken, Topic, co_partitioned,
};

/// Topics of the brokers' own that an exactly-once commit is written to as well.
const LEDGERS: [&str; 2] = ["__transaction_state", "__consumer_offsets"];

/// How long each question may take. A node that ends waits for one that is under way.
const LIMIT: Duration = Duration::from_secs(5);

/// What a topic's configuration could be found to be.
type Configs = BTreeMap<String, Result<ConfigResource, String>>;

/// Gathers all facts. It blocks.
pub(super) fn gather(settings: &KafkaSettings, probe: &Probe, runtime: &Handle) -> Result<Facts, BusError> {
    let replicas = probe.replicas()?;
    let configs = configs(settings, replicas.iter().map(|(name, _)| name.as_str()), runtime);
    let states = Topic::ALL.iter().filter(|topic| topic.cleanup() == Cleanup::Compact);
    Ok(Facts {
        partitions: co_partitioned(&probe.topics()?, Topic::RIVER).map_err(|error| error.to_string()),
        transactions: transactions(settings),
        overrides: overrides(settings),
        states: states.map(|topic| (*topic, keeping(&configs, &settings.topic(*topic)))).collect(),
        copies: copies(&replicas, &configs),
    })
}

/// Whether a transactional producer finds its coordinator, as every worker's must. It opens no transaction.
fn transactions(settings: &KafkaSettings) -> Result<(), String> {
    let id = format!("{}auren-doctor", settings.prefix);
    let said = |error: KafkaError| errors::words(&error);
    let producer: BaseProducer<Deliveries> =
        settings.client(&[("transactional.id", &id)]).create_with_context(Deliveries::default()).map_err(said)?;
    // A coordinator that is asked for before a broker is known is asked for again only half a second later.
    producer.client().fetch_metadata(Some(&settings.topic(Topic::Events)), LIMIT).map_err(said)?;
    producer.init_transactions(LIMIT).map_err(said)
}

/// The properties of a member, as they really are, that take something away.
fn overrides(settings: &KafkaSettings) -> Vec<Override> {
    let join = Join {
        group: String::new(),
        member: String::new(),
        topics: Vec::new(),
        begin: Begin::Earliest,
        guarantee: Guarantee::ExactlyOnce,
        max_batch: 1,
    };
    let config = member::config(settings, &join);
    let differs = |name: &str, good: &[&str], takes: Taken| {
        let value = config.get(name).filter(|value| !good.contains(&value.to_ascii_lowercase().as_str()))?;
        Some(Override { property: format!("{name} = {value}"), takes })
    };
    let found = [
        differs("isolation.level", &["read_committed"], Taken::Isolation),
        differs("enable.auto.commit", &["false", "f", "0"], Taken::Offsets),
        differs("partition.assignment.strategy", &["range"], Taken::Togetherness),
    ];
    found.into_iter().flatten().collect()
}

fn configs<'a>(settings: &KafkaSettings, names: impl Iterator<Item = &'a str>, runtime: &Handle) -> Configs {
    let names: Vec<_> = names.collect();
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let admin: Result<AdminClient<errors::Quiet>, _> =
        settings.client(&[]).create_with_context(errors::Quiet::default());
    let options = AdminOptions::new().request_timeout(Some(LIMIT));
    let answer = admin.and_then(|admin| runtime.block_on(admin.describe_configs(&asked, &options)));
    match answer {
        Ok(found) => {
            let each = names.iter().zip(found).map(|(name, found)| {
                let found = found.map_err(|code| code.to_string());
                ((*name).to_owned(), found)
            });
            each.collect()
        }
        Err(error) => names.iter().map(|name| ((*name).to_owned(), Err(errors::words(&error)))).collect(),
    }
}

fn value<'a>(configs: &'a Configs, topic: &str, name: &str) -> Result<&'a str, String> {
    let config = configs.get(topic).ok_or("the topic is not there")?.as_ref()?;
    let value = config.get(name).and_then(|entry| entry.value.as_deref());
    value.ok_or_else(|| format!("the brokers do not tell {name}"))
}

fn keeping(configs: &Configs, topic: &str) -> Keeping {
    match value(configs, topic, "cleanup.policy") {
        Ok("compact") => Keeping::Newest,
        Ok(policy) => Keeping::Forgets(policy.to_owned()),
        Err(why) => Keeping::Unknown(why),
    }
}

/// The topic with the least copies decides for all, because a commit is written to all of them.
fn copies(replicas: &[(String, i32)], configs: &Configs) -> Copies {
    let each = replicas.iter().map(|(name, replicas)| {
        // Acknowledged is what all replicas in sync have, and so many are in sync at least.
        let least = value(configs, name, "min.insync.replicas").ok().and_then(|least| least.parse::<i32>().ok());
        (least.map(|least| least.min(*replicas)), *replicas, name)
    });
    // What cannot be told may be one.
    let least = each.min_by_key(|(sure, replicas, name)| {
        (sure.unwrap_or(1), *replicas, sure.is_none(), LEDGERS.contains(&name.as_str()))
    });
    match least {
        Some((sure, replicas, topic)) => Copies::Brokers { replicas, sure, topic: topic.clone() },
        None => Copies::Brokers { replicas: 0, sure: None, topic: "(none)".to_owned() },
    }
}

/// Whether a topic counts for how many copies there are.
pub(super) fn counts(settings: &KafkaSettings, name: &str) -> bool {
    settings.named(name).is_some() || LEDGERS.contains(&name)
}
