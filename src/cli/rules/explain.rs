//! `auren rules explain`: why rules spoke at a person's event, or why not.

use std::path::PathBuf;

use auren::rehearsal::rehearse;
use auren_agents::{BiometricEvent, Timestamp, TriggerEvent, UserId};

use super::{Context, Exit, compiled, past::PastArgs, texts};
use crate::cli::context;

const EXAMPLES: &str = "\
Examples:
  auren rules explain --user u-1 --at 2021-09-14T12:00:00Z nights.csv
  auren rules explain --user u-1 --rule short_nights_in_a_row
                            takes what is in health.biometrics, up to its end

The person's past up to that moment is judged anew by the rules, which gives what was said live.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Whose events.
    #[arg(long, value_name = "USER", value_parser = context::user)]
    user: UserId,
    /// Up to when [default: to the end]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Only this rule.
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Files and folders of rules [default: those that AUREN ships]
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    past: PastArgs,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Some(rules) = compiled(&texts(&args.rules)?, &mut context.console)? else { return Ok(Exit::Failed) };
    if let Some(id) = &args.rule {
        let known = rules.in_force().iter().map(|known| known.rule.id.as_str()).collect::<Vec<_>>().join(", ");
        anyhow::ensure!(rules.named(id).is_some(), "there is no rule {id}; there are {known}");
    }
    let past = args.past.read(Some(&args.user), context).await?;
    let until = args.at.as_ref().map(Timestamp::millis);
    let before = |(event, _): &(&BiometricEvent, i64)| until.is_none_or(|until| event.timestamp.millis() <= until);
    let done = rehearse(&rules, past.events().filter(before), until);
    let Some(memory) = done.memories.get(&args.user) else {
        anyhow::bail!("nothing of {} is in this past up to then", args.user);
    };
    let console = &mut context.console;
    let wanted = |id: &str| args.rule.as_ref().is_none_or(|rule| rule == id);
    for known in rules.in_force().iter().filter(|known| wanted(&known.rule.id)) {
        let Some(explained) = rules.explain(memory, &known.rule.id) else { continue };
        let said = |trigger: &&TriggerEvent| explained.at == Some(trigger.timestamp.millis()) && known.said(trigger);
        let spoke = done.triggers.iter().rev().find(said);
        match spoke {
            Some(trigger) => {
                console.line(format_args!("{} v{} spoke: {}", known.rule.id, known.rule.version, &*trigger.message))?;
            }
            None => console.line(format_args!("{} v{} said nothing.", known.rule.id, known.rule.version))?,
        }
        console.line(format_args!("  {}", explained.text))?;
    }
    Ok(Exit::Done)
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| "give it as 2024-01-31T12:00:00Z, with an offset".to_owned())
}
