//! `auren doctor`: whether this node's configuration, bus, topics and key are as they must be, a line each.

mod clock;
mod history;
mod ready;
mod rights;
mod server;

use auren::{
    app::connect,
    bus::{BusError, Read, ReadFrom, ReadUntil, SharedBus, Topic},
    client::{TopicManager, TopicState},
    config::{BusKind, Config, PrivacyProfile, Role},
    guarantee::{Condition, InForce, Level},
    inspect::lag::{self, GroupSeen},
};
use serde::Serialize;

use self::clock::Clocks;
use super::{Context, Exit};

/// Dead letters are counted up to here.
const COUNT_MAX: usize = 10_000;

const EXAMPLES: &str = "\
Examples:
  auren doctor
  auren --brokers 127.0.0.1:9092 doctor --json | jq -r 'select(.state != \"good\")'
  auren doctor --ready && echo healthy                only whether the node that runs here is ready (/readyz)

Each line says what was looked at, how it is, and where it is not good what to do. Exits with 1 where anything is \
bad. `behind` counts offsets; on Kafka the markers of transactions are among them, so an idle hub may show a few.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Print nothing; the exit code says it.
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Ask nothing but the node that runs here, at http.address, whether it is ready.
    #[arg(long, conflicts_with = "json")]
    ready: bool,
}

/// What was looked at, and how it is.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    state: State,
    found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    /// It works, and somebody should know.
    Note,
    Bad,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    if args.ready {
        return ready::run(args.quiet, context).await;
    }
    let findings = examine(&context.config).await;
    for finding in findings.iter().filter(|_| !args.quiet) {
        if args.json {
            context.console.json(finding)?;
        } else {
            let state = match finding.state {
                State::Good => "good",
                State::Note => "note",
                State::Bad => "bad",
            };
            context.console.line(format_args!("{state:<5} {:<24} {}", finding.check, finding.found))?;
        }
    }
    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

async fn examine(config: &Config) -> Vec<Finding> {
    let roles: Vec<_> = config.node.roles.iter().map(|role| role.name()).collect();
    let mut findings = vec![good("node", format!("{}, runs {}", config.node.id, roles.join(", ")))];
    let keys = key(config).await;
    // A node that neither enriches nor may be called works without.
    let stays = keys.state != State::Bad || config.needs_keys();
    findings.push(if stays { keys } else { Finding { state: State::Note, ..keys } });
    findings.push(match config.phi.profile {
        PrivacyProfile::Coarse => {
            good("privacy profile", "coarse: metadata tells steps, and no mean or deviation".into())
        }
        PrivacyProfile::Exact => note(
            "privacy profile",
            "exact: rank, mean and deviation give the sealed values away (SECURITY.md says how closely); only for \
             consumers who need them"
                .into(),
        ),
    });
    if config.bus.kind == BusKind::Kafka {
        findings.push(in_earnest(config));
    }
    findings.extend(server::server(config).await);
    let mut clocks = Clocks::default();
    let redis = redis(config, &mut clocks).await;
    let answers = redis.as_ref().map(|finding| finding.state != State::Bad);
    findings.extend(redis);
    if config.bus.kind == BusKind::Embedded && !config.embedded.file.exists() {
        let file = config.embedded.file.display();
        findings
            .push(note("bus", format!("embedded {file} does not exist yet; the first command that writes makes it")));
    } else if let Err(error) = bus(config, answers, &mut findings, &mut clocks).await {
        findings.push(bad("bus", error.to_string()));
    }
    findings.extend(clocks.findings());
    findings
}

/// Whether anybody could listen, and what else is only good for trying.
fn in_earnest(config: &Config) -> Finding {
    let faults = auren::config::faults(config);
    if faults.is_empty() {
        return good("in earnest", "every connection is encrypted, and no key is a toy".into());
    }
    let keys = faults.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(", ");
    note(
        "in earnest",
        format!("node.profile = \"prod\" would refuse {keys}; `auren --set node.profile=prod config check` says why"),
    )
}

/// The Redis that mirrors states; none where there is to be none.
async fn redis(config: &Config, clocks: &mut Clocks) -> Option<Finding> {
    let settings = match auren::app::snapshots(config) {
        Ok(settings) => settings?,
        Err(error) => return Some(bad("redis", error.to_string())),
    };
    let asked = std::time::Instant::now();
    Some(match settings.ask().await {
        Ok((found, time_ms)) => {
            clocks.told("Redis", asked, time_ms);
            let place = settings.place();
            good("redis", format!("{found}, at {place}; holds the states of sessions that are not at work"))
        }
        Err(error) => bad(
            "redis",
            format!(
                "{error}; it should be at {}, and nodes keep all states in memory until it answers",
                settings.place()
            ),
        ),
    })
}

