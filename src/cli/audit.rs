//! `auren audit`: shows the audit, signs it, and looks whether it is whole.

use auren::app::{open_keys, sign_audit, signed_audits};
use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, open_bus};

/// Entries that are read together.
const PAGE: i64 = 500;

const VERIFY_EXAMPLES: &str = "\
Examples:
  auren audit verify
  auren --brokers 127.0.0.1:9092 audit verify

The chain is recomputed and held against every checkpoint, those in the keyring and those in system.events. Edits, \
deletions, reordering and a cut-off end are told; exits with 1 where there is one. Entries behind the last checkpoint \
could be cut off without a trace: how many there are is told too.";

const SHOW_EXAMPLES: &str = "\
Examples:
  auren audit show
  auren audit show --after 1200 | jq -c 'select(.act.deed == \"detokenise\")'";

const SIGN_EXAMPLES: &str = "\
Examples:
  auren audit sign

A node with keys does it every minute by itself.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Look whether the audit is whole.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify,
    /// Print the entries, one JSON object a line.
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Only those behind this one.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: i64,
    },
    /// Sign the audit now, and tell it on system.events.
    #[command(after_help = SIGN_EXAMPLES)]
    Sign,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let keys = open_keys(&context.config).await?;
    match args {
        Args::Verify => {
            let bus = open_bus(&context.config).await?;
            let verdict = keys.verify(&signed_audits(&*bus).await?).await?;
            for flaw in &verdict.flaws {
                context.console.line(format_args!("bad   {flaw}"))?;
            }
            let entries = i64::try_from(verdict.entries).unwrap_or(i64::MAX);
            context.console.line(format_args!(
                "{entries} entries, {} checkpoints hold; {} entries stand behind the last of them",
                verdict.checkpoints,
                (entries - verdict.signed_to).max(0)
            ))?;
            Ok(if verdict.is_whole() { Exit::Done } else { Exit::Failed })
        }
        Args::Show { mut after } => {
            loop {
                let page = keys.store().entries(after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(Exit::Done) };
                after = last.seq;
                for entry in &page {
                    // What somebody put there that is no JSON is shown all the same.
                    let act = serde_json::from_str(&entry.body).unwrap_or(serde_json::Value::from(entry.body.clone()));
                    context.console.json(&json!({ "seq": entry.seq, "act": act }))?;
                }
            }
        }
        Args::Sign => {
            let bus = open_bus(&context.config).await?;
            let signed = sign_audit(&*bus, &keys, &context.config.node.id, 0).await?;
            context.console.line(format_args!("signed up to entry {signed}"))?;
            Ok(Exit::Done)
        }
    }
}
