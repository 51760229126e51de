//! What is found by time alone: absences, and what waits for a lateness.

use proptest::prelude::*;

use super::*;

const BEGIN: i64 = 1_704_067_200_000;

/// So many hours after the beginning of 2024.
fn at(hours: i64) -> i64 {
    BEGIN + hours * HOUR_MS
}

fn absence(more: &str) -> String {
    rule(&format!("{INPUTS}when: gone.absent\nsignals: {{ gone: {{ input: night, absent: 24h }} }}\n{more}"))
}

fn night(hours: i64) -> BiometricEvent {
    event(&format!("n-{hours}"), hours, "asleep", 0.0, "")
}

/// The hours at which findings are about.
fn hours(found: &[Finding]) -> Vec<i64> {
    found.iter().map(|finding| (finding.at - BEGIN) / HOUR_MS).collect()
}

/// Works an event that was written some hours after its own time.
fn late(rules: &Rules, memory: &mut Memory, event: &BiometricEvent, delay: i64, found: &mut Vec<Finding>) {
    let (noted, stream) = Noted::of(event);
    rules.work(memory, noted, &stream, event.timestamp.millis() + delay * HOUR_MS, found);
}

#[test]
fn an_absence_is_found_by_time_alone_once_and_at_the_same_moment_by_the_next_event() {
    let text = rule(&format!("{INPUTS}when: gone.absent\nsignals: {{ gone: {{ input: night, absent: 24h }} }}\n"));
    let rules = compiled(&[text]);
    let first = event("n-0", 0, "asleep", 0.0, "");
    let later = event("m-1", 60, "mood", 0.0, "");
    let by_event = written(&rules, &[&first, &later]);
    assert_eq!(by_event.len(), 1);
    let mut memory = Memory::default();
    let mut found = Vec::new();
    work(&rules, &mut memory, &first, &mut found);
    for hours in [10, 23] {
        rules.tick(&mut memory, at(hours), &mut found);
        assert_eq!(found, []);
    }
    rules.tick(&mut memory, at(25), &mut found);
    rules.tick(&mut memory, at(49), &mut found);
    assert_eq!(found.len(), 1);
    let user = UserId::new("u-1").unwrap();
    let by_time = serde_json::to_string(&trigger(&user, &rules, &found[0]).unwrap()).unwrap();
    assert_eq!(by_event, [by_time]);
    // It comes back, and is gone again.
    found.clear();
    work(&rules, &mut memory, &event("n-1", 70, "asleep", 0.0, ""), &mut found);
    rules.tick(&mut memory, at(95), &mut found);
    assert_eq!(found.len(), 1);
}

#[test]
fn an_absence_that_an_event_which_is_not_entered_brings_to_light_is_written() {
    let of_mood = rule(&format!("{INPUTS}when: event.severity >= 0.5\n"));
    let absence = rule(&format!("{INPUTS}when: gone.absent\nsignals: {{ gone: {{ input: night, absent: 24h }} }}\n"));
    let (before, after) = (compiled(&[of_mood]), compiled(&[absence]));
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    let mut worked = |rules: &Rules, event: &BiometricEvent| (work(rules, &mut memory, event, &mut found), found.len());
    let mood = event("m", 30, "mood", 0.0, "");
    assert_eq!(worked(&before, &event("n", 0, "asleep", 0.0, "")), (true, 0));
    assert_eq!(worked(&before, &mood), (true, 0));
    // The same event once more, when a rule has come that finds something by then.
    assert_eq!(worked(&after, &mood), (true, 1));
    assert_eq!(worked(&after, &mood), (false, 1));
}

