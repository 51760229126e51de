//! What a request may say, and cursors. A cursor is a place in the order of a page and opens nothing: whose rows are read
//! follows from the token.

use auren_agents::{BiometricType, ConversationId, Timestamp};
use axum::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{Datelike as _, SecondsFormat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    gateway::Problem,
    project::database::{Place, Wanted},
};

/// Most rows of one page.
const LIMIT_MAX: u16 = 500;
/// Rows of a page where nobody says how many.
const LIMIT: u16 = 100;

/// Somebody's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct OfPerson {
    pub(super) user: Option<String>,
}

/// A page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Paged {
    pub(super) user: Option<String>,
    after: Option<String>,
    limit: Option<u16>,
}

/// A page of what happened in a span of time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Spanned {
    pub(super) user: Option<String>,
    after: Option<String>,
    limit: Option<u16>,
    #[serde(rename = "type")]
    kind: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// A page that can be asked of the database.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) limit: u16,
    pub(super) after: Option<Place>,
    kind: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl Paged {
    /// How many, and behind which conversation.
    pub(super) fn check(self) -> Result<(u16, Option<(String, String)>), Problem> {
        let after = self.after.as_deref().map(place::<(String, String)>).transpose()?;
        let behind = |(at, id): (String, String)| {
            ConversationId::new(&id).map_err(|_| no_cursor())?;
            Ok::<_, Problem>((moment("after", &at)?, id))
        };
        Ok((limit(self.limit)?, after.map(behind).transpose()?))
    }
}

impl Spanned {
    /// The same, where it can be asked.
    pub(super) fn check(self) -> Result<Span, Problem> {
        let after = self.after.as_deref().map(place::<Place>).transpose()?;
        let behind = |Place(at, partition, offset)| Ok::<_, Problem>(Place(moment("after", &at)?, partition, offset));
        let after = after.map(behind).transpose()?;
        // Triggers' types have the same bounds.
        let kind = self.kind.map(|kind| match BiometricType::try_from(kind.clone()) {
            // The database takes no U+0000 in a text, so no row has such a type.
            Ok(_) if kind.contains('\0') => Err(bad("type: holds U+0000".to_owned())),
            Ok(_) => Ok(kind),
            Err(unfit) => Err(bad(format!("type: {unfit}"))),
        });
        let time = |name, text: Option<String>| text.map(|text| moment(name, &text)).transpose();
        let (from, to) = (time("from", self.from)?, time("to", self.to)?);
        Ok(Span { limit: limit(self.limit)?, after, kind: kind.transpose()?, from, to })
    }
}

impl Span {
    /// One row more than is shown, which tells whether there is another page.
    pub(super) fn wanted<'a>(&'a self, user: &'a str) -> Wanted<'a> {
        let (kind, from, to) = (self.kind.as_deref(), self.from.as_deref(), self.to.as_deref());
        Wanted { user, kind, from, to, limit: self.limit + 1 }
    }
}

/// A place as text that can stand in an address.
pub(super) fn cursor<P: Serialize>(place: &P) -> String {
    let json = serde_json::to_vec(place).expect("places are plain data");
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

fn place<P: DeserializeOwned>(cursor: &str) -> Result<P, Problem> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| no_cursor())?;
    serde_json::from_slice(&json).map_err(|_| no_cursor())
}

fn no_cursor() -> Problem {
    bad("after: is no cursor of this list; take `next` of the page before as it is".to_owned())
}

fn limit(asked: Option<u16>) -> Result<u16, Problem> {
    let limit = asked.unwrap_or(LIMIT);
    if (1..=LIMIT_MAX).contains(&limit) { Ok(limit) } else { Err(bad(format!("limit: must be from 1 to {LIMIT_MAX}"))) }
}

/// A time in UTC, as the database reads it.
fn moment(name: &str, text: &str) -> Result<String, Problem> {
    let hint = "is no RFC 3339 time such as 2024-01-01T07:00:00Z; in an address + is written %2B";
    let at = Timestamp::parse(text).map_err(|_| bad(format!("{name}: {hint}")))?.at().to_utc();
    // The database knows no year 0, and RFC 3339 none of five digits.
    if !(1..=9999).contains(&at.year()) {
        return Err(bad(format!("{name}: must be in the years 1 to 9999")));
    }
    Ok(at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn bad(words: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, words)
}
