//! The engine beside a naive reference: everything is kept, every window is filtered anew, every sequence is tried with all
//! events there are, and conditions are judged by the interpreter of the `cel` crate.

use cel::{Context, Program, Value};
use proptest::prelude::*;

use super::*;

const DAY: i64 = 24;
/// From the beginning of 1970 to that of 2024.
const EPOCH_HOURS: i64 = 19_723 * DAY;

#[derive(Debug, Clone)]
struct Event {
    hours: i64,
    mood: bool,
    severity: f64,
    band: &'static str,
}

#[derive(Debug, Clone)]
enum Shape {
    Last(i64),
    Newest(usize),
    Nights(i64),
    Tumbling(i64),
    Session(i64),
    Sequence { steps: Vec<Step>, within: i64 },
}

#[derive(Debug, Clone)]
struct Step {
    mood: bool,
    condition: String,
    next: bool,
    /// What must not lie before it.
    never: bool,
}

#[derive(Debug, Clone)]
struct Case {
    shape: Shape,
    mood: bool,
    condition: String,
    asks: &'static str,
    limit: u8,
    cooldown: Option<i64>,
}

fn input(mood: bool) -> &'static str {
    if mood { "mood" } else { "night" }
}

impl Case {
    fn yaml(&self) -> String {
        let window = |of: String| format!("{{ input: {}, where: '{}', {of} }}", input(self.mood), self.condition);
        let signal = match &self.shape {
            Shape::Last(hours) => window(format!("last: {hours}h")),
            Shape::Newest(count) => window(format!("newest: {count}")),
            Shape::Nights(count) => window(format!("nights: {count}")),
            Shape::Tumbling(days) => window(format!("tumbling: {days}d")),
            Shape::Session(hours) => window(format!("session: {hours}h")),
            Shape::Sequence { steps, within } => {
                let step = |step: &Step| {
                    let never = "{ input: mood, where: 'severity >= 0.75', never: true }, ";
                    let comes = if step.next { "next" } else { "later" };
                    let own = format!("{{ input: {}, where: '{}', comes: {comes} }}", input(step.mood), step.condition);
                    if step.never { format!("{never}{own}") } else { own }
                };
                let steps = steps.iter().map(step).collect::<Vec<_>>().join(", ");
                format!("{{ within: {within}h, sequence: [ {steps} ] }}")
            }
        };
        let when = match self.shape {
            Shape::Sequence { .. } => "a.found".to_owned(),
            _ => match self.asks {
                "mean" => "a.mean > 0.4".to_owned(),
                asks => format!("a.{asks} >= {}", self.limit),
            },
        };
        let cooldown = self.cooldown.map_or(String::new(), |hours| format!("cooldown: {hours}h\n"));
        rule(&format!("{INPUTS}when: {when}\nsignals:\n  a: {signal}\n{cooldown}"))
    }

    /// Whether it has found something at the last of these events.
    fn holds(&self, events: &[Event]) -> bool {
        let Some(now) = events.last() else { return false };
        let night = |event: &Event| (event.hours + 12).div_euclid(DAY);
        let own: Vec<&Event> = events.iter().filter(|event| event.mood == self.mood).collect();
        let within: Vec<&Event> = match &self.shape {
            Shape::Last(hours) => own.into_iter().filter(|event| event.hours > now.hours - hours).collect(),
            Shape::Newest(count) => own[own.len().saturating_sub(*count)..].to_vec(),
            Shape::Nights(count) => {
                let newest = |index: usize| own[index + 1..].iter().all(|later| night(later) != night(own[index]));
                let all = (0..own.len()).filter(|index| newest(*index) && night(now) - night(own[*index]) < *count);
                all.map(|index| own[index]).collect()
            }
            Shape::Tumbling(days) => {
                // Windows of several days count from the first day of 1970.
                let begun = (EPOCH_HOURS + now.hours).div_euclid(days * DAY) * days * DAY - EPOCH_HOURS;
                own.into_iter().filter(|event| (begun - days * DAY..begun).contains(&event.hours)).collect()
            }
            Shape::Session(gap) => {
                let mut begin = own.len();
                let mut later = now.hours;
                while begin > 0 && later - own[begin - 1].hours < *gap {
                    begin -= 1;
                    later = own[begin].hours;
                }
                own[begin..].to_vec()
            }
            Shape::Sequence { steps, within } => return found(steps, *within, events),
        };
        // No more than a window looks at.
        let most = match self.shape {
            Shape::Nights(_) | Shape::Newest(_) => usize::MAX,
            _ => 48,
        };
        let within = &within[within.len().saturating_sub(most)..];
        let matching: Vec<&&Event> = within.iter().filter(|event| matches(&self.condition, event)).collect();
        let run = (0..within.len()).rev().take_while(|index| {
            let unbroken = !matches!(self.shape, Shape::Nights(_))
                || *index + 1 == within.len()
                || night(within[index + 1]) - night(within[*index]) <= 1;
            unbroken && matches(&self.condition, within[*index])
        });
        let run = run.count();
        match self.asks {
            "count" => matching.len() >= usize::from(self.limit),
            "seen" => within.len() >= usize::from(self.limit),
            "run" => run >= usize::from(self.limit),
            _ => {
                let sum: f64 = matching.iter().map(|event| event.severity).sum();
                #[expect(clippy::cast_precision_loss, reason = "some dozens")]
                let mean = sum / matching.len() as f64;
                !matching.is_empty() && mean > 0.4
            }
        }
    }

