//! `auren config`: what the configuration is, and whether it is good.

use anyhow::Context as _;
use auren::config::{BusKind, Config, Origin, Source, explain};
use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit};

const PRINT_EXAMPLES: &str = "\
Examples:
  auren config print > auren.toml
  auren config print --json | jq .kafka
  AUREN__TOPICS__PARTITIONS=3 auren config print

Secrets are shown as (hidden): write them in again, or set them in the environment (AUREN__PHI__MASTER_KEY).";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  auren config explain kafka
  auren --config production.toml config explain --json | jq -r 'select(.from != \"default\")'

A value comes from the default, from a file, from a variable of the environment or from a flag, and a later one of these wins.";

const CHECK_EXAMPLES: &str = "\
Examples:
  auren config check
  auren --config production.toml config check

No connection is opened; `auren topics check` opens one. Where a value is wrong it is named, and the exit code is not 0.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Print every value that is in force.
    #[command(after_help = PRINT_EXAMPLES)]
    Print {
        /// As TOML; so it is where nothing is said.
        #[arg(long, conflicts_with = "json")]
        toml: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say where each value comes from.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain {
        /// Only keys that begin like this, such as kafka or kafka.brokers.
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Check that every value is one that it can be.
    #[command(after_help = CHECK_EXAMPLES)]
    Check,
}

pub(super) fn run(args: Args, source: &Source, context: &mut Context) -> anyhow::Result<Exit> {
    // Whatever is wrong has ended the process before.
    match args {
        Args::Print { json: true, .. } => {
            let text = serde_json::to_string_pretty(&context.config).context("the configuration as JSON")?;
            context.console.line(text)?;
        }
        Args::Print { .. } => {
            let text = toml::to_string_pretty(&context.config).context("the configuration as TOML")?;
            context.console.text(&text)?;
        }
        Args::Explain { key, json } => {
            let begins = |of: &str| key.as_deref().is_none_or(|key| of.starts_with(key));
            for one in explain(source)?.into_iter().filter(|one| begins(&one.key)) {
                let from = match &one.origin {
                    Origin::Default => "default".to_owned(),
                    Origin::File(file) => format!("file {}", file.display()),
                    Origin::Environment(variable) => format!("environment {variable}"),
                    Origin::Flag => "flag".to_owned(),
                };
                if json {
                    context.console.json(&json!({ "key": one.key, "value": one.value, "from": from }))?;
                } else {
                    context.console.line(format_args!("{} = {}  ({from})", one.key, one.value))?;
                }
            }
        }
        Args::Check => {
            auren::app::check_master(&context.config)?;
            context.console.line(format_args!("{} is good: {}", place(source), essence(&context.config)))?;
        }
    }
    Ok(Exit::Done)
}

fn place(source: &Source) -> String {
    source.file.as_ref().map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string())
}

/// What one wants to see before starting.
fn essence(config: &Config) -> String {
    let bus = match config.bus.kind {
        BusKind::Embedded => format!("embedded bus in {}", config.embedded.file.display()),
        BusKind::Kafka => format!("kafka at {}", config.kafka.brokers),
    };
    let key = match &config.phi.master_key {
        Some(_) => "its master key set".to_owned(),
        None => format!("its master key in {}", config.phi.key_file.display()),
    };
    let roles: Vec<_> = config.node.roles.iter().map(|role| role.name()).collect();
    format!("node {} with {}; {bus}; {key}", config.node.id, roles.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::tests::bench;

    #[test]
    fn what_is_printed_can_be_read_again_and_hides_secrets() {
        let mut bench = bench();
        run(Args::Print { toml: true, json: false }, &Source::default(), &mut bench.context).unwrap();
        let file = bench.folder.path().join("auren.toml");
        std::fs::write(&file, bench.captured.out()).unwrap();
        let source = Source { file: Some(file), overrides: Vec::new() };
        assert_eq!(auren::config::load(&source).unwrap(), bench.context.config);

        bench.context.config.phi.master_key = Some("c2VjcmV0".to_owned().into());
        for json in [true, false] {
            run(Args::Print { toml: false, json }, &source, &mut bench.context).unwrap();
            let out = bench.captured.out();
            assert!(out.contains("(hidden)") && !out.contains("c2VjcmV0"), "{out}");
        }
        let error = run(Args::Check, &source, &mut bench.context).unwrap_err().to_string();
        assert!(error.starts_with("configuration: phi.master_key cannot be used"), "{error}");
        bench.context.config.phi.master_key = None;
        run(Args::Check, &source, &mut bench.context).unwrap();
        assert!(bench.captured.out().contains("auren.toml is good: node node-1 with enrich, detect, converse"));
    }
}
