//! `auren bench agents`: consults through a panel of the built-in agents, beside a bare question to an actor.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use actix::{Actor, Context as ActorContext, Handler, Recipient};
use anyhow::{Context as _, bail};
use auren::consult::{Agents, Desk, Heard};
use auren_agents::{
    Advice, AgentError, AgentId, Consult,
    dialogue::{self, spoken},
};

use super::pace::{SENTENCE, Sentence, spread};
use crate::cli::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  auren bench agents
  auren bench agents --consults 20000 --rounds 3      a quick look

One thread and no bus; questions are those of the shipped dialogues, asked one after the other. In each round all three are \
measured, by turns first: an actor that is sent the question and answers one sentence (bare actix `send().await`); an agent \
that answers the same sentence, asked as a session asks (deadline, circuit, counters); and the neuroscientist with the coach \
behind, who reads what the first one found. Measure a release build on a quiet machine.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Questions of each kind in a round.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(2..=100_000_000))]
    consults: u32,
    /// Rounds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
enum Way {
    Bare,
    Desk,
    Panel,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    if cfg!(debug_assertions) {
        context.console.note("this is a debug build: its numbers say nothing");
    }
    let stage = Stage::set(context)?;
    // The first questions meet cold caches, and belong to no round.
    for way in Way::ALL {
        stage.ask(way, args.consults / 10 + 1).await?;
    }
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..args.rounds {
        let mut ways = Way::ALL;
        ways.rotate_left(round as usize % Way::ALL.len());
        for way in ways {
            let took = stage.ask(way, args.consults).await?;
            rates[way as usize].push(f64::from(args.consults) / took.as_secs_f64().max(1e-9));
        }
        let [bare, desk, panel] = [0, 1, 2].map(|way: usize| rates[way].last().copied().unwrap_or_default());
        context.console.line(format_args!("round {}: {}", round + 1, line(bare, desk, panel)))?;
        context.console.flush()?;
    }
    let ratios = rates[2].iter().zip(&rates[0]).map(|(panel, bare)| panel / bare).collect();
    let [bare, desk, panel] = rates.map(|rates| spread(rates)[1]);
    context.console.line(format_args!("median:  {}", line(bare, desk, panel)))?;
    let [least, middle, most] = spread(ratios);
    context
        .console
        .line(format_args!("panel / bare, by round: min {least:.2}   median {middle:.2}   max {most:.2}"))?;
    Ok(Exit::Done)
}

fn line(bare: f64, desk: f64, panel: f64) -> String {
    format!("bare actor {bare:.0}/s   one agent {desk:.0}/s   panel {panel:.0} consults/s")
}

impl Way {
    const ALL: [Self; 3] = [Self::Bare, Self::Desk, Self::Panel];
}

/// Those who are asked, and the questions.
struct Stage {
    bare: Recipient<Consult>,
    desk: Desk,
    panel: Desk,
    questions: Vec<Consult>,
    sentence: AgentId,
    coach: AgentId,
}

impl Stage {
    fn set(context: &Context) -> anyhow::Result<Self> {
        let settings = context.config.converse.consults();
        let all = dialogue::shipped().into_iter().filter(|case| case.agent.as_str() == "neuroscientist");
        Ok(Self {
            bare: Bare.start().recipient(),
            desk: Agents::none().with(Sentence("sentence")).hosted(settings.clone()).open_desk(),
            panel: Agents::built_in().hosted(settings).open_desk(),
            questions: all.map(|case| case.consult()).collect(),
            sentence: AgentId::new("sentence")?,
            coach: AgentId::new("coach")?,
        })
    }

    /// How long so many questions take.
    async fn ask(&self, way: Way, count: u32) -> anyhow::Result<Duration> {
        let mut questions = self.questions.iter().cycle();
        let mut next = || questions.next().cloned().context("there are no dialogues");
        let began = Instant::now();
        let mut asked = 0;
        while asked < count {
            let mut question = next()?;
            match way {
                Way::Bare => {
                    black_box(self.bare.send(question).await??);
                }
                Way::Desk => {
                    question.agent = self.sentence.clone();
                    black_box(answer(&self.desk, question).await?);
                }
                Way::Panel => {
                    let mut second = question.clone();
                    let first = std::mem::replace(&mut second.agent, self.coach.clone());
                    let found = answer(&self.panel, question).await?;
                    second.panel.push(spoken(&first, &found));
                    black_box(answer(&self.panel, second).await?);
                    asked += 1;
                }
            }
            asked += 1;
        }
        Ok(began.elapsed())
    }
}

async fn answer(desk: &Desk, question: Consult) -> anyhow::Result<Advice> {
    match desk.ask(question).await {
        Heard::Answered(answered) => match answered.outcome {
            Ok(advice) => Ok(advice),
            Err(why) => bail!("an agent gave no answer: {why:?}"),
        },
        Heard::Again(_) => bail!("an agent failed"),
    }
}

/// An actor with nothing around it.
struct Bare;

impl Actor for Bare {
    type Context = ActorContext<Self>;
}

impl Handler<Consult> for Bare {
    type Result = Result<Advice, AgentError>;

    fn handle(&mut self, _: Consult, _: &mut Self::Context) -> Self::Result {
        Ok(Advice::say(SENTENCE))
    }
}
