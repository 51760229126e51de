//! What is remembered of a person's biometric events, shared by all rules: metadata of the time that some rule looks back
//! on, in the order of event time.

use auren_agents::Observation;
use serde::{Deserialize, Serialize};

use super::noted::{Noted, Stream};

/// Most streams of a person that are remembered at once.
const STREAMS_MAX: usize = 64;
/// How long what no rule reads is kept, to accompany what a trigger rests on.
pub(super) const COMPANY_MS: i64 = 2 * 86_400_000;
/// Most events of a stream that no rule reads.
pub(super) const COMPANY_MAX: u16 = 2;
/// Most events that accompany what a trigger rests on.
const ACCOMPANY_MAX: usize = 12;
/// Most events that wait for their turn under an allowed lateness.
pub(super) const WAITING_MAX: usize = 1024;

/// A stream as rules know it: type and statistic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) event_type: String,
    pub(super) measure: String,
    /// How far back rules look, and how many events.
    pub(super) reach: i64,
    pub(super) depth: u16,
    /// The rules that read it.
    pub(super) readers: Vec<u32>,
}

/// What a stream is where no rule reads it.
pub(super) const UNREAD: u8 = u8::MAX;

/// A person's last days, in order of time.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct History {
    streams: Vec<Stream>,
    events: Vec<Noted>,
    /// The kind of each stream under the rules in force.
    #[serde(skip)]
    kinds: Vec<u8>,
}

/// What became of an event that was to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is entered, and this is its kind.
    New(u8),
    /// It is there already.
    Known,
    /// It is older than all that is kept, or of one stream too many.
    TooOld,
}

impl History {
    /// Learns which streams the rules in force read.
    pub(super) fn resolve(&mut self, kinds: &[Kind]) {
        self.kinds = self.streams.iter().map(|stream| kind_of(stream, kinds)).collect();
    }

    /// Enters an event. `judged` is the time up to which everything has been judged: what is newer waits and is kept.
    pub(super) fn add(&mut self, mut noted: Noted, stream: &Stream, kinds: &[Kind], judged: i64) -> Added {
        let Some(index) = self.enter(stream, kinds) else { return Added::TooOld };
        #[expect(clippy::cast_possible_truncation, reason = "there are at most STREAMS_MAX")]
        let number = index as u8;
        noted.stream = number;
        let (at, kind) = (noted.at, self.kinds[index]);
        // Most events are the newest.
        let place = match self.events.last() {
            Some(last) if (last.at, &last.id) >= (at, &noted.id) => {
                match self.events.binary_search_by(|known| (known.at, &known.id).cmp(&(at, &noted.id))) {
                    Ok(_) => return Added::Known,
                    Err(place) => place,
                }
            }
            _ => self.events.len(),
        };
        let id = noted.id.clone();
        self.events.insert(place, noted);
        self.forget(kinds, judged);
        let kept = self.events.binary_search_by(|known| (known.at, &known.id).cmp(&(at, &id))).is_ok();
        if kept { Added::New(kind) } else { Added::TooOld }
    }

    /// The place of a stream, which may be that of one of which nothing is remembered any more; none where all are in use.
    fn enter(&mut self, stream: &Stream, kinds: &[Kind]) -> Option<usize> {
        if let Some(known) = self.streams.iter().position(|known| known == stream) {
            return Some(known);
        }
        let kind = kind_of(stream, kinds);
        if self.streams.len() < STREAMS_MAX {
            self.kinds.push(kind);
            self.streams.push(stream.clone());
            return Some(self.streams.len() - 1);
        }
        let mut used = [false; STREAMS_MAX];
        for event in &self.events {
            used[usize::from(event.stream)] = true;
        }
        let free = used.iter().position(|used| !used)?;
        (self.streams[free], self.kinds[free]) = (stream.clone(), kind);
        Some(free)
    }

    /// Drops what no rule looks back on any more.
    fn forget(&mut self, kinds: &[Kind], judged: i64) {
        let newest = self.events.last().map_or(0, |event| event.at).min(judged);
        let mut counts = [0_u16; STREAMS_MAX];
        let mut waiting = 0;
        let of = &self.kinds;
        // From the newest back: a stream's newest events are those that stay.
        let mut keep = vec![true; self.events.len()];
        for (event, keep) in self.events.iter().zip(keep.iter_mut()).rev() {
            if event.at >= judged && judged != i64::MAX && waiting < WAITING_MAX {
                waiting += 1;
                continue;
            }
            let count = &mut counts[usize::from(event.stream)];
            let (reach, depth) = match kinds.get(usize::from(of[usize::from(event.stream)])) {
                Some(kind) => (kind.reach, kind.depth),
                None => (COMPANY_MS, COMPANY_MAX),
            };
            *count += 1;
            *keep = *count <= depth && event.at >= newest - reach;
        }
        if keep.contains(&false) {
            let mut keep = keep.into_iter();
            self.events.retain(|_| keep.next().unwrap_or(true));
        }
    }

    pub(super) fn events(&self) -> &[Noted] {
        &self.events
    }

    pub(super) fn stream(&self, event: &Noted) -> &Stream {
        &self.streams[usize::from(event.stream)]
    }

    /// The bit of an event's kind; none where no rule reads it.
    pub(super) fn bit(&self, event: &Noted) -> u64 {
        match self.kinds[usize::from(event.stream)] {
            UNREAD => 0,
            kind => 1 << kind,
        }
    }

    /// The kind of an event.
    pub(super) fn kind(&self, event: &Noted) -> u8 {
        self.kinds[usize::from(event.stream)]
    }

    /// The events of these places, and what accompanied them in the last two days, as agents see them.
    pub(super) fn evidence(&self, window: &[usize], at: i64) -> Vec<Observation> {
        let until = self.events.partition_point(|event| event.at <= at);
        let mut counts = [0_u16; STREAMS_MAX];
        // Of each stream as many as are kept whatever the order of arrival was.
        let mut company: Vec<usize> = (0..until)
            .rev()
            .take_while(|place| self.events[*place].at > at - COMPANY_MS)
            .filter(|place| {
                let count = &mut counts[usize::from(self.events[*place].stream)];
                *count += 1;
                *count <= COMPANY_MAX && !window.contains(place)
            })
            .collect();
        company.truncate(ACCOMPANY_MAX);
        (0..until)
            .filter(|place| window.contains(place) || company.contains(place))
            .filter_map(|place| self.events[place].observation(self.stream(&self.events[place])))
            .collect()
    }
}

fn kind_of(stream: &Stream, kinds: &[Kind]) -> u8 {
    let found =
        kinds.iter().position(|kind| *kind.measure == *stream.measure && *kind.event_type == *stream.event_type);
    found.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(UNREAD)
}
