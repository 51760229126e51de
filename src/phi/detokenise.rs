//! Opening tokens for somebody outside: for a purpose from a closed list, no finer than it needs, so many and no more, and
//! written down before anything is told.

use std::collections::BTreeMap;

use auren_agents::{BiometricType, EventId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Binding, KeyError, Keys, Measured, PhiError,
    audit::{Act, Deed},
};

/// What for. There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Somebody who treats the person.
    Care,
    /// The person themselves, who asked for what is kept of them.
    Access,
    /// Whoever looks whether the hub works as it should.
    Review,
    /// Research.
    Research,
    /// An emergency. It wants a reason, and everybody hears of it.
    BreakGlass,
}

/// How finely a value is told, the coarsest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// Between which two steps of half an octave it lies.
    Bucket,
    /// Two significant digits.
    Rounded,
    /// As it was measured.
    Exact,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: &'static [Purpose] = &[Self::Care, Self::Access, Self::Review, Self::Research, Self::BreakGlass];

    /// Its name in requests and in the audit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Care => "care",
            Self::Access => "access",
            Self::Review => "review",
            Self::Research => "research",
            Self::BreakGlass => "break_glass",
        }
    }

    /// The finest that is told for it.
    #[must_use]
    pub fn finest(self) -> Mask {
        match self {
            Self::Care | Self::Access | Self::BreakGlass => Mask::Exact,
            Self::Review => Mask::Rounded,
            Self::Research => Mask::Bucket,
        }
    }
}

/// A token and what it is bound to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Whose value it is.
    pub user_id: UserId,
    /// The event it stands in.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: BiometricType,
    /// The token.
    pub token: String,
}

/// Who asks, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who.
    pub actor: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// How finely.
    pub mask: Mask,
    /// Why, in words; an emergency must say.
    pub reason: Option<&'a str>,
}

/// How much one caller may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// In one call.
    pub per_call: usize,
    /// In one minute.
    pub per_minute: i64,
    /// In one day (UTC).
    pub per_day: i64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { per_call: 1_000, per_minute: 5_000, per_day: 50_000 }
    }
}

/// A value as it is told: masked, and written down that it is. It has no `Debug`, so that no log shows it.
#[derive(Serialize, JsonSchema)]
pub struct Told {
    /// The statistic.
    pub measure: String,
    /// The unit.
    pub unit: String,
    /// The value, or between what it lies.
    pub value: Shown,
}

/// A masked value.
#[derive(Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Shown {
    /// A number, rounded or exact.
    Number(f64),
    /// It lies between these.
    Between([f64; 2]),
}

/// Why nothing was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Too many at once.
    #[error("tokens: at most {0} in one call")]
    TooMany(usize),
    /// Finer than the purpose needs.
    #[error("mask: is finer than the purpose {} is told", .0.name())]
    TooFine(Purpose),
    /// An emergency without a reason.
    #[error("reason: must say in at least 10 characters why the glass is broken")]
    NoReason,
    /// As much was opened as may be.
    #[error("as many tokens were asked for as may be in a {0}")]
    Capped(&'static str),
    /// Keyring or master key do not answer, or it could not be written down.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// Why one token was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// The token.
    #[error("token: {0}")]
    Token(#[from] PhiError),
    /// The key.
    #[error("token: {0}")]
    Key(KeyError),
}

impl Unopened {
    /// The class of the cause, for programs.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Token(error) => error.class(),
            Self::Key(error) => error.class(),
        }
    }
}

