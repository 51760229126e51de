//! `auren verify`: sends numbered inputs of invented users through a running hub and judges, from outside, what came of
//! them: nothing may be lost, doubled or out of order, whatever befalls the hub or the bus meanwhile.

mod drive;
mod history;
mod judge;
mod listen;

use std::{collections::HashSet, path::PathBuf, time::Duration};

use anyhow::Context as _;
use auren::{
    bus::{Cursor, Record, SharedBus, Topic},
    client::EventProducer,
};
use auren_agents::AgentId;
use clap::value_parser;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};

use self::{
    drive::{Clock, Driver, Plan, TICK},
    history::{History, Seen},
    judge::{Fault, Spread, Verdict, judge},
};
use super::{Context, Exit, context, open_topic};

/// How often it looks whether everything has been answered, once all is sent.
const LOOK: Duration = Duration::from_millis(500);
/// What goes wrong with the bus is said this often.
const SAID: Duration = Duration::from_secs(10);
/// Most faults that are shown one by one.
const SHOWN: usize = 20;

const EXAMPLES: &str = "\
Examples:
  auren --brokers 127.0.0.1:9092 verify
  auren --brokers 127.0.0.1:9092 verify --users 500 --rate 200 --seconds 300 --history run-1
  auren verify --json | jq .verdict.lost

It can be run against a hub in production, while nodes are killed or a broker is away. Every run invents its own users, \
named verify-, a random number and their own; nobody else is touched. It leaves behind: their triggers and messages, what \
the agents said to them, and one small state for each in auren.state.converse.

An input is sent under the same id until it is acknowledged, and the next one of the same user only then. LOST is an \
acknowledged input that had not all of its effects --settle-seconds after the last acknowledgement (a hub that is far \
behind may still bring them: `auren doctor` tells); DOUBLED an effect in two records; OUT OF ORDER an answer before the one to \
an earlier input of the same user in the same topic; FORGOTTEN a user whose turns are not 1, 2, 3, …; UNASKED an event that follows from \
nothing that was sent. Exits with 1 where one of them is not 0. A stall is when nothing came in a partition although \
something was due, for ten times as long as an answer usually takes (250 ms at least, 1 s at most).";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Users to invent.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u64).range(1..=1_000_000))]
    users: u64,
    /// Inputs a second, over all users.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// How long inputs are sent.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// Send so many inputs, however long it takes.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How long acknowledgements, and then the answers to the last one, are waited for.
    #[arg(long, value_name = "N", default_value_t = 60)]
    settle_seconds: u64,
    /// The agents that are asked, comma-separated. They should be ones that answer at once.
    #[arg(long, value_name = "AGENT", value_delimiter = ',', value_parser = context::agent,
          default_value = "neuroscientist,coach")]
    agents: Vec<AgentId>,
    /// Keep what was sent, acknowledged and seen in this folder, as NDJSON.
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = open_topic(&context.config, Topic::Events).await?;
    let plan = Plan { run: rand::random(), users: args.users, rate: args.rate, agents: args.agents.clone() };
    let mark = plan.mark();
    if context.console.is_noticed() {
        let long = args.count.map_or(format!("for {} s", args.seconds), |count| format!("until {count} are sent"));
        context.console.note(format_args!(
            "{} users {mark}…, {} inputs a second {long}, through {}",
            args.users,
            args.rate,
            bus.describe()
        ));
    }
    let (history, interrupted) = drive(&args, plan, &bus, context).await?;
    if let Some(folder) = &args.history {
        let kept = history.keep(folder);
        kept.with_context(|| format!("the histories cannot be kept in {}", folder.display()))?;
    }
    if interrupted {
        context.console.note("interrupted: nothing was judged");
        return Ok(Exit::Interrupted);
    }
    let verdict = judge(&history);
    if args.json {
        let faults = &verdict.faults[..verdict.faults.len().min(SHOWN)];
        context.console.json(&json!({
            "run": mark.trim_end_matches('-'), "good": verdict.is_good(), "verdict": verdict, "faults": faults,
        }))?;
    } else {
        show(&verdict, context)?;
    }
    Ok(if verdict.is_good() { Exit::Done } else { Exit::Failed })
}

