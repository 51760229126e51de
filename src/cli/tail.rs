//! `auren tail`: the records of a topic, as they come.

use std::collections::VecDeque;

use auren::{
    bus::{Read, ReadFrom, ReadUntil, Record, SharedBus, Topic, key_partition},
    inspect::show,
};
use auren_agents::UserId;
use chrono::DateTime;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::{Context, Exit, context, open_topic};

const EXAMPLES: &str = "\
Examples:
  auren tail conversations.events                     what is said from now on
  auren tail triggers.detected --until-end            all that is there
  auren tail conversations.events --user u-1 --from -20
  auren tail health.biometrics --from 2024-01-31T00:00:00Z --json | jq .value

A line shows when it happened, whose it is, what it is, and its text, shortened; --json shows all of a record, \
and where it stands. Only committed records are shown. Within a partition they come in order; a person is always \
in one partition.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The topic.
    #[arg(value_parser = topics())]
    topic: Topic,
    /// Only this person's records; only their partition is read.
    #[arg(long, value_name = "USER", value_parser = context::user)]
    user: Option<UserId>,
    /// Where to begin: earliest, latest, an offset, -N for the last N records (of the person, or of each partition), or a
    /// time such as 2024-01-31T00:00:00Z [default: latest; with --until-end: earliest]
    #[arg(long, value_name = "WHERE", value_parser = place, allow_hyphen_values = true)]
    from: Option<ReadFrom>,
    /// End after so many records.
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// End at what is the end now, instead of waiting for more.
    #[arg(long)]
    until_end: bool,
    /// Print one JSON object a record: topic, partition, offset, cursor, timestamp, key, headers, value.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = open_topic(&context.config, args.topic).await?;
    let until = if args.until_end { ReadUntil::End } else { ReadUntil::Follow };
    let from = args.from.unwrap_or(if args.until_end { ReadFrom::Earliest } else { ReadFrom::Latest });
    let mut tail = Tail { user: args.user, left: args.max, json: args.json };
    let mut read = Read { topic: args.topic, partitions: Vec::new(), from: from.clone(), until };
    if tail.left == Some(0) {
        return Ok(Exit::Done);
    }
    if let Some(user) = &tail.user {
        let infos = bus.topics().await?;
        let partitions = infos.iter().find(|info| info.topic == args.topic).map_or(1, |info| info.partitions);
        read.partitions = vec![key_partition(user.as_str().as_bytes(), partitions)];
        if let ReadFrom::Last(count) = from {
            let (records, next) = last_of(&bus, &read, user, count).await?;
            for record in &records {
                if !tail.show(record, context)? {
                    return Ok(Exit::Done);
                }
            }
            read.from = ReadFrom::Offset(next);
            context.console.flush()?;
        }
    }
    if !args.until_end && context.console.is_noticed() {
        let whose = tail.user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
        let hint = if from == ReadFrom::Latest { "; --from earliest shows what is there already" } else { "" };
        context.console.note(format_args!("waiting for records{whose} in {} (Ctrl-C ends it{hint})", args.topic));
    }
    tail.follow(&bus, read, context).await
}

/// What is to be shown.
struct Tail {
    user: Option<UserId>,
    /// How many records may still be shown.
    left: Option<u64>,
    json: bool,
}

impl Tail {
    async fn follow(&mut self, bus: &SharedBus, read: Read, context: &mut Context) -> anyhow::Result<Exit> {
        let mut batches = bus.read(read);
        loop {
            let batch = tokio::select! {
                // Ending it so is how one ends it.
                () = context.interrupt.wait() => return Ok(Exit::Done),
                batch = batches.recv() => batch,
            };
            let Some(records) = batch.transpose()? else { return Ok(Exit::Done) };
            for record in &records {
                if self.is_wanted(record) && !self.show(record, context)? {
                    return Ok(Exit::Done);
                }
            }
            context.console.flush()?;
        }
    }

    fn is_wanted(&self, record: &Record) -> bool {
        self.user.as_ref().is_none_or(|user| is_of(record, user))
    }

