//! The command line: what can be asked for, and which file answers. One file per command, each in the same four parts:
//! arguments, run, output, helpers.
//!
//! A command gets a [`Context`] (configuration, console, interrupt) and returns an [`Exit`], or the error that ended it.

mod agents;
mod audit;
mod bench;
mod config;
mod console;
mod context;
mod demo;
mod dlq;
mod doctor;
mod erase;
mod exit;
mod import;
mod input;
mod interrupt;
mod node;
mod phi;
mod project;
mod rules;
mod schema;
mod send;
mod serve;
mod ship;
mod simulate;
mod tail;
mod telemetry;
mod token;
mod topics;
mod verify;
mod why;

use std::path::PathBuf;

use auren::config::{BusKind, Config, Source};
use clap::{Parser, Subcommand};

pub(crate) use self::{
    console::Console,
    context::{Context, open_bus, open_topic},
    exit::{Exit, exit, let_clients_end, misconfigured, usage},
    interrupt::Interrupt,
    telemetry::telemetry,
};

const EXAMPLES: &str = "\
A first look, with no service installed (everything is kept under ./auren-data):
  auren demo
  auren simulate --users 3 --days 60
  auren tail health.readings --from -2 --until-end
  auren send message --user u-1 how did I sleep

The same on Kafka:
  auren --brokers 127.0.0.1:9092 topics create
  auren --brokers 127.0.0.1:9092 topics check

Configuration, later ones winning: defaults, auren.toml (or --config FILE), AUREN__SECTION__KEY in the \
environment, flags. `auren config print` shows all of it.

Exit codes: 0 done, 1 failed, 64 wrong arguments or configuration, 130 interrupted.";

/// AUREN: agents that talk with people about their health data, over Kafka.
#[derive(Debug, Parser)]
#[command(name = "auren", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Read the configuration from this file instead of auren.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one value, such as topics.partitions=3. Can be given more than once, and wins over file and environment.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Which bus: embedded (one file, no service) or kafka.
    #[arg(long, global = true, value_enum, hide_possible_values = true)]
    bus: Option<BusKind>,
    /// Kafka's host:port, comma-separated. Implies --bus kafka.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    brokers: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch invented wearers and their conversations, with no service installed.
    Demo(demo::Args),
    /// Run a node until it is told to stop.
    Serve(serve::Args),
    /// Look whether configuration, key, bus and topics are as they must be.
    Doctor(doctor::Args),
    /// Create, list and check the topics.
    #[command(subcommand)]
    Topics(topics::Args),
    /// Send events, readings and messages from a file or from standard input.
    #[command(subcommand)]
    Send(send::Args),
    /// Show the records of a topic, as they come.
    Tail(tail::Args),
    /// Look at records that nobody could use, and send them again.
    #[command(subcommand)]
    Dlq(dlq::Args),
    /// Erase a person: destroy their data key, and let every role forget them.
    Erase(erase::Args),
    /// Look at the audit: who did what with measured values and keys.
    #[command(subcommand)]
    Audit(audit::Args),
    /// Look after the keys, and print the token's test vectors.
    #[command(subcommand)]
    Phi(phi::Args),
    /// Make a token for somebody who chats, or for a program.
    Token(token::Args),
    /// Invent wearers and publish what their devices measure.
    Simulate(simulate::Args),
    /// Import the exports of wearables.
    #[command(subcommand)]
    Import(import::Args),
    /// Check, try, explain and push the rules that make triggers.
    #[command(subcommand)]
    Rules(rules::Args),
    /// Begin, list, try and evaluate agents.
    #[command(subcommand)]
    Agents(agents::Args),
    /// Write the JSON Schema of every record.
    #[command(subcommand)]
    Schema(schema::Args),
    /// Send numbered inputs through a running hub and judge what came of them.
    Verify(verify::Args),
    /// Say what an answer or a trigger rests on.
    Why(why::Args),
    /// Look at the history in PostgreSQL, compare it with the log, make it again.
    #[command(subcommand)]
    Project(project::Args),
    /// Measure how fast it is on this machine.
    #[command(subcommand)]
    Bench(bench::Args),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(config::Args),
}

