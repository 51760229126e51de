//! Event time: order of arrival, lateness, absence, clocks, versions.

use proptest::prelude::*;

use super::*;

fn many() -> u32 {
    std::env::var("AUREN_TEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

/// Rules of every shape, whose inputs allow six hours.
fn patient() -> Rules {
    let inputs = "inputs:\n  night: { type: sleep_analysis, measure: asleep, lateness: 6h }\n  mood: { type: mood_tracking, measure: mood, lateness: 6h }\n";
    let shapes = [
        (
            "when: 'a.run >= 2'\nsignals: { a: { input: night, nights: 9, where: 'severity >= 0.5' } }\n",
            "cooldown: 1d\n",
        ),
        ("when: 'a.mean > 0.5'\nsignals: { a: { input: mood, last: 2d } }\n", "remind: 3d\n"),
        ("when: 'a.count >= 2'\nsignals: { a: { input: night, tumbling: 2d, where: 'band == \"short\"' } }\n", ""),
        (
            "when: 'a.found'\nsignals: { a: { within: 3d, sequence: [ { input: night }, { input: mood, where: 'severity > 0.5', comes: next } ] } }\n",
            "worse: 0.0\n",
        ),
        ("when: 'a.absent'\nsignals: { a: { input: mood, absent: 20h } }\n", ""),
    ];
    let texts = shapes.iter().enumerate();
    let texts = texts.map(|(index, (shape, more))| {
        rule(&format!("{inputs}{shape}{more}")).replace("id: r", &format!("id: r{index}"))
    });
    compiled(&texts.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(many()))]

    #[test]
    fn any_order_of_arrival_within_the_lateness_gives_the_same_triggers_byte_for_byte(
        month in prop::collection::vec((0_i64..9, 0_u8..3, 0_u8..5, 0_i64..=6, any::<bool>()), 20..150),
    ) {
        let rules = patient();
        let mut at = 0;
        let mut events = Vec::new();
        for (index, (gap, kind, severity, delay, doubled)) in month.iter().enumerate() {
            at += gap;
            let measure = ["asleep", "mood", "sleep_efficiency"][usize::from(*kind)];
            let band = if *severity > 2 { "short" } else { "" };
            events.push((event(&format!("e-{index}"), at, measure, f64::from(*severity) / 4.0, band), at + delay, *doubled));
        }
        events.sort_by_key(|(event, ..)| event.timestamp.millis());
        let in_order: Vec<_> = events.iter().map(|(event, ..)| event).collect();
        let mut arrivals: Vec<_> = events.iter().map(|(event, comes, _)| (*comes, event)).collect();
        arrivals.extend(events.iter().filter(|(.., doubled)| *doubled).map(|(event, comes, _)| (*comes + 3, event)));
        arrivals.sort_by_key(|(comes, event)| (*comes, std::cmp::Reverse(event.event_id.as_str().to_owned())));
        let shuffled: Vec<_> = arrivals.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(written(&rules, &in_order), written(&rules, &shuffled));
    }
}

#[test]
fn a_rule_is_not_judged_at_another_stream_s_event_of_the_same_moment() {
    let rules =
        compiled(&[rule("inputs: { mood: { type: mood_tracking, measure: mood } }\nwhen: 'event.severity >= 0.5'\n")]);
    let said = |night: f64, mood: f64| {
        written(&rules, &[&event("z", 7, "asleep", night, ""), &event("a", 7, "mood", mood, "")])
    };
    assert_eq!(said(1.0, 0.0), [""; 0]);
    let said = said(0.0, 1.0);
    assert!(said.len() == 1 && said[0].contains("\"context_window\":[\"a\"]"), "{said:?}");
}

#[test]
fn a_rule_is_explained_as_of_the_newest_event_of_its_inputs() {
    let text = rule("inputs: { mood: { type: mood_tracking, measure: mood } }\nwhen: 'event.severity >= 0.5'\n");
    let rules = compiled(&[text]);
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    assert_eq!(rules.explain(&memory, "r").unwrap().at, None);
    for event in [event("m", 0, "mood", 0.5, ""), event("n", 5, "asleep", 0.0, "")] {
        work(&rules, &mut memory, &event, &mut found);
    }
    let explained = rules.explain(&memory, "r").unwrap();
    assert!(explained.holds && explained.at == Some(found[0].at), "{explained:?}");
}

#[test]
fn a_stream_of_which_nothing_is_remembered_leaves_its_place_to_another() {
    let rules = compiled(&[rule(&format!("{INPUTS}when: event.severity >= 0.5\n"))]);
    let in_circumstances = |day: i64| {
        let severity = if day == 69 { 0.5 } else { 0.0 };
        let mut event = event(&format!("e-{day}"), 24 * day, "mood", severity, "");
        event.metadata.measurement_context = auren_agents::Text::cut(format!("circumstances {day}"));
        event
    };
    let past: Vec<_> = (0..70).map(in_circumstances).collect();
    assert_eq!(written(&rules, &past.iter().collect::<Vec<_>>()).len(), 1);
}

#[test]
fn a_gap_of_three_weeks_a_change_of_clocks_and_a_double_night_make_no_row() {
    let text = rule(&format!(
        "{INPUTS}when: short.run >= 3\nsignals: {{ short: {{ input: night, nights: 30, where: 'band == \"short\"' }} }}\n"
    ));
    let rules = compiled(&[text]);
    let short = |id: &str, hours: i64| event(id, hours, "asleep", 0.0, "short");
    let gap = [short("a", 7), short("b", 31), short("c", 31 + 21 * 24)];
    assert_eq!(written(&rules, &gap.iter().collect::<Vec<_>>()).len(), 0);
    let double = [short("a", 7), short("b", 8), short("c", 31)];
    assert_eq!(written(&rules, &double.iter().collect::<Vec<_>>()).len(), 0);
    // An hour is lost between the second night and the third.
    let clocks = [short("a", 7), short("b", 31), short("c", 54)];
    assert_eq!(written(&rules, &clocks.iter().collect::<Vec<_>>()).len(), 1);
}

#[test]
fn quiet_hours_and_a_daily_cap_hold_an_alert_back_until_they_are_over() {
    let text =
        rule(&format!("{INPUTS}when: event.severity >= 0.5\nquiet_hours: {{ from: \"22:00\", to: \"06:00\" }}\n"));
    let rules = compiled(&[text]);
    let low = |id: &str, hours: i64| event(id, hours, "mood", 0.5, "");
    let said = written(&rules, &[&low("a", 23), &low("b", 29), &low("c", 30), &low("d", 31)]);
    assert!(said.len() == 1 && said[0].contains("2024-01-02T06:00:00"), "{said:?}");
    let text = rule(&format!("{INPUTS}when: event.severity >= 0.5\nworse: 0.0\ndaily_cap: 2\n"));
    let rules = compiled(&[text]);
    let day: Vec<_> = (1..30).map(|hours| low(&format!("e-{hours}"), hours)).collect();
    assert_eq!(written(&rules, &day.iter().collect::<Vec<_>>()).len(), 4);
}

#[test]
fn what_a_rule_finds_in_the_shadow_was_not_said() {
    let text = rule(&format!("{INPUTS}when: event.severity >= 0.5\ncooldown: 2d\n"));
    let of = |shadow: bool| {
        Rules::compile(&[RuleText { file: "rule.yaml".to_owned(), text: text.clone(), shadow }]).unwrap()
    };
    let (shadow, live) = (of(true), of(false));
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    let mut count = |rules: &Rules, id: &str, hours: i64| {
        work(rules, &mut memory, &event(id, hours, "mood", 0.5, ""), &mut found);
        found.len()
    };
    assert_eq!([count(&shadow, "a", 0), count(&live, "b", 1), count(&live, "c", 2)], [0, 1, 1]);
}

#[test]
fn a_severity_that_is_no_number_is_a_middling_one() {
    let text = rule(&format!("{INPUTS}when: event.severity >= 0.5\n"));
    let text = text.replace("severity: '0.5'", "severity: '(event.severity - 0.5) / (event.severity - 0.5)'");
    let said = written(&compiled(&[text]), &[&event("a", 0, "mood", 0.5, "")]);
    assert!(said.len() == 1 && said[0].contains("\"severity\":0.5"), "{said:?}");
}

#[test]
fn a_new_version_keeps_resets_or_migrates_what_was_said() {
    let version = |version: u32, change: &str| {
        let text = rule(&format!("{INPUTS}when: event.severity >= 0.5\ncooldown: 2d\non_change: {change}\n"));
        compiled(&[text.replace("version: 1", &format!("version: {version}"))])
    };
    for (change, expected) in [("keep", [0, 0]), ("reset", [1, 0]), ("migrate", [0, 1])] {
        let (old, new) = (version(1, change), version(2, change));
        let mut memory = Memory::default();
        let mut count = |rules: &Rules, id: &str, hours: i64| {
            let mut found = Vec::new();
            work(rules, &mut memory, &event(id, hours, "mood", 0.5, ""), &mut found);
            found.len()
        };
        assert_eq!(count(&old, "a", 0), 1);
        let said = [count(&new, "b", 24), count(&new, "c", 49)];
        // Within the cooldown a finding is news no more; what migrates is found out anew after it.
        let expected = if change == "migrate" { [0, 0] } else { expected };
        assert_eq!(said, expected, "{change}");
    }
}
