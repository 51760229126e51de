//! What the neuroscientist says about the change itself, by what was noticed.

use crate::{
    events::TriggerType,
    reading::{Direction, Reading, Sign},
    voice::speak,
};

type Wordings = [&'static str; 3];

/// A sign that is off, as a sentence for programs and other agents.
pub(super) fn statement(reading: &Reading<'_>, sign: Sign) -> String {
    if sign == Sign::Alert {
        return "A device raised an alert of its own.".to_owned();
    }
    let side = match sign.unwelcome() {
        Direction::Low => "below",
        Direction::High => "above",
    };
    let when = reading.when(sign).map(|when| format!(" {when}")).unwrap_or_default();
    speak([format!("{} was {side} the usual range{when}.", sign.name())])
}

/// What is said the first time in a week.
pub(super) fn first(trigger: &TriggerType) -> &'static Wordings {
    match trigger {
        TriggerType::HrvDrop => &[
            "your heart-rate variability was {how} below your usual range {when}, which usually means the brake that \
             slows your heart between beats was working less than it normally does for you.",
            "the beat-to-beat variation of your heart was {how} below your own range {when}, usually a sign that your \
             nervous system stayed more alert than it normally does while you sleep.",
            "{when}, your heart-rate variability came in {how} below what is usual for you, so the calming side of \
             your nervous system had less of a say than on most nights.",
        ],
        TriggerType::BloodPressureSpike => &[
            "your blood pressure was {how} above your usual range {when}; pressure moves with every effort and every \
             worry, so one reading is a snapshot and not a verdict.",
            "{when}, your blood pressure read {how} above what is usual for you, which says that your vessels were \
             held tighter or your heart worked harder at that moment.",
            "the blood pressure you measured {when} lies {how} above your own range, and how you sat, spoke and felt \
             in the minutes before has a large part in that.",
        ],
        TriggerType::GlucoseSpike => &[
            "your glucose was {how} above your usual range {when}, so more sugar was on its way through your blood \
             than your muscles and liver were taking up.",
            "{when}, your glucose rose {how} above what is usual for you; how fast you ate, what came first and how \
             you slept all shape such a rise.",
            "the glucose reading {when} lies {how} above your own range, which shows how your body met that hour more \
             than what it can do in general.",
        ],
        TriggerType::SleepDeprivation => &[
            "your sleep was {much} shorter than usual for you {when}, and what goes first is usually the late, light \
             part of the night in which the brain sorts feelings and memories.",
            "{when}, you slept {much} less than you normally do; attention and mood notice that before the body does.",
            "you have slept {much} less than your own normal {when}, and the pressure to sleep that builds up from \
             this does not go away by itself.",
        ],
        TriggerType::Overtraining => &[
            "your body took on {much} more load than it recovered from {when}.",
            "load and recovery have drifted apart: {when}, your readings were {how} outside what your body usually \
             absorbs.",
            "the balance between training and recovery tipped {how} to the load side {when}, and the nervous system is \
             often the first to show it.",
        ],
        TriggerType::StressEscalation => &[
            "your stress readings were {how} above your usual range {when}, which means your body stayed in a state of \
             readiness for longer than it normally does.",
            "{when}, your body was {much} more on alert than is usual for you, whether or not it felt that way.",
            "the signs of tension were {how} above your own range {when}; your nervous system has had less time than \
             usual to come back down.",
        ],
        TriggerType::InflammationRisk => &[
            "several of your night signals moved {how} out of your usual range {when}, in the pattern a body shows \
             when it has something to deal with.",
            "{when}, your body worked {much} harder than it usually does at rest, and more than one signal says so.",
            "your night readings were {how} away from your normal {when}; bodies often do this a day or so before they \
             feel unwell, and often without anything coming of it.",
        ],
        TriggerType::CognitiveFatigue => &[
            "your readings look {much} more like those of a tired mind than usual {when}: attention is the first thing \
             the brain saves on when it has not recovered.",
            "{when}, what goes with a clear head was {how} outside your usual range.",
            "your brain is probably running on {much} less recovery than usual, going by your readings {when}; slips \
             and slow starts would be no surprise.",
        ],
        TriggerType::Other(_) => &[
            "one of your readings moved {how} outside your usual range {when}; it is a kind of notice I have not \
             learned to interpret in depth.",
            "something in your readings was {how} away from your normal {when}, and I know this kind of notice only by \
             name.",
            "{when}, a reading of yours lay {how} outside your own range; I can place it among your other signals but \
             not explain it fully.",
        ],
    }
}

