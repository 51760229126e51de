//! `auren rules lint`: everything that is wrong with rules, at once, with its place and what to do.

use std::path::PathBuf;

use auren::detect::Rules;

use super::{Context, Exit, texts};

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
    let texts = texts(&args.files)?;
    match Rules::compile(&texts) {
        Ok(rules) => {
            let count = rules.in_force().len();
            context.console.line(format_args!("{count} rules, nothing wrong"))?;
            Ok(Exit::Done)
        }
        Err(problems) => {
            for problem in &problems {
                context.console.line(problem)?;
            }
            Ok(Exit::Failed)
        }
    }
}