    /// The hours at which it speaks.
    fn alerts(&self, events: &[Event]) -> Vec<i64> {
        let (mut alerts, mut said, mut holding) = (Vec::new(), None::<i64>, false);
        for end in 1..=events.len() {
            let at = events[end - 1].hours;
            if !self.holds(&events[..end]) {
                holding &= said.is_some_and(|said| at <= said);
                continue;
            }
            if said.is_some_and(|said| at <= said) {
                continue;
            }
            let cool = said.is_none_or(|said| at - said >= self.cooldown.unwrap_or(0));
            if !holding && cool {
                alerts.push(at);
                said = Some(at);
            }
            holding = true;
        }
        alerts
    }
}

fn found(steps: &[Step], within: i64, events: &[Event]) -> bool {
    let last = events.len() - 1;
    // Every way to put the steps on the events, the last step on the last event.
    fn place(steps: &[Step], events: &[Event], step: usize, at: usize, begun: i64) -> bool {
        let wanted = &steps[step];
        let event = &events[at];
        if event.mood != wanted.mood || !matches(&wanted.condition, event) || event.hours < begun {
            return false;
        }
        if step == 0 {
            return true;
        }
        (0..at).any(|before| {
            let between = &events[before + 1..at];
            let in_reach = between.iter().filter(|event| event.hours >= begun);
            let of_inputs =
                |event: &&Event| steps.iter().any(|step| step.mood == event.mood || step.never && event.mood);
            let next = !wanted.next || in_reach.clone().filter(of_inputs).count() == 0;
            let never = !wanted.never || !in_reach.clone().any(|event| event.mood && event.severity >= 0.75);
            next && never && place(steps, events, step - 1, before, begun)
        })
    }
    place(steps, events, steps.len() - 1, last, events[last].hours - within)
}

thread_local! {
    static PROGRAMS: std::cell::RefCell<std::collections::HashMap<String, Program>> = std::cell::RefCell::default();
}

fn matches(condition: &str, event: &Event) -> bool {
    PROGRAMS.with_borrow_mut(|programs| {
        let program = programs.entry(condition.to_owned()).or_insert_with(|| Program::compile(condition).unwrap());
        let mut context = Context::default();
        context.add_variable_from_value("severity", event.severity);
        context.add_variable_from_value("band", event.band);
        program.execute(&context).unwrap() == Value::Bool(true)
    })
}

fn condition() -> impl Strategy<Value = String> {
    let simple = prop_oneof![
        (0..4_u8, prop::sample::select(vec![">=", ">", "<", "<=", "==", "!="]))
            .prop_map(|(limit, op)| format!("severity {op} {:?}", f64::from(limit) * 0.25 + 0.125)),
        Just("severity >= 0.5".to_owned()),
        Just("band == \"short\"".to_owned()),
        Just("band in [\"short\", \"very_short\"]".to_owned()),
        Just("band.startsWith(\"very\")".to_owned()),
        Just("band.contains(\"short\") ? severity * 2.0 > 0.75 : severity - 0.25 >= 0.5".to_owned()),
    ];
    simple.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let step = (any::<bool>(), condition(), any::<bool>(), prop::bool::weighted(0.3))
        .prop_map(|(mood, condition, next, never)| Step { mood, condition, next, never });
    prop_oneof![
        (1_i64..100).prop_map(Shape::Last),
        (1_usize..8).prop_map(Shape::Newest),
        (1_i64..8).prop_map(Shape::Nights),
        (1_i64..4).prop_map(Shape::Tumbling),
        (1_i64..40).prop_map(Shape::Session),
        (prop::collection::vec(step, 2..5), 1_i64..120).prop_map(|(mut steps, within)| {
            steps[0].never = false;
            Shape::Sequence { steps, within }
        }),
    ]
}

prop_compose! {
    fn case()(
        shape in shape(), mood in any::<bool>(), condition in condition(),
        asks in prop::sample::select(vec!["count", "seen", "run", "mean"]), limit in 1_u8..5,
        cooldown in prop::option::of(1_i64..90),
    ) -> Case {
        let most = match shape {
            Shape::Newest(count) => u8::try_from(count).unwrap(),
            Shape::Nights(count) => u8::try_from(count).unwrap(),
            _ => u8::MAX,
        };
        Case { shape, mood, condition, asks, limit: limit.min(most), cooldown }
    }
}

prop_compose! {
    fn past()(
        steps in prop::collection::vec((1_i64..40, any::<bool>(), 0_u8..5, 0_usize..3), 1..40)
    ) -> Vec<Event> {
        let mut hours = 0;
        let step = |(gap, mood, severity, band): (i64, bool, u8, usize)| {
            hours += gap;
            Event { hours, mood, severity: f64::from(severity) / 4.0, band: ["", "short", "very_short"][band] }
        };
        steps.into_iter().map(step).collect()
    }
}

fn many() -> u32 {
    std::env::var("AUREN_TEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(many()))]

    #[test]
    fn the_engine_finds_what_a_naive_reference_finds(case in case(), past in past()) {
        let rules = compiled(&[case.yaml()]);
        let measure = |event: &Event| if event.mood { "mood" } else { "asleep" };
        let events: Vec<_> = past
            .iter()
            .enumerate()
            .map(|(index, made)| event(&format!("e-{index}"), made.hours, measure(made), made.severity, made.band))
            .collect();
        let found: Vec<i64> = written(&rules, &events.iter().collect::<Vec<_>>())
            .iter()
            .map(|text| serde_json::from_str::<auren_agents::TriggerEvent>(text).unwrap())
            .map(|trigger| (trigger.timestamp.millis() - 1_704_067_200_000) / HOUR_MS)
            .collect();
        prop_assert_eq!(found, case.alerts(&past), "{}", case.yaml());
    }
}
