//! `auren rules push`: puts a rule in force on every node, or only counts what it finds.

use std::path::PathBuf;

use auren::{
    bus::Topic,
    detect::{Feed, Mode, Rule, pushing, shipped, try_rule, with_folder},
};
use clap::ArgGroup;

use super::{Context, Exit, compiled, text};
use crate::cli::open_topic;

const EXAMPLES: &str = "\
Examples:
  auren rules push my-rule.yaml --shadow    counts what it would say, in the logs of detect
  auren rules push my-rule.yaml
  auren rules push --off hrv_week_below_baseline
  auren rules push --take-back my_rule      what was shipped under this id is in force again

The rule is checked and its own tests are run first. Nodes take it over between two events.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).args(["file", "off", "take_back"]))]
// The group that clap makes of all arguments would let --shadow stand for a file.
#[group(skip)]
pub(in crate::cli) struct Args {
    /// The rule.
    file: Option<PathBuf>,
    /// Only count what it finds.
    #[arg(long, requires = "file", conflicts_with_all = ["off", "take_back"])]
    shadow: bool,
    /// Put the rule of this id out of force.
    #[arg(long, value_name = "ID")]
    off: Option<String>,
    /// Take back what was pushed under this id.
    #[arg(long, value_name = "ID")]
    take_back: Option<String>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = open_topic(&context.config, Topic::Rules).await?;
    let (id, record, what) = match (&args.file, args.off, args.take_back) {
        (Some(file), ..) => {
            let written = text(file)?;
            // Alone first, so that what is wrong is told with the file's own name.
            if compiled(std::slice::from_ref(&written), &mut context.console)?.is_none() {
                return Ok(Exit::Failed);
            }
            let failed: Vec<_> =
                try_rule(&written).unwrap_or_default().into_iter().filter(|trial| trial.wrong.is_some()).collect();
            for trial in &failed {
                context.console.line(format_args!("{}: {}", trial.test, trial.wrong.as_deref().unwrap_or_default()))?;
            }
            anyhow::ensure!(failed.is_empty(), "its own tests fail; nothing was pushed");
            let rule = Rule::parse(&written.file, &written.text)?;
            let (id, version) = (rule.id.value, rule.version.value);
            let feed = Feed::read(&bus, with_folder(shipped(), context.config.detect.folder())?).await?;
            if let Some((known, text)) = feed.named(&id) {
                anyhow::ensure!(
                    version > known || text == written.text,
                    "version {known} of {id} is in force; give yours a higher one than that"
                );
            }
            if let Some(problem) = feed.refused(&id, &written) {
                anyhow::bail!("nodes would refuse it: {problem}");
            }
            let mode = if args.shadow { Mode::Shadow } else { Mode::Live };
            let record = pushing(&id, Some(&written.text), mode);
            (id, record, format!("version {version} is pushed ({})", mode.name()))
        }
        (None, Some(id), _) => {
            let record = pushing(&id, Some("off"), Mode::Off);
            (id, record, "is out of force".to_owned())
        }
        (None, None, id) => {
            let id = id.unwrap_or_default();
            let record = pushing(&id, None, Mode::Live);
            (id, record, "is as it was shipped".to_owned())
        }
    };
    bus.publish_all(vec![record]).await?;
    context.console.line(format_args!("{id}: {what}"))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Push {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_rule_is_pushed_in_the_shadow_too_and_one_thing_is_done_at_a_time() {
        for (given, fits) in [
            (&["push", "r.yaml"][..], true),
            (&["push", "r.yaml", "--shadow"], true),
            (&["push", "--off", "r"], true),
            (&["push", "--take-back", "r"], true),
            (&["push"], false),
            (&["push", "--shadow"], false),
            (&["push", "--off", "r", "--shadow"], false),
            (&["push", "r.yaml", "--off", "r"], false),
            (&["push", "--off", "r", "--take-back", "r"], false),
        ] {
            assert_eq!(Push::try_parse_from(given).is_ok(), fits, "{given:?}");
        }
    }
}
