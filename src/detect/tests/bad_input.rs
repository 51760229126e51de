//! Rules that cannot be used: what is said, and where.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let text = RuleText { file: "r.yaml".to_owned(), text: text.to_owned(), shadow: false };
    Rules::compile(&[text]).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn each_mistake_is_told_with_its_place_and_what_to_do() {
    let signal = |signal: &str| rule(&format!("{INPUTS}when: a.count >= 1\nsignals:\n  a: {signal}\n"));
    for (text, expected) in [
        (rule("inputs: {}\nwhen: 'true'\nwenn: 'true'\n"), "r.yaml:12:1: unknown field `wenn`"),
        (rule(&format!("{INPUTS}when: 'true'\n")), "r.yaml:13:7: this is the same for every event of everybody"),
        (rule(&format!("{INPUTS}when: event.severty >= 0.5\n")), "did you mean `event.severity`?"),
        (rule(&format!("{INPUTS}when: event.severity >= 35.0\n")), "is the limit in another unit?"),
        (rule(&format!("{INPUTS}when: event.severity + 1 > 1.0\n")), "write 1.0"),
        (rule(&format!("{INPUTS}when: '[1, 2].exists(x, x > 1)'\n")), "loops are not used in rules"),
        (rule(&format!("{INPUTS}when: event.severity\n")), "this must be true or false"),
        (
            rule("inputs: { n: { type: sleep_analysis, measure: asleep, unit: h } }\nwhen: event.severity > 0.5\n"),
            "r.yaml:10:61: asleep is in min, not in h (limits are written in the statistic's own unit)",
        ),
        (
            rule("inputs: { n: { type: mood_tracking, measure: asleep } }\nwhen: event.severity > 0.5\n"),
            "it comes as sleep_analysis",
        ),
        (signal("{ input: night }"), "it would remember a whole life"),
        (signal("{ input: night, last: 3 weeks }"), "`3 weeks` is no span of time (such as 36h, 90m or 7d)"),
        (signal("{ input: night, last: 400d }"), "at most 62 d"),
        (signal("{ input: night, newest: 0 }"), "this is from 1 to 128"),
        (signal("{ input: nigth, last: 3d }"), "there is no input `nigth` (did you mean night?)"),
        (signal("{ input: night, last: 3d, where: 'severity >= \"high\"' }"), "a number and a text do not compare"),
        (
            signal("{ sequence: [ { input: night }, { input: mood } ] }"),
            "it would wait for its next step for a whole life",
        ),
        (signal("{ input: night, tumbling: 32d }"), "32d is too long (at most 31 d: the window before"),
        (
            signal("{ within: 1d, where: 'severity > 0.5', sequence: [ { input: night }, { input: mood } ] }"),
            "`where` does not belong to a signal of this shape",
        ),
        (
            signal("{ input: night, within: 1d, sequence: [ { input: night }, { input: mood } ] }"),
            "`input` does not belong to a signal of this shape",
        ),
        (signal("{ input: night, absent: 1d, value: rank }"), "`value` does not belong to a signal of this shape"),
        (signal("{ input: night, nights: 3, most: 2 }"), "`most` does not belong to a signal of this shape"),
        (signal("{ input: night, newest: 3, most: 2 }"), "`most` does not belong to a signal of this shape"),
        (
            signal("{ input: night, last: 3d, after: { input: mood } }"),
            "`after` does not belong to a signal of this shape",
        ),
        (
            signal("{ within: 1d, sequence: [ { input: night, times: 0 }, { input: night }, { input: mood } ] }"),
            "a step comes at least once, and what never comes is not counted",
        ),
        (
            signal(
                "{ within: 1d, sequence: [ { input: night }, { input: night, times: 2, never: true }, { input: mood } ] }",
            ),
            "a step comes at least once, and what never comes is not counted",
        ),
        (signal("{ input: night, tumbling: 7h }"), "a day is not made of windows of 7h"),
        (signal("{ input: night, nights: 5, value: severty }"), "did you mean severity?"),
        (rule(&format!("{INPUTS}when: event.severity > 0.5\ncooldown: 4d\nremind: 2d\n")), "make `remind` longer"),
        ("id: [".to_owned(), "r.yaml:1:"),
        (String::new(), "r.yaml:1:1: "),
    ] {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}:\n{}", found.join("\n"));
    }
}

#[test]
fn an_expression_without_end_is_refused_and_a_deep_one_harms_nobody() {
    let deep = |open: &str, close: &str, times: usize| {
        let condition = format!("{}event.severity > 0.5{}", open.repeat(times), close.repeat(times));
        problems(&rule(&format!("{INPUTS}when: '{condition}'\n")))
    };
    assert!(deep("(", ")", 5000)[0].contains("longer than 2000 bytes"));
    for (open, close) in [("(", ")"), ("!(", ")"), ("true && (", ")"), ("event.severity > 0.5 ? true : (", ")")] {
        let times = 1900 / (open.len() + close.len());
        // As it may be within a node: on a thread with the usual stack.
        let (open, close) = (open.to_owned(), close.to_owned());
        let text =
            rule(&format!("{INPUTS}when: '{}event.severity > 0.5{}'\n", open.repeat(times), close.repeat(times)));
        let compiling = std::thread::spawn(move || {
            let text = RuleText { file: "r.yaml".to_owned(), text, shadow: false };
            drop(Rules::compile(&[text]));
        });
        compiling.join().unwrap();
    }
}

#[test]
fn a_trigger_type_or_an_agent_that_cannot_be_is_refused_at_once_with_the_rest() {
    let text =
        rule(&format!("{INPUTS}when: event.severity > 0.5\n")).replace("hrv_drop", "hrv_drp").replace("coach", "");
    let found = problems(&text);
    assert!(found.len() >= 2 && found[0].contains("did you mean hrv_drop?"), "{found:?}");
}
