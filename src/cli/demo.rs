//! `auren demo`: invented wearers through the whole river, with no service installed.

mod story;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use auren::{
    app::{Hub, Running, connect, create_topics},
    bus::{Read, ReadFrom, ReadUntil, Topic},
    config::{BusKind, CallersSection, Config, HttpSection, TokensSection},
    demo::{DataSet, publish_readings},
    gateway::Tokens,
    phi::Keys,
    simulate::{Settings, Simulation},
    wearable::Row,
    wire,
};
use auren_agents::{ConversationEvent, UserId, events};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{NaiveDate, TimeDelta};

use self::story::{Question, Story};
use super::{
    Context, Exit,
    context::{aside, remove},
};

/// Days that go by at full speed before the show: without them nobody has a usual range.
const PAST_DAYS: u32 = 21;

/// How long the links hold.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  auren demo                                          watch a season of six invented wearers go by
  auren demo --once --json | jq .content              a fixed data set to its end, then exit
  auren --brokers 127.0.0.1:9092 demo --once          the same through Kafka, under topics of its own

Readings of invented wearers are sealed and go through enrich, detect and converse; what you see are the \
conversation events as they are committed. Now and then a wearer asks something. Nothing is kept: the embedded \
demo works in a temporary folder, and on Kafka its topics begin with `demo-` and a number.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run a fixed data set to its end, print its conversation events, and exit.
    #[arg(long)]
    once: bool,
    /// Print conversation events as NDJSON, and nothing else.
    #[arg(long)]
    json: bool,
    /// How many wearers.
    #[arg(long, value_name = "N", default_value_t = 6, conflicts_with = "once")]
    users: u32,
    /// How many days.
    #[arg(long, value_name = "N", default_value_t = 120, conflicts_with = "once")]
    days: u32,
    /// What everything is drawn from.
    #[arg(long, value_name = "N", default_value_t = 7, conflicts_with = "once")]
    seed: u64,
    /// Milliseconds that a day takes.
    #[arg(long, value_name = "MS", default_value_t = 1000, conflicts_with = "once")]
    day_ms: u64,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let stage = Stage::set(&context.config, !args.once && !args.json).await?;
    let shown =
        async { if args.once { once(args.json, &stage, context).await } else { watch(&args, &stage, context).await } };
    let end = shown.await;
    stage.clear();
    end
}

async fn once(json: bool, stage: &Stage, context: &mut Context) -> anyhow::Result<Exit> {
    let running = stage.start().await?;
    let set = DataSet::fixed();
    let mut interrupt = context.interrupt.clone();
    let said = tokio::select! {
        said = set.run(&running, &stage.keys) => said?,
        () = interrupt.wait() => return Ok(Exit::Interrupted),
    };
    running.stop().await;
    let mut story = Story::new(json);
    for event in &said {
        story.tell(event, &mut context.console)?;
    }
    Ok(Exit::Done)
}

async fn watch(args: &Args, stage: &Stage, context: &mut Context) -> anyhow::Result<Exit> {
    let settings = Settings { users: args.users, days: args.days, seed: args.seed, ..Settings::default() };
    let mut simulation = Simulation::new(settings)?;
    let running = stage.start().await?;
    if !args.json {
        context.console.line(format_args!(
            "{} invented wearers; their readings go sealed through enrich, detect and converse on the bus\n{}.\n\
             Their first {PAST_DAYS} days go by at once, then a day takes {} ms. Ctrl-C ends it.",
            args.users,
            running.bus().describe(),
            args.day_ms
        ))?;
        if let Some(address) = running.http_address() {
            for line in stage.pages(address, simulation.user(0))? {
                context.console.line(line)?;
            }
            context.console.flush()?;
        }
    }
    let read =
        Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::Follow };
    let mut said = running.bus().read(read);
    let mut story = Story::new(args.json);
    let mut days = Days::new(&mut simulation);
    let mut interrupt = context.interrupt.clone();
    let mut next = tokio::time::Instant::now();
    let mut over = false;
    while !over {
        tokio::select! {
            biased;
            () = interrupt.wait() => break,
            batch = said.recv() => {
                for record in batch.context("the bus has closed")?? {
                    let event: ConversationEvent = events::parse(record.payload.as_deref().unwrap_or_default())
                        .with_context(|| format!("conversations.events at {}", record.cursor()))?;
                    story.tell(&event, &mut context.console)?;
                    if let Some(question) = Question::about(&event) {
                        running.bus().publish_all(vec![wire::outgoing(&question.record())]).await?;
                    }
                }
                context.console.flush()?;
            }
            () = tokio::time::sleep_until(next) => match days.next() {
                Some((day, rows)) => {
                    let past = days.lived() <= PAST_DAYS;
                    publish_readings(running.bus(), &rows, &stage.keys).await?;
                    if !past {
                        story.day(day, &mut context.console)?;
                        next = tokio::time::Instant::now() + Duration::from_millis(args.day_ms);
                    }
                }
                None => over = true,
            },
        }
    }
    if over {
        running.settled().await?;
    }
    running.stop().await;
    story.end(&mut context.console)?;
    Ok(if over { Exit::Done } else { Exit::Interrupted })
}

