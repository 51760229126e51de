//! `auren rules backtest`: what rules would have said in a past.

use std::path::PathBuf;

use auren::{
    detect::Rules,
    rehearsal::{Rehearsed, rehearse},
};

use super::{
    Context, Exit, chart, compiled,
    labels::{self, Day, Label, Naive, Score},
    past::{Past, PastArgs},
    texts,
};
use crate::cli::console::Console;

const EXAMPLES: &str = "\
Examples:
  auren rules backtest nights.csv
  auren rules backtest nights.csv --rules my-rule.yaml --chart alerts.svg
  auren simulate --users 100 --days 120 --out past.ndjson --labels episodes.ndjson
  auren rules backtest past.ndjson --labels episodes.ndjson
  auren rules backtest      takes what is in health.biometrics

The past goes through enrich and detect as it would live, in this process; nothing is published. With labels, an alert \
is right if it falls into an episode that its trigger type could tell of, or within three days after it.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    past: PastArgs,
    /// Files and folders of rules [default: those that AUREN ships]
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// What really happened, as `auren simulate --labels` writes it.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Draw the alerts into this SVG file.
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// Print one JSON object a trigger instead of the table.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Some(rules) = compiled(&texts(&args.rules)?, &mut context.console)? else { return Ok(Exit::Failed) };
    let past = args.past.read(None, context).await?;
    anyhow::ensure!(!past.events.is_empty(), "there is nothing in this past that rules could be tried on");
    let done = rehearse(&rules, past.events(), None);
    let labels = match &args.labels {
        Some(file) => Some(labels::read(file).await?),
        None => None,
    };
    if let Some(file) = &args.chart {
        chart::draw(file, &rules, &done)?;
        context.console.note(format_args!("the chart is in {}", file.display()));
    }
    if args.json {
        for trigger in &done.triggers {
            context.console.json(trigger)?;
        }
        return Ok(Exit::Done);
    }
    show(&rules, &past, &done, labels.as_deref(), &mut context.console)?;
    Ok(Exit::Done)
}

fn show(
    rules: &Rules,
    past: &Past,
    done: &Rehearsed,
    labels: Option<&[Label]>,
    console: &mut Console,
) -> anyhow::Result<()> {
    let weeks = done.user_weeks();
    console.line(format_args!(
        "{} events of {} people over {weeks:.0} user-weeks; {} out of order, {} not usable",
        past.events.len(),
        done.people.len(),
        rules.late(),
        past.unusable
    ))?;
    console.line("")?;
    let naive = Naive::of(&past.rows);
    let scores = if labels.is_some() { "  precision  recall   naive at this rate  of" } else { "" };
    console.line(format_args!("{:<34} {:>6} {:>6} {:>10}{scores}", "rule", "alerts", "people", "a user-week"))?;
    for known in rules.in_force() {
        let alerts: Vec<Day> = done.triggers.iter().filter(|trigger| known.said(trigger)).map(labels::day).collect();
        let kinds = labels::kinds(known.rule.trigger.as_str());
        let name = format!("{} v{}", known.rule.id, known.rule.version);
        let scores = labels.map(|labels| {
            let same = naive.strongest(alerts.len());
            beside(labels::score(&alerts, labels, kinds), labels::score(&same, labels, kinds), kinds)
        });
        line(&name, &alerts, weeks, scores.as_deref().unwrap_or_default(), console)?;
    }
    if naive.nights() == 0 {
        return Ok(());
    }
    let all = naive.below(0.25);
    let kinds = labels::kinds("hrv_drop");
    let scores = labels.map(|labels| beside(labels::score(&all, labels, kinds), None, kinds));
    line("naive: one night 25 % below", &all, weeks, scores.as_deref().unwrap_or_default(), console)?;
    console.line("")?;
    #[expect(clippy::cast_precision_loss, reason = "some thousands of nights")]
    let share = all.len() as f64 / naive.nights() as f64 * 100.0;
    console.line(format_args!(
        "naive: an rMSSD that far below the mean of the six weeks before it; 25 % below, it speaks on {share:.1} % of {} nights",
        naive.nights()
    ))
}

/// Precision and recall of a rule, and of the naive rule at its rate.
fn beside(rule: Option<Score>, naive: Option<Score>, kinds: &[&str]) -> String {
    let percent = |score: Option<Score>| {
        score.map_or("        -       -".to_owned(), |score| {
            format!("{:>8.0}%  {:>5.0}%", score.precision * 100.0, score.recall * 100.0)
        })
    };
    let of = if kinds.is_empty() { "nothing labelled".to_owned() } else { kinds.join(", ") };
    format!("  {}    {}  {of}", percent(rule), percent(naive))
}

#[expect(clippy::cast_precision_loss, reason = "some thousands of alerts")]
fn line(name: &str, alerts: &[Day], weeks: f64, scores: &str, console: &mut Console) -> anyhow::Result<()> {
    let mut people: Vec<_> = alerts.iter().map(|(user, _)| user).collect();
    people.sort_unstable();
    people.dedup();
    let rate = alerts.len() as f64 / weeks.max(f64::MIN_POSITIVE);
    console.line(format_args!("{name:<34} {:>6} {:>6} {rate:>11.3}{scores}", alerts.len(), people.len()))
}
