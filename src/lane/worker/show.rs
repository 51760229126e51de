//! What others see of a worker: where its life stands, and its shares of the role's figures.

use super::Worker;
use crate::lane::{Processor, stats::Standing};

impl<P: Processor> Worker<P> {
    pub(super) fn stand(&mut self, standing: Standing) {
        self.standing = standing;
        self.pulse.stand(standing, &self.held);
        self.stats.see(&self.settings.member, |seen| {
            (seen.state, seen.partitions) = (standing, self.held.clone());
            seen.partitions.sort_unstable();
        });
        self.show();
    }

    pub(super) fn show(&mut self) {
        let [
            partitions,
            sessions,
            states,
            mirrored,
            unmirrored,
            open,
            unfinished,
            parked,
            restoring,
            working,
            unsettled,
        ] = &mut self.shares;
        partitions.set(&self.stats.partitions, self.held.len());
        sessions.set(&self.stats.sessions, self.sessions.len());
        states.set(&self.stats.states, self.states.len());
        let mirrors = self.states.mirrors();
        mirrored.set(&self.stats.mirrored, mirrors.0);
        unmirrored.set(&self.stats.unmirrored, mirrors.1);
        let asked = self.states.open();
        open.set(&self.stats.open, asked);
        parked.set(&self.stats.parked, self.parked.len());
        let worked = self.in_flight.len() + usize::from(!self.next.is_empty());
        unfinished.set(&self.stats.unfinished, worked);
        self.pulse.under_way(self.in_flight.len());
        let restores = usize::from(self.standing == Standing::Restoring);
        restoring.set(&self.stats.restoring, restores);
        unsettled.set(&self.stats.unsettled, asked + worked + restores);
        working.set(&self.stats.working, usize::from(self.standing == Standing::Working));
    }
}
