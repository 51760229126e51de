//! `auren rules diff`: what two versions of a rule say differently of the same past.

use std::path::PathBuf;

use auren::{detect::RuleText, rehearsal::rehearse};

use super::{
    Context, Exit, compiled,
    labels::{self, Day},
    past::{Past, PastArgs},
    text,
};

/// Most alerts that are listed; the rest are counted.
const SHOWN_MAX: usize = 20;

const EXAMPLES: &str = "\
Examples:
  auren rules diff old.yaml new.yaml nights.csv
  auren rules diff old.yaml new.yaml    takes what is in health.biometrics

Alerts are the same where both versions speak of a person on the same local day.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// The rule as it is.
    old: PathBuf,
    /// The rule as it might become.
    new: PathBuf,
    #[command(flatten)]
    past: PastArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let past = args.past.read(None, context).await?;
    let Some(old) = alerts(&text(&args.old)?, &past, context)? else { return Ok(Exit::Failed) };
    let Some(new) = alerts(&text(&args.new)?, &past, context)? else { return Ok(Exit::Failed) };
    let gone: Vec<_> = old.iter().filter(|day| !new.contains(day)).collect();
    let come: Vec<_> = new.iter().filter(|day| !old.contains(day)).collect();
    let console = &mut context.console;
    console.line(format_args!(
        "{} alerts before, {} after: {} the same, {} no more, {} new",
        old.len(),
        new.len(),
        old.len() - gone.len(),
        gone.len(),
        come.len()
    ))?;
    for (sign, days) in [("-", gone), ("+", come)] {
        for (user, day) in days.iter().take(SHOWN_MAX) {
            console.line(format_args!("{sign} {day} {user}"))?;
        }
        if days.len() > SHOWN_MAX {
            console.line(format_args!("{sign} and {} more", days.len() - SHOWN_MAX))?;
        }
    }
    Ok(Exit::Done)
}

fn alerts(text: &RuleText, past: &Past, context: &mut Context) -> anyhow::Result<Option<Vec<Day>>> {
    let Some(rules) = compiled(std::slice::from_ref(text), &mut context.console)? else { return Ok(None) };
    Ok(Some(rehearse(&rules, past.events(), None).triggers.iter().map(labels::day).collect()))
}
