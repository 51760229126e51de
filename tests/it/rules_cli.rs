//! `auren rules`: what is wrong with a rule, what it would have said in a past, how good that was, and why.

use std::{fs, process::Output};

use crate::support::Program;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn done(program: &Program, arguments: &[&str]) -> String {
    let output = program.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    out(&output)
}

/// Invented wearers in `past.ndjson`, and what befell them in `labels.ndjson`.
fn wearers(program: &Program, users: &str, days: &str) {
    let what = ["simulate", "--users", users, "--days", days, "--seed", "1"];
    done(program, &[&what[..], &["--out", "past.ndjson", "--labels", "labels.ndjson"]].concat());
}

/// The line of a rule: alerts, and in percent precision and recall, its own and the naive rule's.
fn line(table: &str, rule: &str) -> (u32, [i32; 4]) {
    let line = table.lines().find(|line| line.starts_with(rule)).unwrap_or_else(|| panic!("{rule}: {table}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let percents: Vec<i32> = words.iter().filter_map(|word| word.strip_suffix('%')?.parse().ok()).collect();
    (words[2].parse().unwrap(), percents.try_into().unwrap())
}

#[test]
fn low_weeks_are_right_more_often_than_the_naive_rule_at_their_rate_and_find_more_episodes() {
    let program = Program::new();
    wearers(&program, "60", "120");
    // All that this rule reads, so that it takes seconds.
    let past = fs::read_to_string(program.folder().join("past.ndjson")).unwrap();
    let past: String = past.lines().filter(|line| line.contains("\"rmssd\"")).flat_map(|line| [line, "\n"]).collect();
    fs::write(program.folder().join("nights.ndjson"), past).unwrap();
    let backtest = ["rules", "backtest", "nights.ndjson", "--labels", "labels.ndjson", "--chart", "alerts.svg"];
    let table = done(&program, &backtest);
    let (alerts, [precision, recall, naive_precision, naive_recall]) = line(&table, "hrv_week_below_baseline");
    assert!(alerts > 80 && precision > naive_precision && recall > naive_recall, "{table}");
    let chart = fs::read_to_string(program.folder().join("alerts.svg")).unwrap();
    assert!(chart.contains("hrv_week_below_baseline: 0.") && chart.matches("<circle").count() > 80);
}

#[test]
fn an_alert_and_a_day_without_one_are_explained_in_sentences_with_numbers() {
    let program = Program::new();
    wearers(&program, "6", "60");
    let alerts = done(&program, &["rules", "backtest", "past.ndjson", "--json"]);
    let said: Vec<serde_json::Value> = alerts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said = said.iter().find(|trigger| trigger["rule"]["id"] == "short_nights_in_a_row").unwrap();
    let (user, at) = (said["user_id"].as_str().unwrap(), said["timestamp"].as_str().unwrap());
    let explain = |at: &str| {
        let what = ["rules", "explain", "past.ndjson", "--rule", "short_nights_in_a_row", "--user", user, "--at", at];
        done(&program, &what)
    };
    let spoke = explain(at);
    assert!(spoke.contains("spoke: 3 nights in a row with less than six hours of sleep."), "{spoke}");
    assert!(spoke.contains("3 nights in a row were shorter than six hours") && spoke.contains("that is this event"));
    let silent = explain("2024-01-10T23:00:00Z");
    assert!(silent.contains("said nothing.") && silent.contains("Its condition does not hold"), "{silent}");
    assert!(silent.contains("short.run is ") && silent.contains("It has said nothing before."), "{silent}");
}

/// A rule that speaks where no night has come for two days.
const ABSENCE: &str = "\
id: no_night
version: 1
owner: tests
title: no night
source: none
trigger: sleep_deprivation
agents: [coach]
inputs: { night: { type: sleep_analysis, measure: asleep } }
signals: { gone: { input: night, absent: 48h } }
when: gone.absent
severity: '0.5'
message: 'No night for {gone.hours} hours.'
explanation: 'The last night ended {gone.hours} hours before.'
tests:
  - name: two days without a night
    days: [ { night: {} }, {}, {}, {} ]
    alerts: [2]
  - name: a night in time
    days: [ { night: {} }, { night: {} }, {} ]
    alerts: []
";

#[test]
fn a_rule_is_checked_tried_and_explained_where_time_alone_makes_it_speak() {
    let program = Program::new();
    fs::write(program.folder().join("rule.yaml"), ABSENCE).unwrap();
    let typo = ABSENCE.replace("gone.absent", "gone.absnt");
    fs::write(program.folder().join("typo.yaml"), typo).unwrap();
    let output = program.run(&["rules", "lint", "typo.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).contains("typo.yaml:10:11: ") && out(&output).contains("did you mean `gone.absent`?"),
        "{}",
        out(&output)
    );
    assert!(done(&program, &["rules", "lint", "rule.yaml"]).contains("nothing wrong"));
    done(&program, &["rules", "test", "rule.yaml"]);
    let nights = "person,date,rmssd_ms,minutes_asleep\nP1,2024-01-01,40,420\nP2,2024-01-01,40,420\nP2,2024-01-02,40,420\n\
                  P2,2024-01-03,40,420\n";
    fs::write(program.folder().join("nights.csv"), nights).unwrap();
    let rule = ["--rules", "rule.yaml"];
    let said = done(&program, &[&["rules", "backtest", "nights.csv", "--json"][..], &rule].concat());
    assert_eq!(said.lines().count(), 1, "of the one whose nights end two days before the end: {said}");
    assert!(said.contains("No night for 48 hours.") && said.contains("\"user_id\":\"P1\""), "{said}");
    let explained = done(&program, &[&["rules", "explain", "nights.csv", "--user", "P2"][..], &rule].concat());
    assert!(
        explained.contains("said nothing.") && explained.contains("The last night ended 0 hours before."),
        "{explained}"
    );
    let until = "2024-01-05T12:00:00Z";
    let explained =
        done(&program, &[&["rules", "explain", "nights.csv", "--user", "P2", "--at", until][..], &rule].concat());
    assert!(
        explained.contains("spoke: No night for 48 hours.") && explained.contains("that is this moment"),
        "{explained}"
    );
}
