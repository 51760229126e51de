//! Which rules spoke in the last minutes: what was written to `triggers.detected`, by minute.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::written;
use crate::bus::{BusError, Read, ReadFrom, ReadUntil, SharedBus, Topic};

const MINUTE_MS: i64 = 60_000;
/// So many newest triggers of each partition are looked at.
const LAST: i64 = 500;
/// Kinds of triggers that are told apart; outside producers may write any.
const KINDS_MAX: usize = 200;

/// Triggers of the last minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recent {
    /// When the first of the minutes begins.
    pub from: String,
    /// How many minutes; the last one is still going on.
    pub minutes: usize,
    /// Whether all triggers of these minutes were looked at: at most 500 of each partition are.
    pub complete: bool,
    /// How many were written in each minute.
    pub total: Vec<u64>,
    /// The same by rule and type, the most frequent first.
    pub kinds: Vec<KindSeen>,
}

/// Triggers of one rule and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KindSeen {
    /// The rule; none where an outside producer wrote them.
    pub rule: Option<String>,
    /// What was noticed.
    pub trigger_type: String,
    /// How many.
    pub count: u64,
    /// How many in each minute.
    pub by_minute: Vec<u64>,
}

/// What is read of a trigger.
#[derive(Deserialize)]
struct Told {
    trigger_type: String,
    rule: Option<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
}

/// The triggers that were written in the `minutes` up to `now_ms`.
///
/// # Errors
/// [`BusError`] where the topic cannot be read.
pub async fn triggers(bus: &SharedBus, minutes: usize, now_ms: i64) -> Result<Recent, BusError> {
    let span = i64::try_from(minutes).unwrap_or(1);
    let from = (now_ms.div_euclid(MINUTE_MS) + 1 - span) * MINUTE_MS;
    let mut tally = Tally { from, minutes, total: vec![0; minutes], kinds: HashMap::new(), read: BTreeMap::new() };
    let (topic, partitions) = (Topic::Triggers, Vec::new());
    let mut batches = bus.read(Read { topic, partitions, from: ReadFrom::Last(LAST), until: ReadUntil::End });
    while let Some(batch) = batches.recv().await {
        for record in batch? {
            let (count, oldest) = tally.read.entry(record.partition).or_insert((0, record.timestamp_ms));
            (*count, *oldest) = (*count + 1, record.timestamp_ms.min(*oldest));
            tally.add(record.timestamp_ms, record.payload.as_deref().unwrap_or_default());
        }
    }
    Ok(tally.told())
}

struct Tally {
    from: i64,
    minutes: usize,
    total: Vec<u64>,
    kinds: HashMap<(Option<String>, String), Vec<u64>>,
    /// How many records were read of each partition, and when the oldest was written.
    read: BTreeMap<i32, (i64, i64)>,
}

impl Tally {
    fn add(&mut self, written_ms: i64, payload: &[u8]) {
        let minute = usize::try_from((written_ms - self.from).div_euclid(MINUTE_MS));
        let Some(minute) = minute.ok().filter(|minute| *minute < self.minutes) else { return };
        // What is no trigger becomes a dead letter, and is shown there.
        let Ok(Told { trigger_type, rule }) = serde_json::from_slice(payload) else { return };
        self.total[minute] += 1;
        let mut kind = (rule.map(|rule| rule.id), trigger_type);
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
            kind = (None, "others".to_owned());
        }
        self.kinds.entry(kind).or_insert_with(|| vec![0; self.minutes])[minute] += 1;
    }

    fn told(self) -> Recent {
        let shown = |((rule, trigger_type), by_minute): ((Option<String>, String), Vec<u64>)| KindSeen {
            rule,
            trigger_type,
            count: by_minute.iter().sum(),
            by_minute,
        };
        let mut kinds: Vec<_> = self.kinds.into_iter().map(shown).collect();
        kinds.sort_by(|one, other| {
            (other.count, &one.rule, &one.trigger_type).cmp(&(one.count, &other.rule, &other.trigger_type))
        });
        Recent {
            from: written(self.from),
            minutes: self.minutes,
            complete: self.read.values().all(|(count, oldest)| *count < LAST || *oldest < self.from),
            total: self.total,
            kinds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_counted_by_minute_rule_and_type() {
        let mut tally =
            Tally { from: 600_000, minutes: 2, total: vec![0; 2], kinds: HashMap::new(), read: BTreeMap::new() };
        let own = br#"{"trigger_type":"hrv_drop","rule":{"id":"a","version":1}}"#;
        for (at, payload) in [
            (599_999, &own[..]),
            (600_000, own),
            (719_999, own),
            (720_000, own),
            (700_000, br#"{"trigger_type":"hrv_drop"}"#),
            (700_000, b"broken"),
        ] {
            tally.add(at, payload);
        }
        tally.read.insert(0, (LAST, 600_001));
        let told = tally.told();
        assert_eq!((told.from.as_str(), told.complete), ("1970-01-01T00:10:00.000Z", false));
        assert_eq!(told.total, [1, 2]);
        let kinds: Vec<_> = told.kinds.iter().map(|kind| (kind.rule.as_deref(), &kind.by_minute[..])).collect();
        assert_eq!(kinds, [(Some("a"), &[1, 1][..]), (None, &[0, 1])]);
    }
}
