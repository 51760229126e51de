//! One person's rows, some at a time. A page goes on behind the last row of the one before, so it costs the same however
//! far it is from the first, and rows that are written meanwhile shift nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};

use super::{
    Database,
    columns::{in_utc, read, selected, table_of},
    failed,
};
use crate::{
    bus::Topic,
    project::{ProjectError, row::Row},
};

/// Whose rows, and which of them.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose.
    pub user: &'a str,
    /// Only events of this type.
    pub kind: Option<&'a str>,
    /// From this time on (RFC 3339).
    pub from: Option<&'a str>,
    /// Before this time (RFC 3339).
    pub to: Option<&'a str>,
    /// Most rows.
    pub limit: u16,
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// The place of a row in the order of time: when it happened (RFC 3339), partition, offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(pub String, pub i32, pub i64);

/// A conversation in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conversation {
    /// Its id.
    pub conversation_id: String,
    /// When its oldest event happened, in UTC.
    pub first: String,
    /// When its newest event happened, in UTC.
    pub last: String,
    /// How many events it has.
    pub events: i64,
    /// The agents who spoke, by name.
    pub agents: Vec<String>,
}

impl Row {
    /// Its place in the order of time.
    #[must_use]
    pub fn place(&self) -> Place {
        Place(self.at.clone(), self.partition, self.offset)
    }
}

impl Database {
    /// A person's rows of a topic by the time at which they happened, behind a place.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn page(
        &mut self,
        topic: Topic,
        wanted: Wanted<'_>,
        order: Order,
        after: Option<&Place>,
    ) -> Result<Vec<Row>, ProjectError> {
        let Some(table) = table_of(topic) else { return Ok(Vec::new()) };
        let (behind, begin, sorted) = match order {
            Order::Oldest => (">", "-infinity", "ASC"),
            Order::Newest => ("<", "infinity", "DESC"),
        };
        // An end that is not named is one beyond all times, so that the index on person and time serves every case.
        let asked = format!(
            "SELECT {} FROM {} WHERE user_id = $1 AND ($2::text IS NULL OR {} = $2) AND \
             at >= coalesce($3::text::timestamptz, '-infinity') AND at < coalesce($4::text::timestamptz, 'infinity') AND \
             (at, log_partition, log_offset) {behind} (coalesce($5::text::timestamptz, '{begin}'), $6::int, $7::bigint) \
             ORDER BY at {sorted}, log_partition {sorted}, log_offset {sorted} LIMIT $8",
            selected(table),
            table.name,
            table.kind()
        );
        let (at, partition, offset) = after.map_or((None, 0, 0), |Place(at, p, o)| (Some(at.as_str()), *p, *o));
        let asked = sqlx::query(AssertSqlSafe(asked)).bind(wanted.user).bind(wanted.kind).bind(wanted.from);
        let asked = asked.bind(wanted.to).bind(at).bind(partition).bind(offset).bind(i64::from(wanted.limit));
        let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// A person's conversations, those with the newest events first, behind one of them (when its newest event happened, and
    /// its id).
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn conversations(
        &mut self,
        user: &str,
        limit: u16,
        after: Option<&(String, String)>,
    ) -> Result<Vec<Conversation>, ProjectError> {
        let asked = format!(
            "SELECT conversation_id, {}, {}, count(*), coalesce(array_agg(DISTINCT specialist_id) FILTER (WHERE \
             message_type = 'specialist_response'), '{{}}') FROM auren_conversation_events WHERE user_id = $1 \
             GROUP BY conversation_id HAVING (max(at), conversation_id) < (coalesce($2::text::timestamptz, 'infinity'), \
             coalesce($3::text, '')) ORDER BY max(at) DESC, conversation_id DESC LIMIT $4",
            in_utc("min(at)"),
            in_utc("max(at)")
        );
        let (at, id) = after.map(|(at, id)| (at.as_str(), id.as_str())).unzip();
        let asked = sqlx::query(AssertSqlSafe(asked)).bind(user).bind(at).bind(id).bind(i64::from(limit));
        let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| failed(&self.at, &error))?;
        let read = |row: &PgRow| -> Result<Conversation, sqlx::Error> {
            Ok(Conversation {
                conversation_id: row.try_get(0)?,
                first: row.try_get(1)?,
                last: row.try_get(2)?,
                events: row.try_get(3)?,
                agents: row.try_get(4)?,
            })
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }
}
