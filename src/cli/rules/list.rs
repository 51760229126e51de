//! `auren rules list`: the rules that are in force.

use std::path::PathBuf;

use auren::detect::{Feed, RuleText, Rules, shipped, with_folder};
use serde_json::json;

use super::{Context, Exit, compiled, texts};
use crate::cli::open_bus;

const EXAMPLES: &str = "\
Examples:
  auren rules list
  auren rules list --shipped
  auren rules list --json | jq -r .source

What is in force: the rules that AUREN ships, those of the folder detect.rules_folder, and those pushed.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Only the rules that AUREN ships; asks no bus.
    #[arg(long)]
    shipped: bool,
    /// Print one JSON object a rule.
    #[arg(long)]
    json: bool,
    /// Files and folders of rules instead of those in force.
    files: Vec<PathBuf>,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let texts: Vec<RuleText> = if args.shipped || !args.files.is_empty() {
        texts(&args.files)?
    } else {
        let bus = open_bus(&context.config).await?;
        let base = with_folder(shipped(), context.config.detect.folder())?;
        Feed::read(&bus, base).await?.texts()
    };
    let Some(rules) = compiled(&texts, &mut context.console)? else { return Ok(Exit::Failed) };
    show(&rules, args.json, context)?;
    Ok(Exit::Done)
}

fn show(rules: &Rules, as_json: bool, context: &mut Context) -> anyhow::Result<()> {
    for known in rules.in_force() {
        let rule = &known.rule;
        if as_json {
            context.console.json(&json!({
                "id": rule.id, "version": rule.version, "owner": rule.owner, "title": rule.title, "source": rule.source,
                "trigger": rule.trigger.as_str(), "shadow": known.shadow,
            }))?;
        } else {
            let shadow = if known.shadow { " (shadow)" } else { "" };
            let name = format!("{} v{}{shadow}", rule.id, rule.version);
            context.console.line(format_args!("{name:<34} {:<22} {}", rule.trigger.as_str(), rule.title))?;
        }
    }
    Ok(())
}
