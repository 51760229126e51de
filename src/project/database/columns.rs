//! Which field of a row goes into which column of which table, in and out.

use sqlx::{
    AssertSqlSafe, Row as _,
    postgres::{PgRow, PgTransaction},
};

use crate::{bus::Topic, project::row::Row};

/// What a table calls a row's fields.
pub(super) struct Table {
    pub(super) topic: Topic,
    pub(super) name: &'static str,
    /// Fields of [`ARRAYS`] and the columns they go into.
    columns: &'static [(&'static str, &'static str)],
}

/// The fields of a row, in the order in which they are bound, with their types in the statement.
const ARRAYS: [(&str, &str); 17] = [
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

/// The table of a topic, where it has one.
pub(super) fn table_of(topic: Topic) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.topic == topic)
}

/// Inserts the rows that are no erased person's; returns how many.
pub(super) async fn insert(
    transaction: &mut PgTransaction<'_>,
    table: &Table,
    rows: &[&Row],
) -> Result<u64, sqlx::Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    let typed = ARRAYS.iter().enumerate().map(|(at, (_, kind))| format!("${}::{kind}[]", at + 1));
    let names = ARRAYS.map(|(name, _)| name).join(", ");
    let taken: Vec<&str> = SHARED.into_iter().chain(table.columns.iter().map(|(field, _)| *field)).collect();
    let taken = taken.into_iter().map(|field| match field {
        "at" | "logged_at" => format!("{field}::timestamptz"),
        "rest" => "rest::jsonb".to_owned(),
        field => field.to_owned(),
    });
    let columns = SHARED.into_iter().chain(table.columns.iter().map(|(_, column)| *column));
    let statement = format!(
        "INSERT INTO {} ({}) SELECT {} FROM UNNEST({}) AS r({names}) WHERE NOT EXISTS (SELECT FROM auren_erased e WHERE \
         e.user_id = r.user_id)",
        table.name,
        columns.collect::<Vec<_>>().join(", "),
        taken.collect::<Vec<_>>().join(", "),
        typed.collect::<Vec<_>>().join(", ")
    );
    fn all<'a, T>(rows: &[&'a Row], field: impl Fn(&'a Row) -> T) -> Vec<T> {
        rows.iter().map(|row| field(row)).collect()
    }
    sqlx::query(AssertSqlSafe(statement))
        .bind(all(rows, |row| row.at.as_str()))
        .bind(all(rows, |row| row.logged_at.as_str()))
        .bind(all(rows, |row| row.partition))
        .bind(all(rows, |row| row.offset))
        .bind(all(rows, |row| row.event_id.as_str()))
        .bind(all(rows, |row| row.user_id.as_deref()))
        .bind(all(rows, |row| row.kind.as_str()))
        .bind(all(rows, |row| row.name.as_deref()))
        .bind(all(rows, |row| row.version.as_deref()))
        .bind(all(rows, |row| row.severity))
        .bind(all(rows, |row| row.rank))
        .bind(all(rows, |row| row.cause.as_deref()))
        .bind(all(rows, |row| row.cause_kind.as_deref()))
        .bind(all(rows, |row| row.conversation.as_deref()))
        .bind(all(rows, |row| row.turn))
        .bind(all(rows, |row| row.text.as_deref()))
        .bind(all(rows, |row| row.rest.to_string()))
        .execute(&mut **transaction)
        .await
        .map(|done| done.rows_affected())
}

/// The fields of a row in the order of [`ARRAYS`], as a table has them.
pub(super) fn selected(table: &Table) -> String {
    let field = |(field, kind): &(&str, &str)| {
        let column = table.columns.iter().find(|(name, _)| name == field).map(|(_, column)| *column);
        match (*field, column) {
            ("at" | "logged_at", _) => {
                format!("to_char({field} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            }
            ("rest", _) => "rest::text".to_owned(),
            (shared, _) if SHARED.contains(&shared) => shared.to_owned(),
            (_, Some(column)) => column.to_owned(),
            (_, None) => format!("NULL::{kind}"),
        }
    };
    ARRAYS.iter().map(field).collect::<Vec<_>>().join(", ")
}

/// A row as [`selected`] brings it.
pub(super) fn read(row: &PgRow) -> Result<Row, sqlx::Error> {
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
