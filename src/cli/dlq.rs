//! `auren dlq`: what nobody could use, why, and sending it again once the cause is mended.

use auren::{
    bus::{Cursor, ReadFrom, Topic},
    inspect::{
        letters::{self, Count, Counts, Wanted},
        written,
    },
    lane::DeadLetter,
};
use auren_agents::UserId;
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use serde_json::json;

use super::{Context, Exit, context, open_bus};

/// Records sent again in one call.
const CHUNK: usize = 500;

const LIST_EXAMPLES: &str = "\
Examples:
  auren dlq list
  auren dlq list triggers.detected --json | jq .class";

const SHOW_EXAMPLES: &str = "\
Examples:
  auren dlq show triggers.detected
  auren dlq show triggers.detected --class broken_json --max 3 --payload

Without --payload nothing of what a record holds is shown, so that a list of causes can be passed on.";

const REPLAY_EXAMPLES: &str = "\
Examples:
  auren dlq replay triggers.detected --class out_of_bounds            what would be sent again
  auren dlq replay triggers.detected --class out_of_bounds --yes      sends it

A record goes again to its topic, keyed as it was, with the header auren-replayed-from. Its dead letter stays. What was \
moved to its user's partition (class wrong_partition) has been worked and is never sent again. Mend the cause first: \
a record that still cannot be used becomes a dead letter once more.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Count dead letters by topic and class.
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Only those of this topic.
        #[arg(value_parser = topics())]
        topic: Option<Topic>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show dead letters and their causes.
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        #[command(flatten)]
        which: Which,
        /// Show what the records hold, too.
        #[arg(long)]
        payload: bool,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Send records again.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay {
        #[command(flatten)]
        which: Which,
        /// Really send them.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The topic that the records came from.
    #[arg(value_parser = topics())]
    topic: Topic,
    /// Only those of this class, such as broken_json. Can be given more than once.
    #[arg(long, value_name = "CLASS")]
    class: Vec<String>,
    /// Only this person's.
    #[arg(long, value_name = "USER", value_parser = context::user)]
    user: Option<UserId>,
    /// Only the one that stands here in the .dlq topic, as partition:offset.
    #[arg(long, value_name = "CURSOR")]
    at: Option<Cursor>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    max: Option<usize>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args {
        Args::List { topic, json } => list(topic, json, context).await,
        Args::Show { which, payload, json } => show(&which, payload, json, context).await,
        Args::Replay { which, yes } => replay(&which, yes, context).await,
    }
}

async fn list(topic: Option<Topic>, json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let topics = match topic {
        Some(topic) => vec![topic],
        None => letters::topics().collect(),
    };
    let mut none = true;
    for topic in topics {
        let mut counts = Counts::default();
        each(topic, context, |letter| counts.add(&letter)).await?;
        for counted in counts.all() {
            none = false;
            if json {
                context.console.json(&counted)?;
            } else {
                let Count { topic, class, group, count, newest } = counted;
                context.console.line(format_args!("{topic:<22} {class:<20} {count:>8}  newest {newest}  {group}"))?;
            }
        }
    }
    if none && !json {
        context.console.line("there are no dead letters")?;
    }
    Ok(Exit::Done)
}

async fn show(which: &Which, payload: bool, json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    for letter in which.letters(context).await? {
        let DeadLetter { cursor, stood, class, error, record, .. } = &letter;
        let key = record.key.as_deref().map(String::from_utf8_lossy);
        let held = record.payload.as_deref().filter(|_| payload).map(String::from_utf8_lossy);
        if json {
            context.console.json(&json!({
                "cursor": cursor.to_string(), "topic": letter.topic.name(), "stood": stood.to_string(), "key": key,
                "group": letter.group, "class": class, "error": error, "written": written(record.timestamp_ms),
                "payload": held,
            }))?;
            continue;
        }
        let key = key.unwrap_or("-".into());
        context
            .console
            .line(format_args!("{cursor}  {}  stood at {stood}  key {key}", written(record.timestamp_ms)))?;
        context.console.line(format_args!("    {class}: {error}"))?;
        if let Some(held) = held {
            context.console.line(format_args!("    {}", held.escape_debug()))?;
        }
    }
    Ok(Exit::Done)
}

