//! Which field of a row goes into which column of which table, in and out.

use sqlx::{ColumnIndex, Decode, Type};

use super::dialect::Dialect;
use crate::{bus::Topic, project::row::Row};

/// What a table calls a row's fields.
pub(super) struct Table {
    pub(super) topic: Topic,
    pub(super) name: &'static str,
    /// Fields of [`FIELDS`] and the columns they go into.
    columns: &'static [(&'static str, &'static str)],
}

/// The fields of a row, in the order in which they are bound, with their types in PostgreSQL.
pub(super) const FIELDS: [(&str, &str); 17] = [
    ("at", "text"),
    ("logged_at", "text"),
    ("log_partition", "int"),
    ("log_offset", "bigint"),
    ("event_id", "text"),
    ("user_id", "text"),
    ("kind", "text"),
    ("name", "text"),
    ("version", "text"),
    ("severity", "float8"),
    ("rank", "float8"),
    ("cause", "text"),
    ("cause_kind", "text"),
    ("conversation", "text"),
    ("turn", "bigint"),
    ("body", "text"),
    ("rest", "text"),
];

/// Columns that all tables have under one name.
const SHARED: [&str; 7] = ["at", "logged_at", "log_partition", "log_offset", "event_id", "user_id", "rest"];

pub(super) static TABLES: [Table; 4] = [
    Table {
        topic: Topic::Biometrics,
        name: "auren_biometrics",
        columns: &[
            ("kind", "event_type"),
            ("name", "measure"),
            ("severity", "severity"),
            ("rank", "percentile_rank"),
            ("body", "token"),
        ],
    },
    Table {
        topic: Topic::Triggers,
        name: "auren_triggers",
        columns: &[
            ("kind", "trigger_type"),
            ("name", "rule_id"),
            ("version", "rule_version"),
            ("severity", "severity"),
            ("body", "message"),
        ],
    },
    Table {
        topic: Topic::Events,
        name: "auren_conversation_events",
        columns: &[
            ("kind", "message_type"),
            ("name", "specialist_id"),
            ("version", "agent_version"),
            ("severity", "severity"),
            ("cause", "cause_id"),
            ("cause_kind", "cause_type"),
            ("conversation", "conversation_id"),
            ("turn", "turn"),
            ("body", "content"),
        ],
    },
    Table { topic: Topic::System, name: "auren_system_events", columns: &[("kind", "event_type"), ("name", "node")] },
];

impl Table {
    /// Whether it has a column for this field.
    pub(super) fn has(&self, field: &str) -> bool {
        SHARED.contains(&field) || self.columns.iter().any(|(name, _)| *name == field)
    }

    /// The column that has what kind of event a row is.
    pub(super) fn kind(&self) -> &'static str {
        self.columns.iter().find(|(field, _)| *field == "kind").map_or("event_type", |(_, column)| column)
    }
}

/// The table of a topic, where it has one.
pub(super) fn table_of(topic: Topic) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.topic == topic)
}

/// A statement that inserts those rows of a source that are no erased person's. The source has the columns of [`FIELDS`].
pub(super) fn insert<D: Dialect>(table: &Table, source: &str) -> String {
    let taken: Vec<&str> = SHARED.into_iter().chain(table.columns.iter().map(|(field, _)| *field)).collect();
    let taken = taken.into_iter().map(|field| match field {
        "at" | "logged_at" => D::text_as_time(field),
        "rest" => D::text_as_json(field),
        field => field.to_owned(),
    });
    let columns = SHARED.into_iter().chain(table.columns.iter().map(|(_, column)| *column));
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM {source} WHERE NOT EXISTS (SELECT 1 FROM auren_erased e WHERE \
         e.user_id = r.user_id)",
        table.name,
        columns.collect::<Vec<_>>().join(", "),
        taken.collect::<Vec<_>>().join(", "),
    )
}

/// The fields of a row in the order of [`FIELDS`], as a table has them.
pub(super) fn selected<D: Dialect>(table: &Table) -> String {
    let field = |(field, kind): &(&str, &str)| {
        let column = table.columns.iter().find(|(name, _)| name == field).map(|(_, column)| *column);
        match (*field, column) {
            ("at" | "logged_at", _) => D::time_as_text(field),
            ("rest", _) => D::json_as_text(field),
            (shared, _) if SHARED.contains(&shared) => shared.to_owned(),
            (_, Some(column)) => column.to_owned(),
            (_, None) => D::null(kind),
        }
    };
    FIELDS.iter().map(field).collect::<Vec<_>>().join(", ")
}

/// A row as [`selected`] brings it.
pub(super) fn read<'r, R>(row: &'r R) -> Result<Row, sqlx::Error>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    f64: Decode<'r, R::Database> + Type<R::Database>,
{
    let rest: String = row.try_get(16)?;
    Ok(Row {
        at: row.try_get(0)?,
        logged_at: row.try_get(1)?,
        partition: row.try_get(2)?,
        offset: row.try_get(3)?,
        event_id: row.try_get(4)?,
        user_id: row.try_get(5)?,
        kind: row.try_get(6)?,
        name: row.try_get(7)?,
        version: row.try_get(8)?,
        severity: row.try_get(9)?,
        rank: row.try_get(10)?,
        cause: row.try_get(11)?,
        cause_kind: row.try_get(12)?,
        conversation: row.try_get(13)?,
        turn: row.try_get(14)?,
        text: row.try_get(15)?,
        rest: serde_json::from_str(&rest).map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}
