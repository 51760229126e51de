//! The steps of every plan: what to do first, the second time, when it goes on, and over the next days.
//!
//! `{today}` is the stretch of time that can still be planned, `{tonight}` the next evening, `{until}` a weekday.

use super::plan::Plan;

type Wordings = [&'static str; 3];

/// The step for now, by how many days the plan has been given before.
pub(super) fn of(plan: Plan, stage: usize) -> &'static Wordings {
    match stage {
        0 => first(plan),
        1 => second(plan),
        _ => later(plan),
    }
}

fn first(plan: Plan) -> &'static Wordings {
    match plan {
        Plan::EarlyNight => &[
            "Be in bed an hour earlier than usual {tonight}, and keep coffee out of the second half of the day.",
            "Set an alarm for going to bed {tonight}, an hour before your usual time, and let the phone sleep in \
             another room.",
            "Plan backwards {tonight}: something light to eat, lamps low afterwards, lights out an hour sooner than \
             usual.",
        ],
        Plan::EasyDays => &[
            "Keep {today} to movement you could chat through, such as a walk or an easy spin, and move the hard \
             session.",
            "Swap hard training for something easy and let {today} be for walking, stretching and a proper meal.",
            "Make {today} a recovery day: easy walking, loose mobility, enough to eat and drink, and nothing against \
             the clock.",
        ],
        Plan::Rest => &[
            "Leave training out of {today} altogether, keep warm, drink enough, and cancel what can be cancelled.",
            "No training for now: let {today} be for rest, warm food, plenty to drink and an early bed.",
            "Give your body room: no workout, only a short stroll if you feel like one, and as much sleep as {today} \
             allows.",
        ],
        Plan::WindDown => &[
            "Put two real pauses into {today}, away from screens, and in each breathe out longer than you breathe in \
             until your shoulders drop.",
            "Take one thing off {today} that can wait, and close the day with a slow walk instead of a last look at \
             the inbox.",
            "Draw a line under the day: write down what is still open, then do something with your hands {tonight} \
             that has nothing to do with work.",
        ],
        Plan::EaseOff => &[
            "Keep {today} easy: a walk instead of a workout, an early and light dinner, no alcohol, and bed on time \
             {tonight}.",
            "Turn {today} down a notch: move gently, eat early, skip alcohol, and leave the last hour before bed free \
             of screens {tonight}.",
            "Let {today} be lighter than planned, with daylight and an easy walk, and go to bed when you first feel \
             sleepy.",
        ],
        Plan::CalmMeasure => &[
            "Measure again when you are calm: sit quietly for a few minutes, feet on the floor, arm at heart height, \
             no talking and no coffee just before.",
            "Take the next reading in peace, seated and rested, at the hour you usually measure, and keep salty food \
             and alcohol low for {today}.",
            "Sit down, let your breath slow, and repeat the reading with the cuff on bare skin; keep {today} free of \
             heavy lifting and rush.",
        ],
        Plan::WalkAfterMeals => &[
            "Walk for a little while after each main meal of {today}, and begin the meal with vegetables or protein.",
            "Eat slowly, starch last, and take a short walk straight after; {today} is a good day to try it with the \
             biggest meal.",
            "Leave sweet drinks out of {today}, start meals with something green, and be on your feet for a while \
             afterwards.",
        ],
        Plan::SpareAttention => &[
            "Do the one thing that needs a clear head first, then work in short stretches with a pause away from the \
             screen after each; that is enough for {today}.",
            "Keep {today} to one demanding task at a time, phone out of sight, and step into daylight between tasks.",
            "Put routine work where you would have put hard decisions, and let {today} have one short rest with closed \
             eyes.",
        ],
        Plan::Watch => &[
            "Keep {today} as it is and jot down anything out of the ordinary: food, travel, a bad night, a new device.",
            "Nothing needs changing yet; live {today} as usual and note how you feel, morning and evening.",
            "Let {today} be an ordinary day, check that the sensor sits well, and see whether the next reading agrees.",
        ],
    }
}