async fn key(config: &Config) -> Finding {
    let phi = &config.phi;
    let own = phi.makes_its_key();
    if own && !phi.key_file.exists() {
        let file = phi.key_file.display();
        return note("keys", format!("{file} does not exist yet; the first node or command that seals makes it"));
    }
    match auren::app::open_keys(config).await {
        Err(error) => bad("keys", error.to_string()),
        Ok(keys) => match keys.primary().await {
            Err(error) => bad("keys", error.to_string()),
            Ok(version) => match others_read(&phi.key_file).filter(|_| own) {
                Some(mode) => note(
                    "keys",
                    format!("{} can be read by others (mode {mode:o}); run chmod 600 on it", phi.key_file.display()),
                ),
                None => good("keys", format!("{}, version {version}", keys.describe())),
            },
        },
    }
}

/// The file's mode, where others than its owner may read it.
fn others_read(file: &std::path::Path) -> Option<u32> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).ok()?.permissions()) & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

async fn bus(
    config: &Config,
    snapshots: Option<bool>,
    findings: &mut Vec<Finding>,
    clocks: &mut Clocks,
) -> Result<(), BusError> {
    let bus = connect(config).await?;
    let report = TopicManager::new(bus.clone()).with(config.agents.topics()).check(None).await;
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            findings.push(bad("bus", error.to_string()));
            return Ok(());
        }
    };
    findings.push(good("bus", format!("{} answers", bus.describe())));
    let wrong: Vec<_> = report.topics.iter().filter(|topic| topic.state != TopicState::Good).collect();
    if wrong.is_empty() {
        let count = report.partitions;
        findings.push(good(
            "topics",
            format!(
                "{} topics of {count} partitions each: a person is in one and the same of all",
                report.topics.len()
            ),
        ));
    } else {
        let names = wrong.iter().map(|topic| topic.topic.name()).collect::<Vec<_>>().join(", ");
        findings.push(bad(
            "topics",
            format!(
                "missing, or of another partition count: {names}; see `auren topics check`, then `auren topics create`"
            ),
        ));
        return Ok(());
    }
    let facts = bus.facts().await?;
    for role in Role::ON_LANES {
        let force = InForce::of(*role, &facts, Condition { restoring: 0, snapshots });
        let check = format!("guarantee of {}", role.name());
        let finding = if force.level == Level::ExactlyOnce { good } else { bad };
        findings.push(finding(check, force.to_string()));
    }
    for role in Role::ON_LANES {
        findings.push(group(&bus, *role).await.unwrap_or_else(|error| {
            // Another role's group may be another user's.
            let finding = if config.node.roles.contains(role) { bad } else { note };
            finding(format!("group {}", role.group()), error.to_string())
        }));
    }
    if config.bus.kind == BusKind::Kafka {
        findings.push(rights::rights(config, &bus).await);
    }
    findings.extend(history::history(config, &bus, clocks).await);
    findings.push(dead_letters(&bus).await.unwrap_or_else(|error| note("dead letters", error.to_string())));
    Ok(())
}

async fn group(bus: &SharedBus, role: Role) -> Result<Finding, BusError> {
    let GroupSeen { begun, behind, .. } = lag::group(bus, role).await?;
    let check = format!("group {}", role.group());
    Ok(if begun || behind == 0 {
        good(check, format!("{behind} behind"))
    } else {
        note(
            check,
            format!("has never committed, {behind} are waiting; is a node with the role {} running?", role.name()),
        )
    })
}

async fn dead_letters(bus: &SharedBus) -> Result<Finding, BusError> {
    let mut counts = Vec::new();
    for topic in Topic::ALL.iter().filter_map(|topic| topic.dead_letters()) {
        if bus.watermarks(topic).await?.values().all(|(low, high)| low == high) {
            continue;
        }
        // Offsets would count Kafka's markers too.
        let read = Read { topic, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End };
        let (mut records, mut count) = (bus.read(read), 0);
        while count < COUNT_MAX
            && let Some(batch) = records.recv().await
        {
            count += batch?.len();
        }
        match count {
            0 => {}
            few if few < COUNT_MAX => counts.push(format!("{few} in {topic}")),
            _ => counts.push(format!("{COUNT_MAX} or more in {topic}")),
        }
    }
    Ok(if counts.is_empty() {
        good("dead letters", "none".into())
    } else {
        let found = format!("{}; look at them with `auren dlq list`", counts.join(", "));
        note("dead letters", found)
    })
}

fn good(check: impl Into<String>, found: String) -> Finding {
    Finding { check: check.into(), state: State::Good, found }
}

fn note(check: impl Into<String>, found: String) -> Finding {
    Finding { check: check.into(), state: State::Note, found }
}

fn bad(check: impl Into<String>, found: String) -> Finding {
    Finding { check: check.into(), state: State::Bad, found }
}
