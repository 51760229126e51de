//! One person's history, sealed at rest, and what a reading adds to it.

use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AtomicResponse, Context, Handler, WrapFuture as _, fut};
use auren_agents::{BiometricEvent, UserId, events};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::{Point, judge, metadata};
use crate::{
    config::{PrivacyProfile, Role},
    intake::SealedReading,
    lane::{Effects, Input, Lates, Never, Processor, Refusal, Stimulus},
    phi::{KeyError, Keys, Measured, PhiError, UserKey},
    wearable::Measure,
    wire,
};

/// The version of the saved state.
const VERSION: u8 = 1;
/// Most values kept of one statistic of one device: six weeks of nights, and some more.
pub(super) const POINTS_MAX: usize = 48;
/// Most statistics and devices of one person; the one unused for longest goes first.
const SERIES_MAX: usize = 32;

/// How long a reading first waits for a keyring that is away, and at most between two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The role that opens readings.
#[derive(Debug, Clone)]
pub struct Enrich {
    keys: Keys,
    profile: PrivacyProfile,
}

impl Enrich {
    /// Enriches under these keys, telling what the profile allows.
    #[must_use]
    pub fn new(keys: Keys, profile: PrivacyProfile) -> Self {
        Self { keys, profile }
    }
}

impl Processor for Enrich {
    type Late = Never;
    type Session = Session;

    fn role(&self) -> Role {
        Role::Enrich
    }

    fn open(&self, user: &UserId, saved: Option<&[u8]>, _: Lates<Never>) -> Result<Self::Session, Refusal> {
        let history = saved.map_or_else(|| Kept::Open(History::default()), |saved| Kept::Sealed(saved.to_vec()));
        Ok(Session { user: user.clone(), role: self.clone(), history })
    }
}

/// One person's session. It holds no key: each reading asks for it anew, so that none outlives the person's erasure.
pub struct Session {
    user: UserId,
    role: Enrich,
    history: Kept,
}

enum Kept {
    /// As it was saved; opened with the first key that comes.
    Sealed(Vec<u8>),
    Open(History),
}

impl Actor for Session {
    type Context = Context<Self>;
}

/// Sent by the lane's worker, which awaits the answer before it sends the next.
impl Handler<Stimulus<Never>> for Session {
    type Result = AtomicResponse<Self, Result<Effects, Refusal>>;

    fn handle(&mut self, stimulus: Stimulus<Never>, _: &mut Self::Context) -> Self::Result {
        let Stimulus::Record(input) = stimulus else {
            return AtomicResponse::new(Box::pin(fut::ready(Ok(Effects::default()))));
        };
        let (keys, user) = (self.role.keys.clone(), self.user.clone());
        let key = async move { patiently(&keys, &user).await }.into_actor(self);
        AtomicResponse::new(Box::pin(key.map(move |key, session, _| session.apply(&input, key))))
    }
}

/// The key of a person. While keyring or vault are away it waits: a reading is not bad because they are, and the lane
/// behind it stands still until they are back.
async fn patiently(keys: &Keys, user: &UserId) -> Result<UserKey, KeyError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match keys.find(user, 1).await {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, pause_ms = pause.as_millis(), "readings wait for their keys");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            answer => return answer,
        }
    }
}

/// What was measured of a person, by statistic and device: values of two devices or two statistics never mix.
#[derive(Default, Serialize, Deserialize)]
struct History {
    series: Vec<Series>,
}

#[derive(Serialize, Deserialize)]
struct Series {
    measure: String,
    device: String,
    /// Seconds since the epoch and the value, in order of time.
    points: Vec<(i64, f32)>,
}

/// What became of a value that was to be entered.
enum Added {
    /// It was entered; these are those before it, oldest first.
    New(Vec<Point>),
    /// It was there already.
    Known,
    /// It is older than all that is kept, and as much is kept as may be.
    TooOld,
}

impl Drop for Series {
    fn drop(&mut self) {
        for (_, value) in &mut self.points {
            value.zeroize();
        }
    }
}

