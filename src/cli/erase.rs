//! `auren erase`: destroys a person's data key and lets every role forget them.

use auren::{app::open_keys, erase::erase};
use auren_agents::UserId;

use super::{Context, Exit, context, open_bus};

const EXAMPLES: &str = "\
Examples:
  auren erase u-1 --yes
  auren --brokers 127.0.0.1:9092 erase u-1 --yes

It cannot be undone. From then on no token of the person opens, wherever a copy stands, and none is sealed for that id \
again. Every role forgets what it remembers of the person as soon as a node runs it. What is in the clear in Kafka \
(metadata, conversations, dead letters) stays until its topic's retention: SECURITY.md says what that is. The receipt \
is in system.events and in the audit.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Whom.
    #[arg(value_parser = context::user)]
    user: UserId,
    /// Yes, for good.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Args { user, yes } = args;
    anyhow::ensure!(yes, "erasing {user} cannot be undone; say --yes to do it");
    let bus = open_bus(&context.config).await?;
    let keys = open_keys(&context.config).await?;
    let receipt = erase(&keys, &*bus, &context.config.node.id, "auren erase", &user).await?;
    let key = receipt.detail.get("data_key").and_then(serde_json::Value::as_str).unwrap_or_default();
    context.console.line(format_args!("{user} is erased (data key: {key}); receipt {}", receipt.event_id))?;
    Ok(Exit::Done)
}
