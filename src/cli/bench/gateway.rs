//! `auren bench gateway`: sockets of a node's chat, idle and under a stream of events, beside a bare server with the same
//! buffers. Both are processes of their own; here are their clients.

mod crowd;
mod served;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use auren::{
    app::{connect, create_topics},
    bus::{Headers, Outgoing, SharedBus, Topic},
    config::Config,
    gateway::{Tokens, Yardstick},
};
use serde_json::json;

use self::{crowd::Crowd, served::Served};
use super::{
    pace::{Pace, percentile, spread, trigger},
    river::needs_kafka,
};
use crate::cli::{Context, Exit, context::aside};

const EXAMPLES: &str = "\
Examples:
  ulimit -n 20000; auren --brokers 127.0.0.1:9092 bench gateway
  auren --brokers 127.0.0.1:9092 bench gateway --sockets 500 --frames 10 --seconds 2     a quick look

First it opens the sockets, each of another person with a token of their own, and divides what the server's memory grew by. \
Then the server is stopped (SIGSTOP) while events for each of them are written, let go, and timed until all frames have come; \
the bare server is told by one request to say as many frames of the same length to all. At last triggers are sent at a rate, \
and timed to the first frame of their answer. Clients, servers and Kafka share the machine's cores: compare within one run, and \
look at the processor time that a frame takes the server. The topics begin with `bench-` and a number and are left behind.";

/// How long a figure may take before the bench gives up.
const LIMIT: Duration = Duration::from_secs(300);
/// Partitions of each topic.
const PARTITIONS: i32 = 8;
/// Events published in one call.
const CHUNK: usize = 5000;
/// Files that a process needs besides its sockets.
const FILES: u64 = 300;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Sockets, each of another person.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sockets: u32,
    /// Frames to each of them in a round.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=30))]
    frames: u32,
    /// Rounds.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Triggers a second while latency is measured; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    rate: u32,
    /// Seconds that latency is measured for.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Be the bare server, until standard input ends.
    #[arg(long, hide = true)]
    bare: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    if args.bare {
        let bare = Yardstick::serve().await?;
        context.console.line(format_args!("http://{}/", bare.address()))?;
        context.console.flush()?;
        context.interrupt.wait().await;
        return Ok(Exit::Done);
    }
    needs_kafka(&context.config)?;
    served::may_open(u64::from(args.sockets) + FILES)?;
    if cfg!(debug_assertions) {
        context.console.note("this is a debug build: its numbers say nothing");
    }
    let (mut config, _) = aside(&context.config, "bench");
    config.topics.partitions = PARTITIONS;
    let secret: String = (0..4).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
    config.tokens.secret = Some(secret.clone().into());
    let bus = connect(&config).await?;
    create_topics(&bus, &config).await?;
    let stage = Stage { args, config, secret, bus };
    let node = stage.node(context).await?;
    let bare = stage.bare(context, node.bytes_a_frame).await?;
    let line = |name: &str, figures: &Figures| {
        let [least, middle, most] = spread(figures.rates.clone());
        format!(
            "{name:<5} {:>7.0} bytes a socket   {middle:>9.0} frames/s ({least:.0} to {most:.0})   {:>5.1} µs of the server's \
             processor time a frame of {:.0} bytes",
            figures.bytes_a_socket, figures.micros_a_frame, figures.bytes_a_frame
        )
    };
    context.console.line(format_args!("{} sockets", stage.args.sockets))?;
    context.console.line(line("node", &node))?;
    context.console.line(line("bare", &bare))?;
    let ratio = spread(node.rates)[1] / spread(bare.rates)[1];
    context.console.line(format_args!("frames/s, node / bare: {ratio:.2}"))?;
    Ok(Exit::Done)
}

/// What one server did.
struct Figures {
    bytes_a_socket: f64,
    rates: Vec<f64>,
    micros_a_frame: f64,
    bytes_a_frame: f64,
}

struct Stage {
    args: Args,
    config: Config,
    secret: String,
    bus: SharedBus,
}

