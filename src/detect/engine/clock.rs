//! A person's clock, and what is found as it goes on: absences, and what waited for a lateness.

use super::{Judge, Memory};
use crate::detect::{
    history::{History, UNREAD},
    rules::InForce,
    signal::Past,
};

impl Judge<'_> {
    /// An event comes, and time with it. True where it is older than the person's clock.
    pub(super) fn come(&mut self, at: i64, written: i64) -> bool {
        let mut late = false;
        if self.memory.clock > 0 {
            // What was due before it was written comes before it, whoever was away meanwhile.
            let passed = self.memory.clock.max(written - self.memory.behind);
            late = at < passed;
            self.pass(passed);
        }
        // Before it is entered, which may let what was awaited be forgotten.
        self.pass(self.memory.clock.max(at.min(written)));
        self.memory.behind = (written - self.memory.clock).max(0);
        late
    }

    /// Lets the person's clock go on up to a moment, and judges on the way what has its time.
    pub(super) fn pass(&mut self, until: i64) {
        loop {
            let since = self.memory.clock;
            let next = self.next().filter(|next| (since + 1..until).contains(next));
            self.memory.clock = next.unwrap_or(until);
            self.absences(since);
            for index in 0..self.rules.latenesses.len() {
                self.in_order(index);
            }
            if next.is_none() {
                return;
            }
        }
    }

    /// The next moment of the person's clock at which there is something to judge.
    fn next(&self) -> Option<i64> {
        let rules = self.rules;
        let (events, clock) = (self.memory.history.events(), self.memory.clock);
        let unjudged = |lateness: i64| {
            let judged = self.memory.judged.iter().find(|(known, _)| *known == lateness);
            judged.map_or(events.len(), |(_, judged)| events.partition_point(|event| event.at < *judged))
        };
        let absences = rules.absences.iter().filter_map(|number| {
            let rule = &rules.all[*number as usize];
            // What a lateness allows may come until the moment is past by that much.
            let wait = if rule.rule.lateness > 0 { rule.rule.lateness + 1 } else { 0 };
            Some(self.moment(rule, unjudged(rule.rule.lateness), clock - wait)? + wait)
        });
        let waiting = rules.latenesses.iter().zip(&rules.patient).filter_map(|(lateness, kinds)| {
            let mut waiting = events[unjudged(*lateness)..].iter();
            Some(waiting.find(|event| self.memory.history.bit(event) & kinds != 0)?.at + lateness + 1)
        });
        absences.chain(waiting).min()
    }

    pub(super) fn set_wake(&mut self) {
        self.memory.wake = self.next().map(|next| next.max(self.memory.clock + 1) + self.memory.behind);
    }

    /// Judges, in order of event time, what has become old enough for rules of a lateness.
    fn in_order(&mut self, index: usize) {
        let rules = self.rules;
        let (lateness, judged) = self.memory.judged[index];
        let release = self.memory.clock - lateness;
        if release <= judged {
            return;
        }
        let place = |history: &History, at: i64| history.events().partition_point(|event| event.at < at);
        let places = place(&self.memory.history, judged)..place(&self.memory.history, release);
        let mut since = judged.saturating_sub(1);
        for place in places {
            let event = &self.memory.history.events()[place];
            let (now, offset, kind) = (event.at, event.offset, self.memory.history.kind(event));
            self.absences_of(lateness, place, since, now);
            since = now;
            if kind == UNREAD {
                continue;
            }
            for number in &rules.kinds[usize::from(kind)].readers {
                if rules.all[*number as usize].rule.lateness == lateness {
                    self.judge(*number, place + 1, now, offset);
                }
            }
        }
        let end = place(&self.memory.history, release);
        self.absences_of(lateness, end, since, release - 1);
        self.memory.judged[index].1 = release;
    }

    /// Judges what has been absent, for rules without lateness, by the person's clock.
    pub(super) fn absences(&mut self, since: i64) {
        let end = self.memory.history.events().len();
        self.absences_of(0, end, since, self.memory.clock);
    }

    fn absences_of(&mut self, lateness: i64, end: usize, since: i64, now: i64) {
        let rules = self.rules;
        for number in &rules.absences {
            if rules.all[*number as usize].rule.lateness == lateness {
                self.absence(*number, end, since, now);
            }
        }
    }

    /// The first moment after another at which a rule is to be judged for an absence: when one is complete, or once it may
    /// be said; none where nothing is awaited, or it has been said.
    fn moment(&self, rule: &InForce, end: usize, after: i64) -> Option<i64> {
        let Memory { history, said, clock, .. } = &*self.memory;
        let offset = history.events()[..end].last()?.offset;
        let past = Past { history, end, now: *clock, offset };
        let said = said.iter().find(|said| said.rule == rule.key);
        let first = |due: i64| {
            let mut moment = said.is_none_or(|said| said.at < due).then_some(due)?;
            while moment <= after {
                moment = rule.silent_until(said, moment, offset)?;
            }
            Some(moment)
        };
        rule.rule.signals.iter().filter_map(|signal| first(signal.due(past)?)).min()
    }

    /// Judges an absence at the moments that have come since another.
    fn absence(&mut self, number: u32, end: usize, mut since: i64, now: i64) {
        let rule = &self.rules.all[number as usize];
        while let Some(moment) = self.moment(rule, end, since).filter(|moment| *moment <= now) {
            let events = &self.memory.history.events()[..end];
            let Some(offset) = events.last().map(|event| event.offset) else { return };
            let end = events.partition_point(|event| event.at <= moment);
            self.judge(number, end, moment, offset);
            since = moment;
        }
    }
}
