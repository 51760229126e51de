//! `auren rules lint`: everything that is wrong with rules, at once, with its place and what to do.

use std::path::PathBuf;

use super::{Context, Exit, compiled, texts};

const EXAMPLES: &str = "\
Examples:
  auren rules lint my-rule.yaml
  auren rules lint config/rules
  auren rules lint          checks the rules that AUREN ships

Each problem is one line, file:line:column: what (what to do). Exits with 1 if there is any.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Files and folders of rules.
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Some(rules) = compiled(&texts(&args.files)?, &mut context.console)? else { return Ok(Exit::Failed) };
    context.console.line(format_args!("{} rules, nothing wrong", rules.in_force().len()))?;
    Ok(Exit::Done)
}
