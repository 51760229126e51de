//! Values that others compute, too: statistics of NN intervals beside NeuroKit2, baselines beside pandas. Outside of
//! tests/run, because these packages are large: tests/bench/values/run.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use auren::{
    enrich::{Point, judge},
    intake::PlainReading,
};
use auren_agents::events;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::support::service;

/// Some minutes of heart beats, as they wander and jump.
fn intervals(draw: &mut StdRng, count: usize) -> Vec<f64> {
    let (usual, scatter) = (draw.random_range(550.0..1300.0), draw.random_range(4.0..90.0));
    let mut slow = 0.0;
    let beat = |_| {
        slow = 0.95 * slow + draw.random_range(-1.0..1.0);
        let nn: f64 = usual + scatter * (slow + draw.random_range(-1.0..1.0));
        nn.clamp(250.0, 2900.0)
    };
    (0..count).map(beat).collect()
}

/// Some weeks of nights, with gaps.
fn nights(draw: &mut StdRng) -> Vec<(i64, f64)> {
    let mut at = 1_704_092_400;
    let night = |_| {
        at += 86_400 * draw.random_range(1..3) + draw.random_range(-3600..3600);
        (at, f64::from(draw.random_range(150_u16..900)) / 10.0)
    };
    (0..40).map(night).collect()
}

fn made(measure: &str, nn: &[f64]) -> f64 {
    let reading = json!({
        "user_id": "u-1", "measure": measure, "nn_ms": nn, "source_device": "strap", "timestamp": "2024-01-01T07:00:00Z",
    });
    events::parse::<PlainReading>(reading.to_string().as_bytes()).unwrap().into_row().unwrap().value
}

#[test]
#[ignore = "wants NeuroKit2 and pandas: tests/bench/values/run"]
fn statistics_of_intervals_and_baselines_equal_those_of_neurokit2_and_pandas() {
    let mut draw = StdRng::seed_from_u64(1);
    let series: Vec<_> = [3, 10, 300, 1000, 5000, 30_000].iter().map(|count| intervals(&mut draw, *count)).collect();
    let people: Vec<_> = (0..20).map(|_| nights(&mut draw)).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/values/peers.py");
    let mut peers = Command::new(service("AUREN_TEST_PEERS"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!({ "intervals": series, "nights": people }).to_string();
    peers.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let told: Value = serde_json::from_slice(&peers.wait_with_output().unwrap().stdout).unwrap();
    let mut largest = std::collections::BTreeMap::new();
    let mut compare = |what: &'static str, ours: f64, theirs: &Value| {
        let difference: &mut f64 = largest.entry(what).or_default();
        *difference = difference.max((ours - theirs.as_f64().unwrap()).abs());
    };
    for (nn, told) in series.iter().zip(told["intervals"].as_array().unwrap()) {
        for measure in ["rmssd", "sdnn"] {
            compare(measure, made(measure, nn), &told[measure]);
        }
    }
    for (nights, told) in people.iter().zip(told["nights"].as_array().unwrap()) {
        let points: Vec<Point> = nights.iter().map(|(at, value)| Point { at: *at, value: *value }).collect();
        let (newest, past) = points.split_last().unwrap();
        let judged = judge("rmssd", *newest, past);
        let (mean, sd) = judged.summary.unwrap();
        compare("baseline: mean", mean, &told["mean"]);
        compare("baseline: sd", sd, &told["sd"]);
        compare("week beside baseline", judged.week.unwrap(), &told["week"]);
    }
    eprintln!("largest difference from NeuroKit2 {} and pandas {}", told["neurokit2"], told["pandas"]);
    for (what, difference) in &largest {
        eprintln!("{what:<22} {difference:.2e}");
    }
    assert!(largest.len() == 5 && largest.values().all(|difference| *difference < 1e-9), "{largest:?}");
}