impl Session {
    pub(crate) fn apply(&mut self, input: &Input, key: Result<UserKey, KeyError>) -> Result<Effects, Refusal> {
        let reading: SealedReading = events::parse(&input.payload)?;
        if reading.user_id != self.user {
            return Err(Refusal::other_user());
        }
        let key = key.map_err(|error| Refusal::new(error.class(), "token", error.to_string()))?;
        let unopened = |error: PhiError| Refusal::new(error.class(), "token", error.to_string());
        let measured = reading.open(&key).map_err(unopened)?;
        possible(&measured)?;
        let at = reading.timestamp.millis().div_euclid(1000);
        let history = self.history.opened(&key)?;
        let past = match history.add(&measured, &reading.source_device, at) {
            Added::New(past) => past,
            // Its event has been written.
            Added::Known => return Ok(Effects::default()),
            Added::TooOld => {
                let why = "is older than everything that is remembered of its kind: it is here again, or months late";
                return Err(Refusal::new("too_old", "timestamp", why));
            }
        };
        let state = history.save(&key)?;
        let judged = judge(&measured.measure, Point { at, value: measured.value }, &past);
        let metadata = metadata(&reading, &measured, &judged, self.role.profile);
        let event = BiometricEvent {
            event_id: reading.event_id,
            user_id: reading.user_id,
            event_type: reading.event_type,
            token: reading.token,
            metadata,
            timestamp: reading.timestamp,
            extra: reading.extra,
        };
        Ok(Effects { outputs: vec![wire::outgoing(&event)], state: Some(state), open: false, wake: None, trace: None })
    }
}

impl Kept {
    fn opened(&mut self, key: &UserKey) -> Result<&mut History, Refusal> {
        if let Self::Sealed(saved) = self {
            *self = Self::Open(History::load(key, saved)?);
        }
        match self {
            Self::Open(history) => Ok(history),
            Self::Sealed(_) => Err(Refusal::new("state_unreadable", "state", "is sealed")),
        }
    }
}

impl History {
    fn load(key: &UserKey, saved: &[u8]) -> Result<Self, Refusal> {
        let unreadable = |why: &str| Refusal::new("state_unreadable", "state", why);
        let plain = key
            .open_state(Role::Enrich.name(), saved)
            .map_err(|error| unreadable(&format!("the person's saved history {error}")))?;
        match plain.split_first() {
            Some((&VERSION, plain)) => postcard::from_bytes(plain).map_err(|_| unreadable("is damaged")),
            _ => Err(unreadable("was saved by another version of AUREN")),
        }
    }

    fn save(&self, key: &UserKey) -> Result<Bytes, Refusal> {
        let unsaved = |_| Refusal::new("state_unwritable", "state", "the person's history cannot be written");
        let mut plain = vec![VERSION];
        plain = postcard::to_extend(self, plain).map_err(unsaved)?;
        let sealed = key.seal_state(Role::Enrich.name(), &plain);
        plain.zeroize();
        sealed.map(Bytes::from).map_err(|error| Refusal::new("state_unwritable", "state", error.to_string()))
    }

    /// Enters a value.
    fn add(&mut self, measured: &Measured, device: &str, at: i64) -> Added {
        let of = |series: &Series| series.measure == measured.measure && series.device == device;
        let index = match self.series.iter().position(of) {
            Some(index) => index,
            None => {
                if self.series.len() == SERIES_MAX {
                    let newest = |series: &Series| series.points.last().map_or(i64::MIN, |(at, _)| *at);
                    if let Some(idle) = (0..self.series.len()).min_by_key(|index| newest(&self.series[*index])) {
                        self.series.swap_remove(idle);
                    }
                }
                let (measure, device) = (measured.measure.clone(), device.to_owned());
                self.series.push(Series { measure, device, points: Vec::new() });
                self.series.len() - 1
            }
        };
        let points = &mut self.series[index].points;
        let place = match points.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(_) => return Added::Known,
            // It cannot be told from one that was here and has been forgotten since.
            Err(0) if points.len() == POINTS_MAX => return Added::TooOld,
            Err(place) => place,
        };
        let past = points[..place].iter().map(|(at, value)| Point { at: *at, value: f64::from(*value) }).collect();
        #[expect(clippy::cast_possible_truncation, reason = "seven digits of a measured value are enough")]
        points.insert(place, (at, measured.value as f32));
        if points.len() > POINTS_MAX {
            points.remove(0);
        }
        Added::New(past)
    }
}

