//! `auren send`: events, readings and messages, from a file, from standard input, or one message from the arguments.

mod record;
mod tally;

use std::path::PathBuf;

use anyhow::Context as _;
use auren::{bus::Topic, client};
use auren_agents::{AgentId, Text, UserId};
use clap::Subcommand;
use indicatif::HumanCount;

use super::{
    Context, Exit,
    console::Unit,
    context::{self, open_intake},
    input::Documents,
    open_topic,
};

use record::{Kind, now, ready, record};
use tally::{Door, Tally};

/// Most records that are published together.
const BATCH: usize = 500;

const BIOMETRIC_EXAMPLES: &str = "\
Examples:
  auren send biometric events.ndjson
  auren send biometric --json < events.ndjson

One JSON object a line, or one pretty-printed after the other:
  {\"event_id\":\"e-1\",\"user_id\":\"u-1\",\"event_type\":\"hrv_measurement\",\"token\":\"TOKENIZED_PHI\",
   \"metadata\":{\"percentile_rank\":0.15,\"severity_score\":0.85,\"trend\":\"declining_3_days\",
   \"timestamp_iso\":\"2024-01-01T10:00:00Z\",\"source_device\":\"Apple Watch\",\"measurement_context\":\"morning\"},
   \"timestamp\":\"2024-01-01T10:00:00Z\"}

A bad one is reported with its line and field; the others are sent. Exits with 1 if there was a bad one. \
`auren schema export DIR` writes down all that an event may hold.";

const TRIGGER_EXAMPLES: &str = "\
Examples:
  auren send trigger triggers.ndjson
  echo '{\"trigger_id\":\"t-1\",\"user_id\":\"u-1\",\"trigger_type\":\"hrv_drop\",\"severity\":0.8,
    \"context_window\":[\"e-1\"],\"recommended_agents\":[\"neuroscientist\",\"coach\"],
    \"message\":\"HRV dropped 25% below baseline\",\"timestamp\":\"2024-01-01T10:00:00Z\"}' | auren send trigger

A bad one is reported with its line and field; the others are sent. Exits with 1 if there was a bad one.";

const READING_EXAMPLES: &str = "\
Examples:
  auren send reading readings.ndjson
  echo '{\"user_id\":\"u-1\",\"measure\":\"rmssd\",\"value\":41.5,\"source_device\":\"watch\",
    \"timestamp\":\"2024-01-01T07:00:00+01:00\"}' | auren send reading

The value is sealed here, under its person's own data key, and only the sealed reading is published. \
A node that is to open it needs the same keyring, master key and `phi.tenant`.

Measures are rmssd, sdnn, resting_heart_rate, asleep, sleep_efficiency, breathing_rate, skin_temperature, \
systolic, diastolic, glucose, workout_load, stress_score, mood, steps and energy; any other needs `unit` and \
`event_type`.";

const MESSAGE_EXAMPLES: &str = "\
Examples:
  auren send message --user u-1 how did I sleep
  auren send message --user u-1 --to coach \"may I train today?\"
  auren send message messages.ndjson

In a file, one JSON object a message; only user_id and text are needed:
  {\"user_id\":\"u-1\",\"text\":\"may I train today?\",\"to\":\"coach\",\"client_id\":\"phone-17\"}

With a client_id the message can be sent again without being two. Records of conversations.inbox as `auren \
tail` shows them (with a `kind`) are taken as well.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Send biometric events to health.biometrics.
    #[command(after_help = BIOMETRIC_EXAMPLES)]
    Biometric(From),
    /// Send triggers to triggers.detected.
    #[command(after_help = TRIGGER_EXAMPLES)]
    Trigger(From),
    /// Seal measured values and send them to health.readings.
    #[command(after_help = READING_EXAMPLES)]
    Reading(From),
    /// Send what a person says to conversations.inbox.
    #[command(
        after_help = MESSAGE_EXAMPLES,
        override_usage = "auren send message [--json] [FILE]\n       auren send message --user USER [--to AGENT] TEXT..."
    )]
    Message {
        /// A file of messages, - for standard input; with --user, the text itself.
        #[arg(value_name = "FILE | TEXT")]
        words: Vec<String>,
        /// Who says it.
        #[arg(long, value_name = "USER", value_parser = context::user, requires = "words")]
        user: Option<UserId>,
        /// The agent it is meant for.
        #[arg(long, value_name = "AGENT", value_parser = context::agent, requires = "user")]
        to: Option<AgentId>,
        /// Print one JSON object a message: {line, id, cursor} or {line, error}.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct From {
    /// The file, or - for standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Print one JSON object a record: {line, id, cursor} or {line, error}.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let (kind, from) = match args {
        Args::Biometric(from) => (Kind::Biometric, from),
        Args::Trigger(from) => (Kind::Trigger, from),
        Args::Reading(from) => (Kind::Reading, from),
        Args::Message { words, user: Some(user), to, json } => {
            return say(user, to, &words.join(" "), json, context).await;
        }
        Args::Message { words, user: None, json, .. } => {
            anyhow::ensure!(
                words.len() <= 1,
                "name one file of messages; to send a text itself, say whose: --user USER"
            );
            let file = words.first().map_or("-", String::as_str).into();
            (Kind::Message, From { file, json })
        }
    };
    let documents = Documents::open(&from.file).with_context(|| match kind {
        Kind::Message => "no messages (to send a text itself, say whose: --user USER)",
        _ => "nothing was sent",
    })?;
    let door = match kind {
        Kind::Reading => Door::Intake(open_intake(&context.config).await?),
        _ => Door::Bus(open_topic(&context.config, kind.topic()).await?),
    };
    if from.file.as_os_str() == "-" && std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        context.console.note("reading JSON from the terminal; Ctrl-D ends it, --help shows what it looks like");
    }
    send(&kind, documents, &door, from.json, context).await
}