    /// Shows a record; `false` where it was the last one.
    fn show(&mut self, record: &Record, context: &mut Context) -> anyhow::Result<bool> {
        if self.json {
            context.console.json(&show::json(record))?;
        } else {
            context.console.line(show::line(record))?;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(self.left != Some(0))
    }
}

/// The last records of a person, and where to read on.
async fn last_of(bus: &SharedBus, read: &Read, user: &UserId, count: i64) -> anyhow::Result<(VecDeque<Record>, i64)> {
    let partition = read.partitions.first().copied().unwrap_or_default();
    let (low, high) = bus.watermarks(read.topic).await?.get(&partition).copied().unwrap_or_default();
    let wanted = usize::try_from(count).unwrap_or_default();
    // Others are in the partition too, so it is read further and further back.
    let mut window = count.saturating_mul(64).max(1000);
    loop {
        let mut batches = bus.read(Read { from: ReadFrom::Last(window), until: ReadUntil::End, ..read.clone() });
        let (mut found, mut next) = (VecDeque::new(), high);
        while let Some(records) = batches.recv().await.transpose()? {
            next = records.last().map_or(next, |record| next.max(record.offset + 1));
            found.extend(records.into_iter().filter(|record| is_of(record, user)));
            found.drain(..found.len().saturating_sub(wanted));
        }
        if found.len() >= wanted || window >= high - low {
            return Ok((found, next));
        }
        window = window.saturating_mul(16);
    }
}

fn is_of(record: &Record, user: &UserId) -> bool {
    record.key.as_deref() == Some(user.as_str().as_bytes())
}

fn topics() -> impl clap::builder::TypedValueParser<Value = Topic> {
    PossibleValuesParser::new(Topic::ALL.iter().map(|topic| topic.name()))
        .try_map(|name| Topic::named(&name).ok_or("is no topic of the river"))
}

/// Where to begin, as `--from` takes it.
fn place(text: &str) -> Result<ReadFrom, String> {
    match text {
        "earliest" => return Ok(ReadFrom::Earliest),
        "latest" => return Ok(ReadFrom::Latest),
        _ => {}
    }
    if let Some(count) = text.strip_prefix('-').and_then(|count| count.parse::<u32>().ok()) {
        return Ok(ReadFrom::Last(count.into()));
    }
    if let Ok(offset) = text.parse::<u64>() {
        return Ok(ReadFrom::Offset(i64::try_from(offset).unwrap_or(i64::MAX)));
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(ReadFrom::Time(time.timestamp_millis())),
        Err(_) => Err("give earliest, latest, an offset such as 120, -20 for the last 20 records, or a time such as \
                       2024-01-31T00:00:00Z"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use auren::{client, wire};
    use auren_agents::{Text, Timestamp};

    use super::*;
    use crate::cli::context::tests::{Bench, bench};
    use crate::cli::open_bus;

    fn args(from: Option<ReadFrom>) -> Args {
        Args { topic: Topic::Inbox, user: None, from, max: None, until_end: true, json: false }
    }

    async fn with_messages(count: usize) -> Bench {
        let bench = bench();
        let bus = open_bus(&bench.context.config).await.unwrap();
        let said = |number: usize| {
            let user = UserId::new(format!("u-{}", number % 3)).unwrap();
            let at = Timestamp::parse("2024-01-01T10:00:00Z").unwrap();
            wire::outgoing(&client::message(user, Text::cut(format!("message {number}")), None, None, at))
        };
        assert!(bus.publish((0..count).map(said).collect()).await.iter().all(Result::is_ok));
        bench
    }

    #[test]
    fn a_place_is_a_word_an_offset_a_count_or_a_time() {
        assert_eq!(place("earliest"), Ok(ReadFrom::Earliest));
        assert_eq!(place("120"), Ok(ReadFrom::Offset(120)));
        assert_eq!(place("-20"), Ok(ReadFrom::Last(20)));
        assert_eq!(place("1970-01-01T00:00:01Z"), Ok(ReadFrom::Time(1000)));
        assert!(place("yesterday").unwrap_err().contains("2024-01-31T00:00:00Z"));
    }

    #[tokio::test]
    async fn all_that_is_there_is_shown_or_so_many() {
        let mut bench = with_messages(9).await;
        assert_eq!(run(args(None), &mut bench.context).await.unwrap(), Exit::Done);
        let out = bench.captured.out();
        assert_eq!(out.lines().count(), 9);
        assert!(out.contains("2024-01-01T10:00:00Z  u-1  message  message 1\n"), "{out}");
        run(Args { max: Some(2), ..args(None) }, &mut bench.context).await.unwrap();
        assert_eq!(bench.captured.out().lines().count(), 2);
    }

    #[tokio::test]
    async fn the_last_of_a_person_are_theirs() {
        let mut bench = with_messages(3003).await;
        let user = UserId::new("u-2").unwrap();
        let last = Args { user: Some(user.clone()), ..args(Some(ReadFrom::Last(2))) };
        run(last, &mut bench.context).await.unwrap();
        let out = bench.captured.out();
        assert_eq!(out.lines().map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>(), ["2999", "3002"]);
        let more = Args { user: Some(user), ..args(Some(ReadFrom::Last(5000))) };
        run(more, &mut bench.context).await.unwrap();
        assert_eq!(bench.captured.out().lines().count(), 1001);
    }

    #[tokio::test]
    async fn json_says_where_a_record_stands() {
        let mut bench = with_messages(1).await;
        run(Args { json: true, ..args(None) }, &mut bench.context).await.unwrap();
        let shown: serde_json::Value = serde_json::from_str(&bench.captured.out()).unwrap();
        assert_eq!(shown["topic"], "conversations.inbox");
        assert_eq!(shown["cursor"], format!("{}:0", shown["partition"]));
        assert_eq!((shown["key"].as_str(), shown["value"]["text"].as_str()), (Some("u-0"), Some("message 0")));
        assert_eq!(shown["headers"]["ce_type"], "auren.conversation.inbox.v1");
    }
}