fn second(plan: Plan) -> &'static Wordings {
    match plan {
        Plan::EarlyNight => &[
            "Make it easier this time: decide now what you will skip {tonight}, and be under the blanket before you \
             are overtired.",
            "Protect the hour before bed {tonight}: no work, no bright screens, a cool dark room, and the same early \
             bedtime again.",
            "Get up at your usual hour all the same, get daylight early, and let {tonight} bring the sleep; a short \
             nap before mid-afternoon is fine.",
        ],
        Plan::EasyDays => &[
            "Take {today} off from training completely; a second easy day costs no fitness and often gives some back.",
            "Make it a full rest day: {today} without a workout, with a good portion of carbohydrates and an early \
             bed.",
            "Leave the watch's training plan alone for {today}, walk if you like, and eat more than you think you \
             need.",
        ],
        Plan::Rest => &[
            "Stay with rest: still no training, and ask somebody to take over an errand or two.",
            "Continue to do little, drink regularly, keep rooms cool and yourself warm, and let {today} end early.",
            "Your body is still busy, so keep {today} small: food, fluids, sleep, fresh air at the window, no workout.",
        ],
        Plan::WindDown => &[
            "Move one appointment out of {today} if you can, and use the gap for a walk without your phone.",
            "Choose a fixed hour at which work ends, tell somebody about it, and keep {tonight} free of screens.",
            "Find what weighs most and settle one small part of it; then let {today} end early.",
        ],
        Plan::EaseOff => &[
            "Make the easy day definite: {today} without hard effort, dinner well before bed, and the bedroom cool and \
             dark {tonight}.",
            "Drop alcohol and late meals entirely for now, keep {today} gentle, and get some daylight in the first \
             hours.",
            "Shorten the day at its end: an easy stroll, an early dinner, and bed clearly before your usual time \
             {tonight}.",
        ],
        Plan::CalmMeasure => &[
            "Measure in the morning and in the evening now, always seated and rested, and write the readings down for \
             a clinician.",
            "Keep a small log with time, posture and how you felt, and let {today} go without alcohol, salty snacks \
             and rush.",
            "Take two calm readings in a row each time and note both; an unhurried walk does good as well.",
        ],
        Plan::WalkAfterMeals => &[
            "Change one thing at the meal that did it, a smaller portion or a different start, and keep the walk \
             afterwards.",
            "Move dinner earlier, leave out the sweet end of it, and let {today} have an easy walk after every meal.",
            "Look at breakfast first: swap something sweet for something with protein, and take the stairs or a stroll \
             after.",
        ],
        Plan::SpareAttention => &[
            "Cut {today} down to what has to be done, and end it early enough for a long night.",
            "Move decisions that can wait to another day, take a real lunch away from the desk, and walk afterwards.",
            "Let {today} have fewer switches: one subject at a time, messages only in between.",
        ],
        Plan::Watch => &[
            "Compare your notes: what do both days have in common? Change only that, and leave {today} otherwise as it \
             is.",
            "Take {today} a little easier, and check the device, its strap and its battery.",
            "Keep to regular meals and a regular bedtime, so that the next reading is easier to judge.",
        ],
    }
}