#[test]
fn a_session_asks_to_be_woken_when_an_absence_is_complete_and_for_no_longer() {
    let rules = compiled(&[absence("")]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&rules, &mut memory, &night(0), &mut found);
    assert_eq!(memory.wake(), Some(at(24)));
    work(&rules, &mut memory, &event("m", 9, "mood", 0.0, ""), &mut found);
    assert_eq!(memory.wake(), Some(at(24)), "another stream changes nothing");
    work(&rules, &mut memory, &night(20), &mut found);
    assert_eq!((memory.wake(), hours(&found)), (Some(at(44)), vec![]), "it came in time");
    assert!(!rules.tick(&mut memory, at(43), &mut found), "nothing to write before its time");
    assert!(rules.tick(&mut memory, at(44), &mut found));
    assert_eq!((memory.wake(), hours(&found)), (None, vec![44]));
    let nobody = compiled(&[rule(&format!("{INPUTS}when: event.severity >= 0.5\n"))]);
    let mut memory = Memory::default();
    work(&nobody, &mut memory, &night(0), &mut found);
    assert_eq!(memory.wake(), None, "no rule minds time");
}

#[test]
fn an_absence_waits_for_what_the_lateness_allows_and_what_comes_within_it_comes_in_time() {
    let inputs = "inputs: { night: { type: sleep_analysis, measure: asleep, lateness: 6h } }\n";
    let text = rule(&format!("{inputs}when: gone.absent\nsignals: {{ gone: {{ input: night, absent: 24h }} }}\n"));
    let rules = compiled(&[text]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&rules, &mut memory, &night(0), &mut found);
    rules.tick(&mut memory, at(30), &mut found);
    assert_eq!((hours(&found), memory.wake()), (vec![], Some(at(30) + 1)));
    let mut other = memory.clone();
    rules.tick(&mut memory, at(31), &mut found);
    assert_eq!((hours(&found), memory.wake()), (vec![24], None));
    found.clear();
    late(&rules, &mut other, &night(23), 6, &mut found);
    rules.tick(&mut other, at(31), &mut found);
    assert_eq!((hours(&found), other.wake()), (vec![], Some(at(53) + 1)));
}

#[test]
fn what_waits_for_a_lateness_is_judged_when_it_is_over() {
    let inputs = "inputs: { mood: { type: mood_tracking, measure: mood, lateness: 6h } }\n";
    let rules = compiled(&[rule(&format!("{inputs}when: event.severity >= 0.5\n"))]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&rules, &mut memory, &event("m", 3, "mood", 0.5, ""), &mut found);
    assert_eq!((hours(&found), memory.wake()), (vec![], Some(at(9) + 1)));
    assert!(rules.tick(&mut memory, at(10), &mut found));
    assert_eq!((hours(&found), memory.wake()), (vec![3], None));
    work(&rules, &mut memory, &night(11), &mut found);
    assert_eq!(memory.wake(), None, "no rule waits for it");
}

#[test]
fn hours_of_silence_and_a_day_s_cap_put_an_absence_off_to_their_end() {
    let quiet = "quiet_hours: { from: \"22:00\", to: \"06:30\" }\n";
    let rules = compiled(&[absence(quiet)]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&rules, &mut memory, &night(1), &mut found);
    rules.tick(&mut memory, at(25), &mut found);
    assert_eq!((found.len(), memory.wake()), (0, Some(at(30) + HOUR_MS / 2)));
    let mut back = memory.clone();
    rules.tick(&mut memory, at(31), &mut found);
    assert_eq!((found.len(), found[0].at, memory.wake()), (1, at(30) + HOUR_MS / 2, None));
    found.clear();
    work(&rules, &mut back, &night(28), &mut found);
    rules.tick(&mut back, at(40), &mut found);
    assert_eq!((found.len(), back.wake()), (0, Some(at(52))), "by then it was there again");
    let text = absence("worse: 0.0\ndaily_cap: 1\n").replace("24h", "5h");
    let capped_5h = compiled(&[text]);
    let mut memory = Memory::default();
    for hour in [0, 6, 30] {
        work(&capped_5h, &mut memory, &night(hour), &mut found);
    }
    capped_5h.tick(&mut memory, at(99), &mut found);
    assert_eq!(hours(&found), [5, 24, 48], "each waits for a day of its own, and is still so then");
}