/// Where the demonstration takes place: a bus of its own and a key that nobody keeps.
struct Stage {
    config: Config,
    keys: Keys,
    folder: Option<PathBuf>,
}

impl Stage {
    /// With pages to look at it has an HTTP server of its own, on a free port of this machine, which believes its own tokens.
    async fn set(config: &Config, pages: bool) -> anyhow::Result<Self> {
        let (mut config, folder) = aside(config, "demo");
        if pages {
            config.http = HttpSection { address: "127.0.0.1:0".to_owned(), ..HttpSection::default() };
            config.tokens = TokensSection {
                secret: Some(BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()).into()),
                ..TokensSection::default()
            };
            config.callers = CallersSection::default();
        }
        if config.bus.kind == BusKind::Kafka {
            create_topics(&connect(&config).await?, &config).await?;
        }
        Ok(Self { config, keys: Keys::ephemeral("demo"), folder })
    }

    async fn start(&self) -> anyhow::Result<Running> {
        let hub = Hub::builder().config(self.config.clone()).keys(self.keys.clone()).build().await?;
        Ok(hub.start().await?)
    }

    /// Where there is something to see in a browser, signed in.
    fn pages(&self, address: SocketAddr, wearer: Option<&UserId>) -> anyhow::Result<Vec<String>> {
        let Some(tokens) = Tokens::open(&self.config.tokens, self.config.node.profile)? else { return Ok(Vec::new()) };
        let link = |user: &str, scope: &str, page: &str| {
            let token = tokens.make(user, scope, TOKEN_LIFE)?;
            Some(format!("http://{address}/{page}#token={token}"))
        };
        let ops = link("operator", "ops", "ops").map(|link| format!("The operators' page: {link}"));
        let chat = wearer.and_then(|wearer| link(wearer.as_str(), "chat", ""));
        let chat = chat.map(|link| format!("What the first wearer is told: {link}"));
        Ok([ops, chat].into_iter().flatten().collect())
    }

    fn clear(self) {
        remove(self.folder);
    }
}

/// A simulation by local days.
struct Days<'a> {
    simulation: std::iter::Peekable<&'a mut Simulation>,
    lived: u32,
    first: Option<NaiveDate>,
}

impl<'a> Days<'a> {
    fn new(simulation: &'a mut Simulation) -> Self {
        Self { simulation: simulation.peekable(), lived: 0, first: None }
    }

    fn lived(&self) -> u32 {
        self.lived
    }
}

impl Iterator for Days<'_> {
    type Item = (NaiveDate, Vec<Row>);

    /// The readings up to the end of the next day.
    fn next(&mut self) -> Option<Self::Item> {
        let day_of = |row: &Row| row.at.at().naive_utc().date();
        let first = *self.first.get_or_insert(day_of(self.simulation.peek()?));
        self.simulation.peek()?;
        let day = first + TimeDelta::days(i64::from(self.lived));
        self.lived += 1;
        let mut rows = Vec::new();
        while let Some(row) = self.simulation.next_if(|row| day_of(row) <= day) {
            rows.push(row);
        }
        Some((day, rows))
    }
}
