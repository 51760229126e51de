//! A rule's signals: exactly one shape each, and bounded.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::{DAY_MS, EventScope, Kinds, MOST, MOST_MAX, SPAN_MAX, Stream, expression, spanned};
use crate::detect::{
    expression::{Field, Type},
    problem::{Problems, meant},
    rule::{self, Comes, Rule},
    sequence::{LOOK_BACK, Sequence, Step},
    signal::{Matching, Shape, Signal, Window},
};

/// The most steps of a sequence, repeats counted.
const STEPS_MAX: usize = 16;

pub(super) fn signals(
    rule: &Rule,
    inputs: &BTreeMap<String, Stream>,
    kinds: &mut Kinds,
    problems: &mut Problems<'_>,
) -> Vec<Signal> {
    let mut signals = Vec::new();
    for (name, spec) in &rule.signals {
        if let Some(shape) = shape(spec, inputs, kinds, problems) {
            signals.push(Signal { name: name.clone(), shape });
        }
    }
    signals
}

fn shape(
    spec: &Spanned<rule::Signal>,
    inputs: &BTreeMap<String, Stream>,
    kinds: &mut Kinds,
    problems: &mut Problems<'_>,
) -> Option<Shape> {
    let signal = &spec.value;
    let shapes = [
        signal.last.is_some(),
        signal.newest.is_some(),
        signal.nights.is_some(),
        signal.tumbling.is_some(),
        signal.session.is_some(),
        signal.sequence.is_some(),
        signal.absent.is_some(),
    ];
    if shapes.iter().filter(|given| **given).count() != 1 {
        let hint = "one of last, newest, nights, tumbling, session, sequence and absent; without a bound it would \
                    remember a whole life";
        problems.hint(spec.referenced, "a signal has exactly one shape", hint);
        return None;
    }
    without_effect(signal, problems);
    if let Some(steps) = &signal.sequence {
        return sequence(spec, steps, inputs, kinds, problems);
    }
    if let Some(within) = &signal.within {
        problems.hint(within.referenced, "`within` belongs to a sequence", "a window's own bound is its length");
    }
    let Some(input) = &signal.input else {
        problems.add(spec.referenced, "a signal reads an input; name it in `input`");
        return None;
    };
    let of = matching(input, signal.condition.as_ref(), inputs, problems)?;
    if let Some(span) = &signal.absent {
        let after = match &signal.after {
            Some(anchor) => Some(matching(&anchor.value.input, anchor.value.condition.as_ref(), inputs, problems)?),
            None => None,
        };
        let span = spanned(Some(span), problems)?;
        let bits = of.kinds | after.as_ref().map_or(0, |after| after.kinds);
        kinds.keep(bits, (2 * span).min(SPAN_MAX), MOST);
        return Some(Shape::Absence { of, after, span });
    }
    let most = count(signal.most.as_ref(), MOST_MAX, problems).unwrap_or(MOST);
    let (window, reach, depth) = if let Some(text) = &signal.last {
        let span = spanned(Some(text), problems)?;
        (Window::Last(span), span, most)
    } else if let Some(text) = &signal.tumbling {
        let span = spanned(Some(text), problems)?;
        if span > SPAN_MAX / 2 {
            let most = SPAN_MAX / 2 / DAY_MS;
            let hint = format!("at most {most} d: the window before the one that goes on is looked at");
            problems.hint(text.referenced, format!("{} is too long", text.value), hint);
        }
        if DAY_MS % span != 0 && span % DAY_MS != 0 {
            let hint = "windows side by side begin at the person's own midnight: whole days, or parts of one";
            problems.hint(text.referenced, format!("a day is not made of windows of {}", text.value), hint);
        }
        (Window::Tumbling(span), 2 * span, (2 * most).min(MOST_MAX))
    } else if let Some(text) = &signal.session {
        let gap = spanned(Some(text), problems)?;
        (Window::Session(gap), SPAN_MAX, most)
    } else if let Some(nights) = &signal.nights {
        let nights = count(Some(nights), 62, problems)?;
        // A night may be reported twice.
        (Window::Nights(nights), i64::from(nights + 1) * DAY_MS, (2 * nights).min(MOST_MAX))
    } else {
        let newest = count(signal.newest.as_ref(), MOST_MAX, problems)?;
        (Window::Newest(newest), SPAN_MAX, newest)
    };
    let most = match window {
        Window::Nights(count) | Window::Newest(count) => count,
        _ => most,
    };
    kinds.keep(of.kinds, reach, depth);
    let value = match &signal.value {
        None => Field::Severity,
        Some(name) => match Field::named(&name.value).filter(|field| field.of() == Type::Number) {
            Some(field) => field,
            None => {
                let numbers = Field::ALL.iter().filter(|(_, field)| field.of() == Type::Number).map(|(name, _)| *name);
                let hint = meant(&name.value, "one of", numbers);
                problems.hint(name.referenced, format!("an event has no number `{}`", name.value), hint);
                return None;
            }
        },
    };
    Some(Shape::Window { of, window, value, most })
}

