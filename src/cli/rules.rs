//! `auren rules`: what makes triggers, tried before it is in force and explained after it has spoken.

mod backtest;
mod chart;
mod diff;
mod explain;
mod labels;
mod lint;
mod list;
mod past;
mod push;
mod test;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use auren::detect::{RuleText, Rules, in_folder, shipped};
use clap::Subcommand;

use super::{Context, Exit, console::Console};

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Check rules: names, types, units and bounds.
    Lint(lint::Args),
    /// Run the tests that stand in rules.
    Test(test::Args),
    /// Show what rules would have said in a past.
    Backtest(backtest::Args),
    /// Show what two versions of a rule say differently of the same past.
    Diff(diff::Args),
    /// Explain why rules spoke at a person's event, or why not.
    Explain(explain::Args),
    /// Put a rule in force, or only count what it finds.
    Push(push::Args),
    /// List the rules that are in force.
    List(list::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args {
        Args::Lint(args) => lint::run(&args, context),
        Args::Test(args) => test::run(&args, context),
        Args::Backtest(args) => backtest::run(args, context).await,
        Args::Diff(args) => diff::run(args, context).await,
        Args::Explain(args) => explain::run(args, context).await,
        Args::Push(args) => push::run(args, context).await,
        Args::List(args) => list::run(&args, context).await,
    }
}

/// The rules of files and folders; the shipped ones where none is named.
fn texts(files: &[PathBuf]) -> anyhow::Result<Vec<RuleText>> {
    if files.is_empty() {
        return Ok(shipped());
    }
    let mut texts = Vec::new();
    for file in files {
        if file.is_dir() {
            let found = in_folder(file)?;
            anyhow::ensure!(!found.is_empty(), "{} holds no rule (*.yaml)", file.display());
            texts.extend(found);
        } else {
            texts.push(text(file)?);
        }
    }
    Ok(texts)
}

fn text(file: &Path) -> anyhow::Result<RuleText> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(RuleText { file: file.display().to_string(), text, shadow: false })
}

/// The compiled rules, or none where something is wrong with one, which is then shown.
fn compiled(texts: &[RuleText], console: &mut Console) -> anyhow::Result<Option<Rules>> {
    match Rules::compile(texts) {
        Ok(rules) => Ok(Some(rules)),
        Err(problems) => {
            for problem in &problems {
                console.line(problem)?;
            }
            Ok(None)
        }
    }
}