async fn replay(which: &Which, yes: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let letters = which.letters(context).await?;
    let (again, left): (Vec<_>, Vec<_>) =
        letters.iter().map(|letter| (letter, letter.again())).partition(|(_, again)| again.is_some());
    if !left.is_empty() {
        let words = "are not sent again: they were moved and worked, or were too large to be kept";
        context.console.note(format_args!("{} {words}", left.len()));
    }
    if !yes {
        for (letter, _) in &again {
            context.console.line(format_args!("{}  {}: {}", letter.cursor, letter.class, letter.error))?;
        }
        let (count, topic) = (again.len(), which.topic);
        context.console.note(format_args!("{count} would be sent again to {topic}; --yes sends them"));
        return Ok(Exit::Done);
    }
    let bus = open_bus(&context.config).await?;
    let (mut sent, mut failed) = (0_usize, 0_usize);
    for chunk in again.chunks(CHUNK) {
        let answers = bus.publish(chunk.iter().filter_map(|(_, again)| again.clone()).collect()).await;
        for ((letter, _), answer) in chunk.iter().zip(answers) {
            match answer {
                Ok(cursor) => {
                    sent += 1;
                    context.console.line(format_args!("{} is at {cursor} in {}", letter.cursor, which.topic))?;
                }
                Err(error) => {
                    failed += 1;
                    context.console.note(format_args!("{}: {error}", letter.cursor));
                }
            }
        }
    }
    context.console.note(format_args!("{sent} sent again, {failed} failed"));
    Ok(if failed > 0 { Exit::Failed } else { Exit::Done })
}

impl Which {
    /// Those that are wanted, in the order in which they were written to each partition.
    async fn letters(&self, context: &mut Context) -> anyhow::Result<Vec<DeadLetter>> {
        let wanted = Wanted { class: self.class.clone(), user: self.user.clone(), at: self.at };
        let mut letters = Vec::new();
        each(self.topic, context, |letter| letters.extend(Some(letter).filter(|letter| wanted.is(letter)))).await?;
        letters.sort_by_key(|letter| letter.cursor);
        letters.truncate(self.max.unwrap_or(usize::MAX));
        Ok(letters)
    }
}

/// Every dead letter of a topic.
async fn each(topic: Topic, context: &mut Context, take: impl FnMut(DeadLetter)) -> anyhow::Result<()> {
    let bus = open_bus(&context.config).await?;
    let foreign = letters::each(&bus, topic, ReadFrom::Earliest, take).await?;
    if foreign > 0 {
        let words = "are no dead letters of AUREN and were passed over";
        context.console.note(format_args!("{foreign} records of the dead letters of {topic} {words}"));
    }
    Ok(())
}

fn topics() -> impl clap::builder::TypedValueParser<Value = Topic> {
    let names = letters::topics().map(|topic| topic.name());
    PossibleValuesParser::new(names).map(|name| Topic::named(&name).expect("the parser takes no other names"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use auren::{
        app::connect,
        bus::{Outgoing, Read, ReadUntil},
    };

    use super::*;
    use crate::cli::context::tests::bench;

    fn letter(class: &str) -> Outgoing {
        let header = |name: &'static str, value: &str| (name.into(), value.to_owned().into());
        Outgoing {
            topic: Topic::TriggersDlq,
            partition: Some(0),
            key: Some("u-1".into()),
            payload: Some("secret".into()),
            headers: vec![
                header("auren-dlq-topic", "triggers.detected"),
                header("auren-dlq-partition", "1"),
                header("auren-dlq-offset", "9"),
                header("auren-dlq-group", "auren-converse"),
                header("auren-dlq-class", class),
                header("auren-dlq-error", "record: is not JSON"),
            ],
        }
    }

    fn which(class: &[&str]) -> Which {
        let class = class.iter().map(|class| (*class).to_owned()).collect();
        Which { topic: Topic::Triggers, class, user: None, at: None, max: None }
    }

    #[tokio::test]
    async fn dead_letters_are_counted_shown_without_what_they_hold_and_sent_again() {
        let mut bench = bench();
        open_bus(&bench.context.config).await.unwrap();
        let bus = connect(&bench.context.config).await.unwrap();
        bus.publish_all(["broken_json", "broken_json", "wrong_partition"].map(letter).to_vec()).await.unwrap();

        run(Args::List { topic: None, json: false }, &mut bench.context).await.unwrap();
        bench.context.console.flush().unwrap();
        let out = bench.captured.out();
        assert!(out.contains("broken_json                 2  newest") && out.lines().count() == 2, "{out}");

        let show = Args::Show { which: which(&["broken_json"]), payload: false, json: false };
        run(show, &mut bench.context).await.unwrap();
        bench.context.console.flush().unwrap();
        let out = bench.captured.out();
        assert!(out.contains("stood at 1:9  key u-1") && !out.contains("secret"), "{out}");

        run(Args::Replay { which: which(&[]), yes: true }, &mut bench.context).await.unwrap();
        assert!(bench.captured.notes().contains("1 are not sent again"));
        let read = Read { topic: Topic::Triggers, partitions: vec![], from: ReadFrom::Earliest, until: ReadUntil::End };
        let mut batches = Arc::clone(&bus).read(read);
        let mut sent = Vec::new();
        while let Some(batch) = batches.recv().await {
            sent.extend(batch.unwrap());
        }
        assert_eq!(sent.len(), 2);
        assert!(sent.iter().all(|record| record.header("auren-replayed-from").is_some()));
    }
}