#[test]
fn a_fast_clock_brings_nothing_forward_and_a_past_that_comes_at_once_is_no_silence() {
    let rules = compiled(&[absence("")]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&rules, &mut memory, &night(0), &mut found);
    // Ten hours ahead of when it was written.
    late(&rules, &mut memory, &event("fast", 30, "mood", 0.0, ""), -10, &mut found);
    assert_eq!((hours(&found), memory.wake()), (vec![], Some(at(24))));
    // Sixty days that come within a minute.
    let mut memory = Memory::default();
    for night_number in 0..60 {
        late(&rules, &mut memory, &night(23 * night_number), 23 * (60 - night_number), &mut found);
    }
    assert_eq!((hours(&found), memory.wake()), (vec![], Some(at(23 * 60 + 24))), "a day after the last was written");
    rules.tick(&mut memory, at(23 * 60 + 23), &mut found);
    assert!(found.is_empty());
    rules.tick(&mut memory, at(23 * 60 + 24), &mut found);
    assert_eq!(hours(&found), [23 * 59 + 24], "and about the moment at which it was complete");
}

#[test]
fn what_was_due_before_an_event_was_written_comes_before_it_also_where_the_node_was_away() {
    let rules = compiled(&[absence("")]);
    let run = |awake: bool| {
        let (mut memory, mut found) = (Memory::default(), Vec::new());
        work(&rules, &mut memory, &night(0), &mut found);
        if awake {
            rules.tick(&mut memory, at(24), &mut found);
        }
        late(&rules, &mut memory, &night(23), 4, &mut found);
        rules.tick(&mut memory, at(46), &mut found);
        let user = UserId::new("u-1").unwrap();
        let all = found.iter().map(|finding| serde_json::to_string(&trigger(&user, &rules, finding).unwrap()).unwrap());
        all.collect::<Vec<_>>()
    };
    assert_eq!(run(true), run(false));
    assert_eq!(run(false).len(), 1, "it was four hours late, and none is allowed");
}

#[test]
fn rules_that_change_change_what_is_waited_for() {
    let of = |span: &str| compiled(&[absence("").replace("24h", span)]);
    let (day, hours_12, days_2) = (of("24h"), of("12h"), of("48h"));
    assert!(day.timing != hours_12.timing && day.timing == of("24h").timing);
    let none = compiled(&[rule(&format!("{INPUTS}when: event.severity >= 0.5\n"))]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&day, &mut memory, &night(0), &mut found);
    for (rules, hour, wake, said) in [(&days_2, 24, Some(at(48)), vec![]), (&none, 25, None, vec![])] {
        assert!(rules.tick(&mut memory, at(hour), &mut found), "{hour}");
        assert_eq!((memory.wake(), hours(&found)), (wake, said), "{hour}");
    }
    assert!(!day.tick(&mut memory, at(26), &mut found), "without a rule that minds time no clock is kept");
    work(&day, &mut memory, &event("m", 30, "mood", 0.0, ""), &mut found);
    assert_eq!(hours(&found), [24]);
    let mut memory = Memory::default();
    found.clear();
    work(&days_2, &mut memory, &night(0), &mut found);
    hours_12.tick(&mut memory, at(20), &mut found);
    assert_eq!(hours(&found), [12], "it was due before it was pushed, and is still so");
}