fn later(plan: Plan) -> &'static Wordings {
    match plan {
        Plan::EarlyNight => &[
            "Treat sleep as the main appointment of {today} now: a light dinner, low lamps, and nothing planned after \
             it.",
            "Find the one thing that keeps you up and take it away {tonight}, be it a series, a chat or the last work \
             of the day; and do not drive when you are sleepy.",
            "Ask the people around you for help with the evening, and give sleep {tonight} more room than you think it \
             needs; leave long drives to others while you are this short.",
        ],
        Plan::EasyDays => &[
            "Turn this into a proper recovery week: half of what you planned, all of it easy, starting with {today}.",
            "Give up the idea of catching up; {today} is for rest, and the next hard session waits until your mornings \
             feel fresh again.",
            "Let training pause for {today} and look at the rest of life too: late nights and skipped meals are load \
             as well.",
        ],
        Plan::Rest => &[
            "Rest on: {today} stays without training, and anybody who offers help with food or errands may help.",
            "Still no training, and if you can, take {today} off from work too: the body asks for it now.",
            "Stay at rest until your signals and your own feeling agree; {today} needs nothing but food, fluids and \
             sleep.",
        ],
        Plan::WindDown => &[
            "Pauses alone do not seem enough, so talk to somebody about what could be taken off you, and keep {today} \
             short.",
            "Look at the week rather than the hour: cancel one commitment, and keep {tonight} for someone you like.",
            "Do less on purpose: let {today} have a long walk outdoors and one clear no to something new.",
        ],
        Plan::EaseOff => &[
            "Take {today} off from anything hard and go through the usual suspects one by one: sleep, alcohol, late \
             food, worry.",
            "Let the training week go, walk in daylight, and keep the evenings quiet, in good company or alone.",
            "Keep it simple and steady: same bedtime, light dinners, gentle movement, and {today} without any test of \
             strength.",
        ],
        Plan::CalmMeasure => &[
            "Keep the log going, {today} calm, salt and alcohol low, and the measuring regular.",
            "Go on with calm readings morning and evening, leave heavy lifting alone, and keep the log where you can \
             show it.",
            "Keep {today} unhurried: easy walking, an early bed, and each reading written down with its hour.",
        ],
        Plan::WalkAfterMeals => &[
            "Keep the walks, and write down what you ate before each rise, so that {today} shows which meal it is.",
            "Go for regular meals at regular hours, the sweet things after a walk or not at all, and more sleep \
             {tonight}.",
            "Cook for yourself if you can: vegetables, protein, a modest portion of starch, then a stroll with \
             somebody.",
        ],
        Plan::SpareAttention => &[
            "Ask for a lighter day: {today} without new projects, with pauses you would defend like a meeting.",
            "Your head needs more than tricks now; take an afternoon off soon and let {today} be routine work only.",
            "Do the needed and stop there; sleep, daylight and company do more for {today} than another effort.",
        ],
        Plan::Watch => &[
            "It stays, so show it to somebody who knows you, and keep {today} regular in meals, movement and sleep.",
            "Wear the sensor on the other side for {today} to rule out the device, and go on noting what you notice.",
            "Keep a regular day once more; if nothing explains it, a clinician can look at it without hurry.",
        ],
    }
}

/// The next days.
pub(super) fn ahead(plan: Plan) -> &'static Wordings {
    match plan {
        Plan::EarlyNight => &[
            "Hold the same bedtime until {until}, weekend or not, and train only easily until you wake rested.",
            "Until {until}, get up at one fixed hour and let the bedtime move forward; hard training can wait for \
             that.",
            "Keep the evenings free until {until}; sleep debt is paid back over several nights and not in one.",
        ],
        Plan::EasyDays => &[
            "Stay easy until {until}, and take up intensity again only when your mornings feel light.",
            "From {until} on, add one harder session if your signals have settled, and keep an easy day after it.",
            "Until {until} let only the length of a walk grow, never its pace.",
        ],
        Plan::Rest => &[
            "Keep the days until {until} free of hard effort, and come back with easy movement for twice as long as \
             you rested.",
            "Until {until} there is no training; after that begin with an easy walk and see how the night answers.",
            "Plan nothing strenuous before {until}, and return in small steps once you feel like yourself.",
        ],
        Plan::WindDown => &[
            "Until {until}, end each day with the same small ritual, so that your body learns when it is over.",
            "Keep one evening before {until} entirely free, and move a little every day, outdoors where you can.",
            "Repeat that daily until {until}; it is the regularity that brings the level down.",
        ],
        Plan::EaseOff => &[
            "If the nights look normal again by {until}, go back to your usual training.",
            "Stay below your limits until {until}, then judge by how you wake up.",
            "Keep it light until {until}, and let hard sessions wait for a good night.",
        ],
        Plan::CalmMeasure => &[
            "Measure at the same hours until {until}; if it stays raised while you are calm, show the readings to a \
             clinician.",
            "Until {until}, easy walking every day and regular sleep do more than any single good reading.",
            "Collect calm readings until {until}, so that there is a pattern to speak about instead of one moment.",
        ],
        Plan::WalkAfterMeals => &[
            "Until {until}, try the same meal twice, once with and once without the walk, and see what your body \
             prefers.",
            "Keep it up until {until}, and go to bed on time, because a short night pushes the next day's rises up.",
            "Build the walk into your days until {until}; if the rises keep coming all the same, talk to a clinician.",
        ],
        Plan::SpareAttention => &[
            "Until {until}, defend your bedtime, since a clear head is made at night.",
            "Keep demanding work in the hours when you are fresh until {until}, and leave evenings empty.",
            "Go easy on commitments until {until}, and move outdoors a little every day.",
        ],
        Plan::Watch => &[
            "If it is still there by {until}, we look at it again with more readings.",
            "By {until} there should be enough readings to tell a trend from a blip.",
            "Until {until} change nothing else, so that cause and effect stay readable.",
        ],
    }
}