/// Opens tokens. One answer for each, in order; nothing is told unless it is written down who asked for what.
///
/// # Errors
/// [`Denied`], which is written down too, where that can be.
pub async fn detokenise(
    keys: &Keys,
    caps: &Caps,
    ask: Ask<'_>,
    items: &[Item],
) -> Result<Vec<Result<Told, Unopened>>, Denied> {
    if let Err(denied) = allowed(keys, caps, ask, items.len()).await {
        let detail = json!({ "purpose": ask.purpose, "tokens": items.len(), "why": denied.to_string() });
        keys.record(&Act::new(Deed::Refusal, ask.actor).with(detail)).await?;
        return Err(denied);
    }
    let mut opened = Vec::with_capacity(items.len());
    for item in items {
        opened.push(open(keys, item).await?);
    }
    let mut people: BTreeMap<&str, u64> = BTreeMap::new();
    for (item, answer) in items.iter().zip(&opened) {
        *people.entry(item.user_id.as_str()).or_default() += u64::from(answer.is_ok());
    }
    let refused = opened.iter().filter(|answer| answer.is_err()).count();
    let detail = json!({
        "purpose": ask.purpose, "mask": ask.mask, "reason": ask.reason, "opened": people, "refused": refused,
    });
    let deed = if ask.purpose == Purpose::BreakGlass { Deed::BreakGlass } else { Deed::Detokenise };
    keys.record(&Act::new(deed, ask.actor).with(detail)).await?;
    Ok(opened.into_iter().map(|answer| answer.map(|measured| tell(&measured, ask.mask))).collect())
}

async fn allowed(keys: &Keys, caps: &Caps, ask: Ask<'_>, tokens: usize) -> Result<(), Denied> {
    if tokens > caps.per_call {
        return Err(Denied::TooMany(caps.per_call));
    }
    if ask.mask > ask.purpose.finest() {
        return Err(Denied::TooFine(ask.purpose));
    }
    if ask.purpose == Purpose::BreakGlass && ask.reason.is_none_or(|reason| reason.trim().chars().count() < 10) {
        return Err(Denied::NoReason);
    }
    let now = Timestamp::now();
    let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
    // `2024-01-01` and `2024-01-01T10:00` of a time in UTC.
    for (window, most, digits) in [("minute", caps.per_minute, 16), ("day", caps.per_day, 10)] {
        let span = now.as_str().get(..digits).unwrap_or_default();
        if keys.store().count(span, ask.actor, tokens).await? > most {
            return Err(Denied::Capped(window));
        }
    }
    Ok(())
}

/// Opens one token. A keyring that is away ends the call: its tokens are not at fault.
async fn open(keys: &Keys, item: &Item) -> Result<Result<Measured, Unopened>, KeyError> {
    let key = match keys.find(&item.user_id, 0).await {
        Ok(key) => key,
        Err(error) if error.is_passing() => return Err(error),
        Err(error) => return Ok(Err(Unopened::Key(error))),
    };
    Ok(key.open(&Binding::value(&item.event_id, &item.event_type), &item.token).map_err(Unopened::Token))
}

fn tell(measured: &Measured, mask: Mask) -> Told {
    Told { measure: measured.measure.clone(), unit: measured.unit.clone(), value: shown(measured.value, mask) }
}

