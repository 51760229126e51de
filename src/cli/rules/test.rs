//! `auren rules test`: the tests that stand in rules.

use std::path::PathBuf;

use auren::detect::try_rule;

use super::{Context, Exit, texts};

const EXAMPLES: &str = "\
Examples:
  auren rules test my-rule.yaml
  auren rules test          runs the tests of the rules that AUREN ships

A test is days as data and the days, counted from 0, on which the rule speaks. Exits with 1 if one fails.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Files and folders of rules.
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let (mut passed, mut failed) = (0, 0);
    for text in texts(&args.files)? {
        match try_rule(&text) {
            Ok(trials) => {
                for trial in trials {
                    match &trial.wrong {
                        None => passed += 1,
                        Some(wrong) => {
                            failed += 1;
                            context.console.line(format_args!("{}: {}: {wrong}", trial.rule, trial.test))?;
                        }
                    }
                }
            }
            Err(problems) => {
                failed += 1;
                for problem in &problems {
                    context.console.line(problem)?;
                }
            }
        }
    }
    context.console.line(format_args!("{passed} passed, {failed} failed"))?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