/// What is said when it comes again on another day.
pub(super) fn again(trigger: &TriggerType) -> &'static Wordings {
    match trigger {
        TriggerType::HrvDrop => &[
            "your heart-rate variability has now been low {row}, this time {how} below your range.",
            "that makes it {row} with low heart-rate variability; the newest value is {how} below your normal.",
            "low heart-rate variability again, {row} by now and {how} below what your nights usually show.",
        ],
        TriggerType::BloodPressureSpike => &[
            "your blood pressure has now been raised {row}, most recently {how} above your range.",
            "that makes it {row} with raised blood pressure, the latest reading {how} above your normal.",
            "raised blood pressure again, {row} by now and {how} above what you usually measure.",
        ],
        TriggerType::GlucoseSpike => &[
            "your glucose has now climbed out of your range {row}, most recently {how} above it.",
            "that makes it {row} with raised glucose, the latest rise {how} above your normal.",
            "a glucose rise again, {row} by now and {how} above your usual range.",
        ],
        TriggerType::SleepDeprivation => &[
            "you have now been short of sleep {row}, and the newest night was {much} shorter than usual.",
            "that makes it {row} of short sleep; last time it was {much} less than your normal.",
            "short sleep again, {row} by now, with {much} less of it than your nights usually hold.",
        ],
        TriggerType::Overtraining => &[
            "load has now outrun recovery {row}, and the gap is {much} wider than your usual.",
            "that makes it {row} with more load than recovery, the latest of it {how} outside your range.",
            "more load than recovery again, {row} by now and {how} out of balance.",
        ],
        TriggerType::StressEscalation => &[
            "your stress readings have now been up {row}, most recently {how} above your range.",
            "that makes it {row} of raised stress, the latest {how} above your normal.",
            "raised stress again, {row} by now and {how} above where you usually are.",
        ],
        TriggerType::InflammationRisk => &[
            "your night signals have now been out of place {row}, most recently {how} so.",
            "that makes it {row} in which your body worked harder at rest, the newest {how} away from your normal.",
            "the same pattern again, {row} by now and {how} outside your usual nights.",
        ],
        TriggerType::CognitiveFatigue => &[
            "the signs of a tired mind have now shown {row}, most recently {how} outside your range.",
            "that makes it {row} with signs of mental tiredness, the latest {how} away from your normal.",
            "signs of a tired mind again, {row} by now and {how} outside what is usual for you.",
        ],
        TriggerType::Other(_) => &[
            "the same notice has now come {row}, most recently {how} outside your range.",
            "that makes it {row} with this notice, the latest {how} away from your normal.",
            "this notice again, {row} by now and {how} outside what is usual for you.",
        ],
    }
}

/// What is said when it comes again on the same day.
pub(super) fn same_day() -> &'static Wordings {
    &[
        "this is the same story as earlier today, {what}, now {how} outside your range; a second notice on one day \
         does not make it twice as bad.",
        "another reading of today points the same way, {what}, {how} away from your normal.",
        "I mentioned {what} earlier today, and the newer readings agree: still {how} outside your range.",
    ]
}

/// What can look the same without being the same.
pub(super) fn lookalikes(trigger: &TriggerType) -> &'static [&'static str] {
    match trigger {
        TriggerType::HrvDrop => &["a late, heavy meal", "alcohol", "a warm room", "a loosely worn sensor"],
        TriggerType::BloodPressureSpike => {
            &["a hurried measurement", "coffee just before", "a cuff that sat badly", "a tense moment"]
        }
        TriggerType::GlucoseSpike => {
            &["the order and speed of a meal", "a short night", "a pressed or drifting sensor"]
        }
        TriggerType::SleepDeprivation => {
            &["a watch taken off at night", "quiet hours misread as waking or sleep", "travel"]
        }
        TriggerType::Overtraining => &["heat", "too little food around training", "a wrongly recorded workout"],
        TriggerType::StressEscalation => &["coffee", "heat", "excitement of the good kind", "a hard workout"],
        TriggerType::InflammationRisk => {
            &["alcohol", "a warm room", "a hard workout the day before", "the menstrual cycle"]
        }
        TriggerType::CognitiveFatigue => {
            &["a long day without breaks", "travel", "a heavy lunch", "screens late at night"]
        }
        TriggerType::Other(_) => &["a measuring error", "an unusual day", "a sensor worn differently"],
    }
}