fn shown(value: f64, mask: Mask) -> Shown {
    let magnitude = value.abs();
    match mask {
        Mask::Exact => Shown::Number(value),
        _ if magnitude == 0.0 || !magnitude.is_finite() => Shown::Number(0.0),
        Mask::Rounded => {
            let step = 10_f64.powf(magnitude.log10().floor() - 1.0);
            Shown::Number((value / step).round() * step)
        }
        Mask::Bucket => {
            let step = (magnitude.log2() * 2.0).floor() / 2.0;
            let [from, to] = [step, step + 0.5].map(|step| step.exp2());
            Shown::Between(if value < 0.0 { [-to, -from] } else { [from, to] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARE: Ask<'_> = Ask { actor: "dr", purpose: Purpose::Care, mask: Mask::Exact, reason: None };

    async fn item(keys: &Keys, user: &str, value: f64) -> Item {
        let user_id = UserId::new(user).unwrap();
        let (event_id, event_type) = (EventId::new("e-1").unwrap(), BiometricType::HrvMeasurement);
        let key = keys.make(&user_id, 1).await.unwrap();
        let measured = Measured { value, measure: "rmssd".to_owned(), unit: "ms".to_owned() };
        let token = key.seal(&Binding::value(&event_id, &event_type), &measured).unwrap();
        Item { user_id, event_id, event_type, token }
    }

    async fn deeds(keys: &Keys) -> Vec<Deed> {
        let entries = keys.store().entries(0, 100).await.unwrap();
        entries.iter().map(|entry| serde_json::from_str::<Act>(&entry.body).unwrap().deed).collect()
    }

    #[tokio::test]
    async fn each_token_is_answered_for_by_itself_and_all_is_written_down() {
        let keys = Keys::ephemeral("t");
        let good = item(&keys, "u-1", 41.875).await;
        let gone = item(&keys, "u-2", 41.875).await;
        keys.destroy(&gone.user_id, "test").await.unwrap();
        let with = |change: fn(&mut Item)| {
            let mut item = good.clone();
            change(&mut item);
            item
        };
        let items = [
            good.clone(),
            gone.clone(),
            with(|item| item.event_id = EventId::new("e-2").unwrap()),
            with(|item| item.event_type = BiometricType::SleepAnalysis),
            with(|item| item.user_id = UserId::new("u-3").unwrap()),
            with(|item| item.token = "phi2.AAAA".to_owned()),
            with(|item| item.token.truncate(100)),
            with(|item| item.token.replace_range(5..7, "Ag")),
            with(|item| item.token.replace_range(7..9, "__")),
        ];
        let answers = detokenise(&keys, &Caps::default(), CARE, &items).await.unwrap();
        let classes: Vec<_> =
            answers.iter().map(|answer| answer.as_ref().map_or_else(Unopened::class, |_| "opened")).collect();
        assert_eq!(
            classes,
            [
                "opened",
                "erased",
                "does_not_open",
                "does_not_open",
                "unknown_key",
                "not_a_token",
                "not_a_token",
                "unknown_token_version",
                "unknown_key",
            ]
        );
        assert!(answers[0].as_ref().is_ok_and(|told| told.value == Shown::Number(41.875)));
        assert_eq!(deeds(&keys).await, [Deed::Erase, Deed::Detokenise]);
        let body = &keys.store().entries(1, 1).await.unwrap()[0].body;
        assert!(body.contains(r#""opened":{"u-1":1,"u-2":0,"u-3":0}"#) && !body.contains("41.8"), "{body}");
    }

    #[tokio::test]
    async fn what_may_not_be_is_denied_and_written_down() {
        let keys = Keys::ephemeral("t");
        let items = vec![item(&keys, "u-1", 41.875).await; 10];
        let caps = Caps { per_call: 10, per_minute: 25, per_day: 1000 };
        let denied = |ask, count| {
            let (keys, caps, items) = (keys.clone(), caps.clone(), vec![items[0].clone(); count]);
            async move { detokenise(&keys, &caps, ask, &items).await.err() }
        };
        let research = Ask { purpose: Purpose::Research, ..CARE };
        assert_eq!(denied(CARE, 10_000).await, Some(Denied::TooMany(10)));
        assert_eq!(denied(research, 1).await, Some(Denied::TooFine(Purpose::Research)));
        assert_eq!(denied(Ask { mask: Mask::Bucket, ..research }, 1).await, None);
        let emergency = Ask { purpose: Purpose::BreakGlass, ..CARE };
        assert_eq!(denied(emergency, 1).await, Some(Denied::NoReason));
        assert_eq!(denied(Ask { reason: Some("found unconscious"), ..emergency }, 1).await, None);
        assert_eq!(deeds(&keys).await[2..], [Deed::Detokenise, Deed::Refusal, Deed::BreakGlass]);
        let other = Ask { actor: "other", ..CARE };
        assert_eq!((denied(other, 10).await, denied(other, 10).await), (None, None));
        assert_eq!(denied(other, 10).await, Some(Denied::Capped("minute")));
    }

    #[test]
    fn a_mask_tells_no_more_than_it_should() {
        assert!(shown(41.875, Mask::Exact) == Shown::Number(41.875));
        assert!(shown(41.875, Mask::Rounded) == Shown::Number(42.0));
        assert!(shown(0.0, Mask::Bucket) == Shown::Number(0.0));
        for value in [41.875, 0.03, 118.0, -1.5, 64.0] {
            let Shown::Between([from, to]) = shown(value, Mask::Bucket) else { panic!("no bucket") };
            assert!(from <= value && value <= to && (to / from).log2().abs() < 0.51, "{from} {value} {to}");
        }
    }
}