/// Sends one message.
async fn say(user: UserId, to: Option<AgentId>, text: &str, json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    anyhow::ensure!(!text.trim().is_empty(), "the message is empty; write it behind the options");
    let text = Text::new(text).map_err(|unfit| anyhow::anyhow!("the message {unfit}"))?;
    let bus = open_topic(&context.config, Topic::Inbox).await?;
    let message = client::message(user, text, to, None, now());
    let mut tally = Tally { json, single: true, ..Tally::default() };
    tally.publish(&Door::Bus(bus), vec![(1, Ok(ready(&message)))], context).await?;
    tally.end(context)
}

async fn send(
    kind: &Kind,
    mut documents: Documents,
    door: &Door,
    json: bool,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let mut tally = Tally { json, ..Tally::default() };
    let mut read = Vec::with_capacity(BATCH);
    if let Some(size) = documents.size {
        context.console.begin(size, Unit::Bytes);
    }
    loop {
        read.clear();
        let more = tokio::select! {
            () = context.interrupt.wait() => 0,
            more = documents.receiver.recv_many(&mut read, BATCH) => more,
        };
        if more == 0 {
            break;
        }
        let mut batch = Vec::with_capacity(read.len());
        let mut end = 0;
        let mut failed = None;
        for document in read.drain(..) {
            match document {
                Ok(document) => {
                    end = document.end;
                    batch.push((document.line, record(kind, &document)));
                }
                Err(error) => failed = Some(error),
            }
        }
        tally.publish(door, batch, context).await?;
        context.console.progress(end, || format!("{} sent", HumanCount(tally.sent)));
        if let Some(error) = failed {
            return Err(error).context("the input cannot be read on");
        }
    }
    tally.end(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::tests::{Bench, bench};

    async fn sent(bench: &mut Bench, kind: fn(From) -> Args, input: &str, json: bool) -> Exit {
        let file = bench.folder.path().join("input");
        std::fs::write(&file, input).unwrap();
        run(kind(From { file, json }), &mut bench.context).await.unwrap()
    }

    const TRIGGER: &str = r#"{"trigger_id":"t-1","user_id":"u-1","trigger_type":"hrv_drop","severity":0.8,"context_window":[],"recommended_agents":["coach"],"message":"m","timestamp":"2024-01-01T10:00:00Z"}"#;

    #[tokio::test]
    async fn a_bad_line_is_named_with_its_field_and_the_others_go() {
        let mut bench = bench();
        let bad = TRIGGER.replace("0.8", "1.8");
        let empty = TRIGGER.replace(r#"["coach"]"#, "[]");
        let input = format!("{TRIGGER}\n{bad}\n{{\"trigger_id\":\n{empty}\n{TRIGGER}\n");
        assert_eq!(sent(&mut bench, Args::Trigger, &input, false).await, Exit::Failed);
        let out = bench.captured.out();
        assert!(out.starts_with("line 1: t-1 is at ") && out.contains("line 5: t-1 is at "), "{out}");
        let notes = bench.captured.notes();
        assert_eq!(
            notes,
            "line 2: severity: must be a number from 0 to 1\n\
             line 3: is not JSON: it ends too early; look for a missing bracket or quote\n\
             line 4: recommended_agents: must not be empty\n2 sent, 3 refused\n"
        );
    }

    #[tokio::test]
    async fn scripts_get_one_object_a_line() {
        let mut bench = bench();
        assert_eq!(sent(&mut bench, Args::Trigger, &format!("{TRIGGER}\n[]\n"), true).await, Exit::Failed);
        let out = bench.captured.out();
        let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines[0]["line"].as_u64(), lines[0]["id"].as_str()), (Some(1), Some("t-1")));
        assert!(lines[0]["cursor"].as_str().unwrap().ends_with(":0"));
        assert_eq!(lines[1]["line"], 2);
        assert!(lines[1]["error"].is_string());
    }

    #[tokio::test]
    async fn a_reading_is_sealed_and_a_refused_value_is_not_repeated() {
        let mut bench = bench();
        let reading = r#"{"user_id":"u-1","measure":"rmssd","value":41.875,"source_device":"watch","timestamp":"2024-01-01T07:00:00Z"}"#;
        let input = format!("{reading}\n{}\n", reading.replace("41.875", "9941.875"));
        assert_eq!(sent(&mut bench, Args::Reading, &input, false).await, Exit::Failed);
        let notes = bench.captured.notes();
        assert!(notes.starts_with("line 2: value: is outside 2 to 400 ms for rmssd") && !notes.contains("9941"));
        let files = bench.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        let written: Vec<_> = files.filter(|file| !file.ends_with("input")).collect();
        assert!(written.iter().any(|file| file.ends_with("auren.db")));
        for file in written {
            // SQLite may still take its side files away.
            let bytes = match std::fs::read(&file) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                bytes => bytes.unwrap(),
            };
            assert!(!bytes.windows(6).any(|window| window == b"41.875"), "{}", file.display());
        }
    }

    #[tokio::test]
    async fn messages_come_from_a_file_in_short_or_in_full_or_from_the_arguments() {
        let mut bench = bench();
        let input = r#"{"user_id":"u-1","text":"hi","client_id":"c-1"}
            {"event_id":"m-2","user_id":"u-1","kind":"seen","cursor":"1:2","timestamp":"2024-01-01T10:00:00Z"}
            {"user_id":"u-1","words":"hi"}"#;
        let kind = |from: From| Args::Message {
            words: vec![from.file.display().to_string()],
            user: None,
            to: None,
            json: from.json,
        };
        assert_eq!(sent(&mut bench, kind, input, false).await, Exit::Failed);
        assert!(bench.captured.out().contains("line 2: m-2 is at "));
        assert!(bench.captured.notes().contains("line 3: words: unknown field `words`"), "{}", bench.captured.notes());
        let args = Args::Message {
            words: vec!["good".to_owned(), "morning".to_owned()],
            user: Some(UserId::new("u-1").unwrap()),
            to: Some(AgentId::new("coach").unwrap()),
            json: false,
        };
        assert_eq!(run(args, &mut bench.context).await.unwrap(), Exit::Done);
        assert!(bench.captured.out().contains("in conversations.inbox"));
    }
}