#[test]
fn of_two_absences_that_must_both_be_the_later_one_counts() {
    let both = "signals: { a: { input: night, absent: 24h }, b: { input: mood, absent: 9h } }\n";
    let rules = compiled(&[rule(&format!("{INPUTS}when: a.absent && b.absent\n{both}"))]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    work(&rules, &mut memory, &night(0), &mut found);
    work(&rules, &mut memory, &event("m", 20, "mood", 0.0, ""), &mut found);
    assert_eq!(memory.wake(), Some(at(24)));
    rules.tick(&mut memory, at(24), &mut found);
    assert_eq!((memory.wake(), hours(&found)), (Some(at(29)), vec![]));
    rules.tick(&mut memory, at(29), &mut found);
    assert_eq!((memory.wake(), hours(&found)), (None, vec![29]));
}

fn many() -> u32 {
    std::env::var("AUREN_TEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

/// Rules that mind time, of every kind.
fn timely() -> Rules {
    let late = INPUTS.replace("asleep }", "asleep, lateness: 6h }");
    let shapes = [
        "when: a.absent\nsignals: { a: { input: night, absent: 20h } }\n".to_owned(),
        "when: 'a.absent && b.count >= 1'\nsignals: { a: { input: mood, absent: 9h }, b: { input: night, last: 2d } }\n\
         quiet_hours: { from: \"22:00\", to: \"06:00\" }\ncooldown: 1d\n"
            .to_owned(),
        "when: a.absent\nsignals: { a: { input: mood, absent: 30h, after: { input: night, where: 'band == \"short\"' } } }\n\
         worse: 0.0\ndaily_cap: 1\n"
            .to_owned(),
        "when: 'a.mean > 0.5'\nsignals: { a: { input: mood, last: 2d } }\nremind: 3d\n".to_owned(),
    ];
    let texts = shapes.iter().flat_map(|shape| [INPUTS, late.as_str()].map(|inputs| format!("{inputs}{shape}")));
    let texts = texts.enumerate().map(|(index, parts)| rule(&parts).replace("id: r", &format!("id: r{index}")));
    compiled(&texts.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(many()))]

    #[test]
    fn being_woken_often_seldom_or_only_at_the_end_gives_the_same_triggers_byte_for_byte(
        month in prop::collection::vec((0_i64..20, any::<bool>(), 0_u8..5, 0_i64..9), 5..60),
        wakes in prop::collection::vec(0_i64..800, 0..40),
    ) {
        let rules = timely();
        let mut hour = 0;
        let mut arrivals: Vec<(i64, i64, Option<BiometricEvent>)> = Vec::new();
        for (index, (gap, mood, severity, delay)) in month.iter().enumerate() {
            hour += gap;
            let (measure, band) = (if *mood { "mood" } else { "asleep" }, if *severity > 2 { "short" } else { "" });
            let made = event(&format!("e-{index}"), hour, measure, f64::from(*severity) / 4.0, band);
            // Half of them come at once.
            arrivals.push((hour + (delay - 4).max(0), 1, Some(made)));
        }
        let end = hour + 200;
        let run = |wakes: &[i64]| {
            let user = UserId::new("u-1").unwrap();
            let (mut memory, mut found, mut said) = (Memory::default(), Vec::new(), Vec::new());
            let mut steps = arrivals.clone();
            // A node is woken after what was written by then.
            steps.extend(wakes.iter().filter(|hour| **hour < end).map(|hour| (*hour, 2, None)));
            steps.sort_by_key(|(hour, order, _)| (*hour, *order));
            steps.push((end, 2, None));
            for (hour, _, event) in steps {
                match event {
                    Some(event) => {
                        let (noted, stream) = Noted::of(&event);
                        rules.work(&mut memory, noted, &stream, at(hour), &mut found);
                    }
                    None => drop(rules.tick(&mut memory, at(hour), &mut found)),
                }
                let all = found.drain(..).map(|finding| trigger(&user, &rules, &finding).unwrap());
                said.extend(all.map(|trigger| serde_json::to_string(&trigger).unwrap()));
                memory = Memory::read(&memory.saved().unwrap()).unwrap();
            }
            said
        };
        prop_assert_eq!(run(&[]), run(&wakes));
    }

    #[test]
    fn woken_exactly_when_it_asked_a_session_says_all_that_there_is(
        gaps in prop::collection::vec((0_i64..60, any::<bool>(), 0_u8..5), 3..30),
    ) {
        let rules = timely();
        let (mut seldom, mut asked) = (Memory::default(), Memory::default());
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let mut hour = 0;
        for (index, (gap, mood, severity)) in gaps.iter().enumerate() {
            hour += gap;
            while let Some(wake) = asked.wake().filter(|wake| *wake <= at(hour)) {
                rules.tick(&mut asked, wake, &mut other);
                prop_assert!(asked.wake().is_none_or(|next| next > wake), "it asks for what is over");
            }
            let (measure, band) = (if *mood { "mood" } else { "asleep" }, if *severity > 2 { "short" } else { "" });
            let made = event(&format!("e-{index}"), hour, measure, f64::from(*severity) / 4.0, band);
            work(&rules, &mut seldom, &made, &mut one);
            work(&rules, &mut asked, &made, &mut other);
            prop_assert_eq!(&one, &other);
        }
    }
}
