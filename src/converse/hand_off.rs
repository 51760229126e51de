//! What becomes of an agent's wish that another go on: it is asked next in the same turn, unless that leads nowhere.

use auren_agents::{ConsultId, ConversationEvent, HandOff};

use super::{
    panel::{Panel, Seat},
    settings::TalkSettings,
    talk::{Talk, can_be_asked},
};

/// Why nobody goes on.
pub(super) struct NotHandedOn {
    pub(super) code: &'static str,
    pub(super) words: String,
}

impl Talk {
    /// Gives the next seat to whom an agent asked to go on, or says why not.
    pub(super) fn hand_on(
        &self,
        panel: &mut Panel,
        hand_off: &HandOff,
        settings: &TalkSettings,
    ) -> Option<NotHandedOn> {
        let HandOff { to, .. } = hand_off;
        let refused = |code, words| {
            tracing::warn!(code, cause = %panel.cause.id(), "a hand-off led nowhere");
            Some(NotHandedOn { code, words })
        };
        if !settings.knows(to) {
            return refused("hand_off_unknown", format!("There is no agent named “{to}” here who could go on."));
        }
        match panel.agents.iter().position(|agent| agent == to) {
            // Whoever has a seat that is still to come only comes sooner.
            Some(seat) if seat >= panel.next => {
                let agent = panel.agents.remove(seat);
                panel.seat_next(agent);
                None
            }
            Some(_) => refused("hand_off_circle", format!("The {to} has been asked already and does not go on.")),
            None if panel.hand_offs >= settings.max_hand_offs => {
                let words = format!("Nobody else may be asked to go on here, so the {to} is not.");
                refused("hand_off_limit", words)
            }
            None => {
                panel.hand_offs += 1;
                panel.seat_next(to.clone());
                None
            }
        }
    }

    /// Says that an agent only passed the question on; where that led nowhere, somebody else is seated to answer it.
    pub(super) fn passed_on(
        &self,
        panel: &mut Panel,
        seat: Seat,
        consult: ConsultId,
        hand_off: &HandOff,
        refused: Option<NotHandedOn>,
        settings: &TalkSettings,
    ) -> ConversationEvent {
        let (code, mut words) = match refused {
            None => ("handed_on", format!("The {} goes on.", hand_off.to)),
            Some(NotHandedOn { code, words }) => {
                panel.missing.extend(panel.agents.get(seat.index).cloned());
                (code, words)
            }
        };
        let nobody = panel.agent().is_none() && panel.open().next().is_none() && panel.spoken.is_empty();
        let others = settings.fallback_agent.iter().chain([&settings.default_agent]);
        let instead = others.filter(|_| nobody).find(|other| can_be_asked(panel, other, settings)).cloned();
        if let Some(other) = &instead {
            words.push_str(&format!(" The {other} answers instead."));
        }
        let mut said = self.hub_says(panel, seat, code, words);
        said.metadata.consult_id = Some(consult);
        said.metadata.hand_off = Some(hand_off.clone());
        panel.agents.extend(instead);
        said
    }
}
