//! Coming back to the plan that was given before: what it was, when, and what the readings say since.

use std::collections::BTreeSet;

use super::plan::Plan;
use crate::{
    consult::PastAdvice,
    reading::Reading,
    voice::{Voice, fill},
};

/// The last plan this person got from the coach in the last days.
#[derive(Debug)]
pub(super) struct Follow<'a> {
    past: &'a PastAdvice,
    plan: Plan,
}

impl<'a> Follow<'a> {
    pub(super) fn of(reading: &Reading<'a>) -> Option<Self> {
        reading.history.own().find_map(|past| Some(Self { past, plan: Plan::noted(&past.note)? }))
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// "yesterday", "on Monday".
    pub(super) fn when(&self, reading: &Reading<'_>) -> String {
        reading.history.when(self.past)
    }

    /// On how many earlier days, today included, this plan was given.
    pub(super) fn stage(&self, reading: &Reading<'_>, plan: Plan) -> usize {
        let days: BTreeSet<i64> = reading
            .history
            .own()
            .filter(|past| Plan::noted(&past.note) == Some(plan))
            .map(|past| reading.history.days_since(past))
            .collect();
        days.len()
    }

    /// What became of it, and what that means for the plan now.
    pub(super) fn words(&self, reading: &Reading<'_>, voice: &Voice, now: Plan) -> String {
        let when = self.when(reading);
        let off = self.plan.sign().and_then(|sign| reading.off_since(sign, &self.past.at));
        let (stays, today) = (self.plan == now, reading.history.days_since(self.past) == 0);
        let wordings: &[&str; 3] = match (stays, today, off) {
            (true, true, _) => &[
                "The plan I gave you {when} stands: {plan}.",
                "Nothing changes about {plan}, as I suggested {when}.",
                "Stay with what I proposed {when}, {plan}; this notice only underlines it.",
            ],
            (false, true, _) => &[
                "I suggested {plan} {when}, and with what has come in since I would shift the weight.",
                "Keep {plan} in mind from {when}, but something else comes first now.",
                "What I planned with you {when} was {plan}; the new notice asks for more than that.",
            ],
            (true, false, Some(true)) if now == Plan::Rest => &[
                "The plan {when} was {plan}, and as your {sign} is still out of range, it stays.",
                "I suggested {plan} {when}; your {sign} has not settled yet, so there is no hurry to get up to speed.",
                "Your {sign} is still away from normal, so what we said {when} goes on: {plan}.",
            ],
            (true, false, Some(true)) => &[
                "The plan {when} was {plan}, and your {sign} is still out of range, so it stays and becomes more \
                 definite.",
                "I suggested {plan} {when}; your {sign} has not come back into range yet, which is no failure, only a \
                 reason to go on.",
                "Your {sign} has not followed the plan from {when}, {plan}, so let us make it simpler and firmer.",
            ],
            (true, false, Some(false)) => &[
                "The plan {when} was {plan}, and your {sign} is back in your usual range; the rest of the body often \
                 needs a little longer.",
                "I suggested {plan} {when}, and your {sign} looks normal again, so you are on the right road.",
                "Your {sign} is where it should be since the plan from {when}, {plan}; keep that part and give it \
                 time.",
            ],
            (true, false, None) => &[
                "The plan {when} was {plan}; I cannot see from here whether your day allowed it, and if it did not, \
                 now is as good a time.",
                "I suggested {plan} {when}; whatever came of it, the next step is a small one.",
                "Since the plan from {when}, {plan}, I have no reading that tells me how it went, so I build on it \
                 gently.",
            ],
            (false, false, Some(true)) => &[
                "The plan {when} was {plan}; your {sign} is still out of range, but something else comes first now.",
                "I suggested {plan} {when}, and it stays in the background, as your {sign} is not back yet.",
                "Hold on to {plan} from {when} while your {sign} is off, and put this before it.",
            ],
            (false, false, Some(false)) => &[
                "The plan {when} was {plan}, and your {sign} is back in your usual range, so we can turn to the next \
                 thing.",
                "I suggested {plan} {when}; that part looks settled by your {sign}, and the plan can move on.",
                "With your {sign} back to normal since {when}, the plan moves on from {plan}.",
            ],
            (false, false, None) => &[
                "The plan {when} was {plan}; what I see now asks for something different.",
                "I suggested {plan} {when}, and the picture has changed since.",
                "After {plan}, which I proposed {when}, the weight shifts a little.",
            ],
        };
        let sign = self.plan.sign().map_or("reading", |sign| sign.name());
        fill(voice.pick(wordings), &[("when", &when), ("plan", self.plan.name()), ("sign", sign)])
    }
}
