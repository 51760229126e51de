//! A past, worked as live: rows go through the sealed boundary, enrich and detect in this process, with no bus and keys that
//! are kept nowhere. What rules would have said comes out; it is for trying rules, and nothing is written.

use std::collections::{BTreeMap, HashMap};

use auren_agents::{BiometricEvent, TriggerEvent, UserId, events};
use futures::FutureExt as _;
use tokio::sync::mpsc;

use crate::{
    bus::{Cursor, Topic},
    config::PrivacyProfile,
    detect::{Memory, Noted, Rules, trigger},
    enrich::Enrich,
    intake::SealedReading,
    lane::{Input, Lates, Processor},
    phi::Keys,
    wearable::Row,
};

/// Makes biometric events of rows, as the role `enrich` does.
pub struct Rehearsal {
    keys: Keys,
    enrich: Enrich,
    people: HashMap<UserId, <Enrich as Processor>::Session>,
}

impl Rehearsal {
    /// Under this privacy profile.
    #[must_use]
    pub fn new(profile: PrivacyProfile) -> Self {
        let keys = Keys::ephemeral("rehearsal");
        Self { enrich: Enrich::new(keys.clone(), profile), keys, people: HashMap::new() }
    }

    /// The event that a row becomes; none where enrich refuses it, or has had it.
    pub fn event(&mut self, row: &Row) -> Option<BiometricEvent> {
        // Keys that are kept nowhere are there at once.
        let key = || self.keys.make(&row.user, 1).now_or_never()?.ok();
        let reading = SealedReading::seal(row, &key()?).ok()?;
        let payload = serde_json::to_vec(&reading).ok()?.into();
        if !self.people.contains_key(&row.user) {
            let (sender, _) = mpsc::channel(1);
            let session = self.enrich.open(&row.user, None, Lates::new(sender)).ok()?;
            self.people.insert(row.user.clone(), session);
        }
        let cursor = Cursor { partition: 0, offset: 0 };
        let input = Input { topic: Topic::Readings, cursor, written_ms: row.at.millis(), payload, trace: None };
        let effects = self.people.get_mut(&row.user)?.apply(&input, Ok(key()?)).ok()?;
        events::parse(effects.outputs.first()?.payload.as_ref()?).ok()
    }
}

/// What rules made of a past.
#[derive(Debug, Default)]
pub struct Rehearsed {
    /// Every trigger, in the order of events; last those that time alone brought.
    pub triggers: Vec<TriggerEvent>,
    /// Whose events there were: the first moment and the last, in milliseconds since the epoch.
    pub people: BTreeMap<UserId, (i64, i64)>,
    /// What is remembered of everybody at the end.
    pub memories: HashMap<UserId, Memory>,
}

impl Rehearsed {
    /// The weeks that were watched, over all people.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of some years")]
    pub fn user_weeks(&self) -> f64 {
        self.people.values().map(|(first, last)| (last - first) as f64 / 6.048e8).sum()
    }
}

/// Judges events by rules, in the order in which they come, each with the time of the wall clock at which it was written.
/// Then time goes on for everybody, up to `until` or to the newest event of all, so that an absence is found as it is live.
pub fn rehearse<'e>(
    rules: &Rules,
    past: impl IntoIterator<Item = (&'e BiometricEvent, i64)>,
    until: Option<i64>,
) -> Rehearsed {
    let mut done = Rehearsed::default();
    let mut found = Vec::new();
    let mut end = i64::MIN;
    for (event, written) in past {
        end = end.max(written);
        let at = event.timestamp.millis();
        let span = done.people.entry(event.user_id.clone()).or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
        let memory = done.memories.entry(event.user_id.clone()).or_default();
        let (noted, stream) = Noted::of(event);
        rules.work(memory, noted, &stream, written, &mut found);
        for finding in found.drain(..) {
            done.triggers.extend(trigger(&event.user_id, rules, &finding));
        }
    }
    let end = until.unwrap_or(end);
    for user in done.people.keys() {
        let Some(memory) = done.memories.get_mut(user) else { continue };
        rules.tick(memory, end, &mut found);
        done.triggers.extend(found.drain(..).filter_map(|finding| trigger(user, rules, &finding)));
    }
    done
}