impl Args {
    /// Where the configuration comes from, besides defaults and environment.
    pub(crate) fn source(&self) -> Source {
        let Global { config, set, bus, brokers } = &self.global;
        let mut overrides = set.clone();
        if let Some(brokers) = brokers {
            overrides.push(("kafka.brokers".to_owned(), brokers.clone()));
        }
        let bus = bus.or(brokers.is_some().then_some(BusKind::Kafka));
        if let Some(bus) = bus {
            let name = match bus {
                BusKind::Embedded => "embedded",
                BusKind::Kafka => "kafka",
            };
            overrides.push(("bus.kind".to_owned(), name.to_owned()));
        }
        if let Command::Serve(serve) = &self.command {
            overrides.extend(serve.overrides());
        }
        Source { file: config.clone(), overrides }
    }

    /// Whether it is a node that works until it is stopped. All others answer one question and log warnings only.
    fn is_node(&self) -> bool {
        match self.command {
            Command::Serve(_) => true,
            Command::Demo(_) | Command::Doctor(_) | Command::Topics(_) | Command::Send(_) => false,
            Command::Tail(_) | Command::Simulate(_) | Command::Bench(_) | Command::Dlq(_) => false,
            Command::Erase(_) | Command::Audit(_) | Command::Phi(_) => false,
            Command::Verify(_) | Command::Why(_) | Command::Project(_) | Command::Token(_) => false,
            Command::Agents(_) => false,
            Command::Import(_) | Command::Rules(_) | Command::Schema(_) | Command::Config(_) => false,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, config: Config) -> anyhow::Result<Exit> {
    let source = args.source();
    let is_node = args.is_node();
    let mut context = Context { config, console: Console::standard(), interrupt: Interrupt::listen()? };
    let overdue = context.interrupt.clone().overdue();
    let end = tokio::select! {
        // A node stops its parts in their order, and knows its own time limit.
        () = overdue, if !is_node => Ok(Exit::Interrupted),
        end = dispatch(args.command, &source, &mut context) => end,
    };
    // What was written before an error is shown too.
    context.console.finish().and(end)
}

async fn dispatch(command: Command, source: &Source, context: &mut Context) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(args, context).await,
        Command::Serve(_) => serve::run(context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Bench(args) => bench::run(args, context).await,
        Command::Why(args) => why::run(args, context).await,
        Command::Project(args) => project::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Dlq(args) => dlq::run(args, context).await,
        Command::Topics(args) => topics::run(args, context).await,
        Command::Send(args) => send::run(args, context).await,
        Command::Tail(args) => tail::run(args, context).await,
        Command::Erase(args) => erase::run(args, context).await,
        Command::Audit(args) => audit::run(args, context).await,
        Command::Phi(args) => phi::run(args, context).await,
        Command::Token(args) => token::run(&args, context),
        Command::Simulate(args) => simulate::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Rules(args) => rules::run(args, context).await,
        Command::Agents(args) => agents::run(args, context).await,
        Command::Schema(args) => schema::run(args, context),
        Command::Config(args) => config::run(args, source, context),
    }
}

/// `section.key=value`, as `--set` takes it.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("give it as section.key=value, such as topics.partitions=3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn source(line: &str) -> Source {
        Args::try_parse_from(line.split_whitespace()).unwrap().source()
    }

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_examples() {
        fn visit(command: &clap::Command) {
            let leaf = command.get_subcommands().next().is_none();
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(!leaf || text.contains("auren "), "{} has no examples", command.get_name());
            command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(visit);
        }
        Args::command().debug_assert();
        visit(&Args::command());
    }

    #[test]
    fn brokers_imply_kafka_unless_a_bus_is_named() {
        let of = |line| {
            let overrides = source(line).overrides;
            overrides.iter().find(|(key, _)| key == "bus.kind").map(|(_, value)| value.clone())
        };
        assert_eq!(of("auren config check --brokers a:1").as_deref(), Some("kafka"));
        assert_eq!(of("auren --brokers a:1 --bus embedded config check").as_deref(), Some("embedded"));
        assert_eq!(of("auren config check"), None);
        assert!(Args::try_parse_from(["auren", "config", "check", "--set", "partitions"]).is_err());
    }
}