impl Stage {
    async fn node(&self, context: &mut Context) -> anyhow::Result<Figures> {
        let room = self.args.sockets + 100;
        let served = Served::start(
            &[
                &format!("kafka.prefix={}", self.config.kafka.prefix),
                // It is stopped for some seconds, and must not be taken for dead.
                "kafka.session_timeout_ms=60000",
                &format!("tokens.secret={}", self.secret),
                &format!("chat.max_sockets={room}"),
                "chat.heartbeat_ms=600000",
                "http.idle_ms=1200000",
                "chat.slow_ms=600000",
                "http.address=127.0.0.1:0",
                "log.level=warn",
            ],
            &["serve", "--roles", "converse", "--node", "bench"],
        )?;
        let tokens = Tokens::open(&self.config.tokens, self.config.node.profile)?.context("there is a secret")?;
        let token = |number: u32| tokens.make(&user(number), "chat", LIMIT * 20).unwrap_or_default();
        let (crowd, bytes_a_socket) = self.gather(&served, context, token).await?;
        let mut figures = Figures { bytes_a_socket, rates: Vec::new(), micros_a_frame: 0.0, bytes_a_frame: 0.0 };
        let mut number = 0;
        for round in 0..=self.args.rounds {
            served.stop()?;
            self.fill(&mut number).await?;
            // The first round meets cold caches, and is none.
            self.round(&served, &crowd, round > 0, &mut figures, || served.go_on()).await?;
        }
        if self.args.rate > 0 {
            let latency = self.latency(&crowd).await?;
            let of = |share: f64| percentile(&latency, share).as_secs_f64() * 1e3;
            context.console.line(format_args!(
                "trigger to frame at {}/s: p50 {:.1} ms   p90 {:.1} ms   p99 {:.1} ms   max {:.1} ms",
                self.args.rate,
                of(0.5),
                of(0.9),
                of(0.99),
                of(1.0)
            ))?;
        }
        Ok(figures)
    }

    async fn bare(&self, context: &mut Context, bytes_a_frame: f64) -> anyhow::Result<Figures> {
        let served = Served::start(&[], &["bench", "gateway", "--bare"])?;
        let (crowd, bytes_a_socket) = self.gather(&served, context, |_| String::new()).await?;
        let mut figures = Figures { bytes_a_socket, rates: Vec::new(), micros_a_frame: 0.0, bytes_a_frame: 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the length of a frame")]
        let text = "x".repeat(bytes_a_frame as usize);
        for round in 0..=self.args.rounds {
            let says = || served.says(self.args.frames, &text);
            self.round(&served, &crowd, round > 0, &mut figures, says).await?;
        }
        Ok(figures)
    }

    /// Opens the sockets, and says what each takes of the server's memory.
    async fn gather(
        &self,
        served: &Served,
        context: &mut Context,
        token: impl Fn(u32) -> String,
    ) -> anyhow::Result<(Crowd, f64)> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = served.bytes()?;
        let crowd = Crowd::gather(served.address, self.args.sockets, token).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let grown = served.bytes()?.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "megabytes")]
        let each = grown as f64 / f64::from(self.args.sockets);
        context.console.note(format_args!("{} sockets are open", self.args.sockets));
        Ok((crowd, each))
    }

    /// From the word to the last frame.
    async fn round(
        &self,
        served: &Served,
        crowd: &Crowd,
        counts: bool,
        figures: &mut Figures,
        begin: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let frames = u64::from(self.args.sockets) * u64::from(self.args.frames);
        let (began, cpu) = (Instant::now(), served.cpu()?);
        begin()?;
        let bytes = crowd.hears(frames, LIMIT).await?;
        let took = began.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of one run")]
        let (all, bytes) = (frames as f64, bytes as f64);
        if counts {
            let rounds = f64::from(self.args.rounds);
            figures.rates.push(all / took);
            figures.micros_a_frame += (served.cpu()? - cpu).as_secs_f64() * 1e6 / all / rounds;
            figures.bytes_a_frame += bytes / all / rounds;
        }
        Ok(())
    }

    /// Writes events for everybody.
    async fn fill(&self, number: &mut u64) -> anyhow::Result<()> {
        let all: Vec<_> = (0..self.args.frames).flat_map(|_| 0..self.args.sockets).collect();
        for people in all.chunks(CHUNK) {
            let events = people.iter().map(|person| {
                *number += 1;
                event(&user(*person), *number)
            });
            self.bus.publish_all(events.collect()).await?;
        }
        Ok(())
    }

    async fn latency(&self, crowd: &Crowd) -> anyhow::Result<Vec<Duration>> {
        ensure!(self.args.rate > 0, "a rate is needed");
        let mut events = crowd.listen();
        let pace = Pace { rate: self.args.rate, seconds: self.args.seconds, grace: Duration::from_secs(60) };
        let users = u64::from(self.args.sockets);
        let bus = Arc::clone(&self.bus);
        pace.keep(&bus, &mut events, move |number| trigger(number, users)).await
    }
}

/// As triggers of the bench name them.
fn user(number: u32) -> String {
    format!("user-{number}")
}

/// An event of which the frame has about 300 bytes.
fn event(user: &str, number: u64) -> Outgoing {
    let event = json!({
        "event_id": format!("e-{number}"), "conversation_id": "c-1", "user_id": user, "specialist_id": "coach",
        "message_type": "specialist_response", "content": "Sleep well tonight.",
        "metadata": { "cause": "t-1", "cause_type": "trigger", "turn": 1 }, "timestamp": "2024-01-01T10:00:00Z",
    });
    let (key, payload) = (Some(user.as_bytes().to_vec().into()), Some(event.to_string().into()));
    Outgoing { topic: Topic::Events, partition: None, key, payload, headers: Headers::new() }
}