/// What a signal of this shape would not look at is not what its writer meant.
fn without_effect(signal: &rule::Signal, problems: &mut Problems<'_>) {
    let (sequence, absence) = (signal.sequence.is_some(), signal.absent.is_some());
    let counted = signal.nights.is_some() || signal.newest.is_some();
    let place = |part: Option<&Spanned<String>>| part.map(|part| part.referenced);
    for (name, given, effect) in [
        ("input", place(signal.input.as_ref()), !sequence),
        ("where", place(signal.condition.as_ref()), !sequence),
        ("value", place(signal.value.as_ref()), !sequence && !absence),
        ("most", signal.most.as_ref().map(|most| most.referenced), !sequence && !absence && !counted),
        ("after", signal.after.as_ref().map(|after| after.referenced), absence),
    ] {
        if let Some(place) = given.filter(|_| !effect) {
            problems.add(place, format!("`{name}` does not belong to a signal of this shape"));
        }
    }
}

fn sequence(
    spec: &Spanned<rule::Signal>,
    written: &Spanned<Vec<Spanned<rule::Step>>>,
    inputs: &BTreeMap<String, Stream>,
    kinds: &mut Kinds,
    problems: &mut Problems<'_>,
) -> Option<Shape> {
    let Some(within) = &spec.value.within else {
        let hint = "say `within: 72h`, or it would wait for its next step for a whole life";
        problems.hint(written.referenced, "a sequence has a time within which it happens", hint);
        return None;
    };
    let within = spanned(Some(within), problems)?;
    let (mut steps, mut nevers) = (Vec::new(), Vec::new());
    for step in &written.value {
        let place = step.referenced;
        let step = &step.value;
        let of = matching(&step.input, step.condition.as_ref(), inputs, problems)?;
        if let Some(times) = step.times.as_ref().filter(|times| times.value == 0 || step.never) {
            problems.add(times.referenced, "a step comes at least once, and what never comes is not counted");
        }
        if step.never {
            if steps.is_empty() {
                problems.add(place, "what never comes stands between two steps");
            }
            nevers.push(of);
            continue;
        }
        let next = step.comes == Comes::Next;
        for _ in 0..step.times.as_ref().map_or(1, |times| times.value) {
            steps.push(Step { of: of.clone(), next, never: std::mem::take(&mut nevers) });
        }
    }
    if !nevers.is_empty() {
        let hint = "what does not come after the last step is an absence: a signal with `absent` and `after`";
        problems.hint(written.referenced, "what never comes stands between two steps", hint);
    }
    if !(2..=STEPS_MAX).contains(&steps.len()) {
        problems.add(written.referenced, format!("a sequence has 2 to {STEPS_MAX} steps, repeats counted"));
        return None;
    }
    let sequence = Sequence { steps, within };
    kinds.keep(sequence.kinds(), within, u16::try_from(LOOK_BACK).unwrap_or(MOST));
    Some(Shape::Sequence(sequence))
}

fn matching(
    input: &Spanned<String>,
    condition: Option<&Spanned<String>>,
    inputs: &BTreeMap<String, Stream>,
    problems: &mut Problems<'_>,
) -> Option<Matching> {
    let Some(stream) = inputs.get(&input.value) else {
        // An input that is wrong itself has been told of.
        let hint = meant(&input.value, "inputs here:", inputs.keys().map(String::as_str));
        problems.hint(input.referenced, format!("there is no input `{}`", input.value), hint);
        return None;
    };
    let condition = match condition {
        Some(text) => Some(expression(text, &EventScope, Type::Flag, problems)?),
        None => None,
    };
    Some(Matching { kinds: stream.kinds, condition })
}

fn count(number: Option<&Spanned<u16>>, most: u16, problems: &mut Problems<'_>) -> Option<u16> {
    let number = number?;
    if (1..=most).contains(&number.value) {
        return Some(number.value);
    }
    let hint = "what is remembered of a person is bounded";
    problems.hint(number.referenced, format!("this is from 1 to {most}"), hint);
    None
}