/// Sends and listens until all is answered or the time for it is over. Says whether somebody ended it before.
async fn drive(args: &Args, plan: Plan, bus: &SharedBus, context: &mut Context) -> anyhow::Result<(History, bool)> {
    let clock = Clock::start();
    let mark = plan.mark();
    let settle = Duration::from_secs(args.settle_seconds);
    let begin = listen::begin(bus).await?;
    let mut heard = listen::listen(bus, &begin, &mark);
    let (mut driver, mut trouble) = Driver::new(plan, EventProducer::new(bus.clone()), clock);
    let mut book = Book::default();
    let mut left = args.count.unwrap_or(u64::MAX);
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let (mut ticks, mut looks) = (tokio::time::interval(TICK), tokio::time::interval(LOOK));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // When the last input was sent, or the last acknowledgement behind it came.
    let mut ended: Option<Instant> = None;
    let mut said: Option<Instant> = None;
    loop {
        tokio::select! {
            () = context.interrupt.wait() => return Ok((book.history, true)),
            _ = ticks.tick(), if ended.is_none() => {
                let sent = driver.send_due(left);
                left -= u64::try_from(sent.len()).unwrap_or(0);
                book.history.sent.extend(sent);
                if left == 0 || args.count.is_none() && Instant::now() >= until {
                    ended = Some(Instant::now());
                }
            }
            acked = driver.acknowledged() => {
                book.history.acked.push(acked);
                ended = ended.map(|_| Instant::now());
            }
            Some(batch) = heard.recv() => match batch {
                Ok(records) => book.hear(&records, clock.now_ms()),
                Err(error) => tell(&format!("{error}; it is read again"), &mut said, context),
            },
            Some(error) = trouble.recv() => tell(&format!("{error}; it is sent again"), &mut said, context),
            _ = looks.tick() => if let Some(ended) = ended {
                let answered = driver.on_the_way() == 0 && judge(&book.history).lost == 0;
                if answered || ended.elapsed() > settle {
                    break;
                }
            }
        }
    }
    drop(driver);
    // Once more from the beginning: whatever is too much is there by now.
    let all = listen::all(bus, &begin, &mark).await;
    book.hear(&all.context("the events cannot be read to their end, so nothing was judged")?, clock.now_ms());
    Ok((book.history, false))
}

fn tell(what: &str, said: &mut Option<Instant>, context: &mut Context) {
    if said.is_none_or(|at| at.elapsed() > SAID) {
        *said = Some(Instant::now());
        context.console.note(what);
    }
}

/// The history while it grows.
#[derive(Default)]
struct Book {
    history: History,
    known: HashSet<Cursor>,
}

impl Book {
    fn hear(&mut self, records: &[Record], at_ms: i64) {
        for record in records {
            if self.known.insert(record.cursor()) {
                self.history.seen.extend(Seen::of(record, at_ms));
            }
        }
    }
}

fn show(verdict: &Verdict, context: &mut Context) -> anyhow::Result<()> {
    let console = &mut context.console;
    for (name, count) in [
        ("sent", verdict.sent),
        ("acknowledged", verdict.acked),
        ("effects", verdict.effects),
        ("  of them the hub's", verdict.replaced),
        ("lost", verdict.lost),
        ("doubled", verdict.duplicated),
        ("out of order", verdict.out_of_order),
        ("forgotten", verdict.forgotten),
        ("unasked", verdict.unasked),
    ] {
        console.line(format_args!("{name:<20} {count:>9}"))?;
    }
    let spread = |spread: &Spread| {
        let Spread { p50_ms, p99_ms, max_ms, .. } = spread;
        format!("p50 {p50_ms} ms   p99 {p99_ms} ms   max {max_ms} ms")
    };
    console.line(format_args!("{:<20} {:>9}   {}", "answered", verdict.answers.count, spread(&verdict.answers)))?;
    let stalls = format!("stalls of {} ms", verdict.stall_from_ms);
    if verdict.stalls.count == 0 {
        console.line(format_args!("{stalls:<20} {:>9}", 0))?;
    } else {
        console.line(format_args!("{stalls:<20} {:>9}   {}", verdict.stalls.count, spread(&verdict.stalls)))?;
    }
    for fault in verdict.faults.iter().take(SHOWN) {
        console.line(words(fault))?;
    }
    if verdict.faults.len() > SHOWN {
        console.line(format_args!("… and {} more", verdict.faults.len() - SHOWN))?;
    }
    if verdict.acked > 0 && verdict.effects == 0 {
        console.note("nothing was answered at all: does a node run `converse` here? `auren doctor` tells");
    }
    console.line(if verdict.is_good() { "good" } else { "NOT GOOD" })
}

fn words(fault: &Fault) -> String {
    match fault {
        Fault::Lost { input, user, topic, place, missing } => {
            let seats: Vec<_> = missing.iter().map(ToString::to_string).collect();
            format!("lost: input {input} of {user}, at {place} in {topic}: seat {} is missing", seats.join(" and "))
        }
        Fault::Duplicated { input, user, seat, first, again } => {
            format!("doubled: seat {seat} of input {input} of {user}: at {first} and at {again}")
        }
        Fault::OutOfOrder { input, user, place, behind } => {
            format!(
                "out of order: an effect of input {input} of {user} is at {place}, and what is due before it at {behind}"
            )
        }
        Fault::Forgotten { user, turn, due } => format!("forgotten: {user} has turn {turn} where {due} is due"),
        Fault::Unasked { cause, user, place } => format!("unasked: at {place} for {user}, of input {cause}"),
    }
}