/// A value that no living person has is nobody's baseline, whoever sealed it.
fn possible(measured: &Measured) -> Result<(), Refusal> {
    let fits = match Measure::named(&measured.measure) {
        Some(known) => measured.unit == known.unit() && known.possible().contains(&measured.value),
        None => measured.value.is_finite(),
    };
    let why = "holds a value that is impossible, or in another unit";
    if fits { Ok(()) } else { Err(Refusal::new("impossible_value", "token", why)) }
}

#[cfg(test)]
mod tests {
    use auren_agents::{BiometricType, Score, Text, Timestamp};
    use chrono::{Duration, TimeZone as _, Utc};

    use super::*;
    use crate::{
        bus::{Cursor, Topic},
        wearable::Row,
    };

    fn input(reading: &SealedReading) -> Input {
        let payload = serde_json::to_vec(reading).unwrap().into();
        Input {
            topic: Topic::Readings,
            cursor: Cursor { partition: 0, offset: 0 },
            written_ms: 0,
            payload,
            trace: None,
        }
    }

    async fn night(keys: &Keys, night: i64, value: f64) -> SealedReading {
        let at = Utc.with_ymd_and_hms(2024, 1, 1, 7, 0, 0).unwrap() + Duration::days(night);
        let row = Row {
            user: UserId::new("u-1").unwrap(),
            event_type: BiometricType::HrvMeasurement,
            measure: "rmssd".into(),
            value,
            unit: "ms".into(),
            at: Timestamp::from(at),
            device: Text::cut("watch"),
            context: Text::cut("sleep"),
        };
        SealedReading::seal(&row, &keys.make(&row.user, 1).await.unwrap()).unwrap()
    }

    fn open(role: &Enrich, saved: Option<&[u8]>) -> Session {
        let (sender, _) = tokio::sync::mpsc::channel(1);
        role.open(&UserId::new("u-1").unwrap(), saved, Lates::new(sender)).unwrap()
    }

    async fn work(session: &mut Session, reading: &SealedReading) -> Result<Effects, Refusal> {
        let key = session.role.keys.clone().find(&session.user, 1).await;
        session.apply(&input(reading), key)
    }

    fn event(effects: &Effects) -> BiometricEvent {
        events::parse(effects.outputs[0].payload.as_ref().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_history_survives_sealing_and_a_reading_counts_once() {
        let keys = Keys::ephemeral("t");
        let role = Enrich::new(keys.clone(), PrivacyProfile::Coarse);
        let mut session = open(&role, None);
        let mut saved = Bytes::new();
        for day in 0..20 {
            let value = 40.0 + f64::from(i32::try_from(day % 5).unwrap());
            let effects = work(&mut session, &night(&keys, day, value).await).await.unwrap();
            assert_eq!(event(&effects).metadata.severity_score, Score::ZERO);
            saved = effects.state.unwrap();
        }
        let mut session = open(&role, Some(&saved));
        let low = night(&keys, 20, 25.0).await;
        let effects = work(&mut session, &low).await.unwrap();
        let event = event(&effects);
        assert_eq!((event.metadata.severity_score, event.event_id), (Score::ONE, low.event_id.clone()));
        assert!(work(&mut session, &low).await.unwrap().outputs.is_empty());
        assert!(saved.len() < 600, "{} bytes", saved.len());
    }

    #[tokio::test]
    async fn what_does_not_open_or_cannot_be_is_refused_in_its_class() {
        let keys = Keys::ephemeral("t");
        let mut session = open(&Enrich::new(keys.clone(), PrivacyProfile::Coarse), None);
        let good = night(&keys, 1, 40.0).await;
        let moved = SealedReading { event_id: night(&keys, 2, 40.0).await.event_id, ..good.clone() };
        let plain = SealedReading { token: Text::cut("TOKENIZED_PHI"), ..good.clone() };
        let other = SealedReading { user_id: UserId::new("u-2").unwrap(), ..good.clone() };
        let foreign = night(&Keys::ephemeral("t"), 1, 40.0).await;
        for (reading, class) in
            [(&moved, "does_not_open"), (&foreign, "unknown_key"), (&plain, "not_a_token"), (&other, "key_mismatch")]
        {
            assert_eq!(work(&mut session, reading).await.unwrap_err().class, class);
        }
        keys.destroy(&session.user, "test").await.unwrap();
        assert_eq!(work(&mut session, &good).await.unwrap_err().class, "erased");
    }
}
