//! `auren bench phi`: how many tokens one core seals and opens in a second, beside the cipher alone on the same bytes.

use std::{hint::black_box, time::Instant};

use auren::phi::{Binding, Keys, Measured, Yardstick};
use auren_agents::{BiometricType, EventId, UserId};

use crate::cli::{Context, Exit};

/// Rounds, of which the median counts; the four figures of a round are taken one after the other.
const ROUNDS: usize = 5;

const EXAMPLES: &str = "\
Examples:
  auren bench phi
  auren bench phi --tokens 500000

A token costs a key derivation, a commitment and base64 beside the cipher. Everything runs on one core; compare within \
one run only. It needs no bus and no keyring.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// How many tokens a round.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    tokens: u32,
}

pub(in crate::cli) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let count = args.tokens;
    let user = UserId::new("u-1")?;
    let key = Keys::ephemeral("bench").make(&user, i64::from(count) * 5).await?;
    let (event, event_type) = (EventId::derived(&["bench"]), BiometricType::HrvMeasurement);
    let binding = Binding::value(&event, &event_type);
    let measured = Measured { value: 41.875, measure: "rmssd".to_owned(), unit: "ms".to_owned() };
    let aad = [7; 96];
    let bare = Yardstick::default();
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let tokens = (0..count).map(|_| key.seal(&binding, &measured)).collect::<Result<Vec<_>, _>>()?;
        figures[0].push(f64::from(count) / began.elapsed().as_secs_f64());
        let began = Instant::now();
        for token in &tokens {
            black_box(key.open(&binding, token)?);
        }
        figures[1].push(f64::from(count) / began.elapsed().as_secs_f64());
        let began = Instant::now();
        let sealed = (0..count).map(|number| bare.seal(number.into(), &aad)).collect::<Result<Vec<_>, _>>()?;
        figures[2].push(f64::from(count) / began.elapsed().as_secs_f64());
        let began = Instant::now();
        for (number, sealed) in (0_u64..).zip(&sealed) {
            black_box(bare.open(number, &aad, sealed)?);
        }
        figures[3].push(f64::from(count) / began.elapsed().as_secs_f64());
    }
    let [seals, opens, bare_seals, bare_opens] = figures.map(|mut rounds| {
        rounds.sort_unstable_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    });
    for (what, tokens, cipher) in [("seals", seals, bare_seals), ("opens", opens, bare_opens)] {
        context.console.line(format_args!(
            "{what} a second on one core: {tokens:.0}; AES-256-GCM alone on the same bytes: {cipher:.0} ({:.2})",
            tokens / cipher
        ))?;
    }
    Ok(Exit::Done)
}
