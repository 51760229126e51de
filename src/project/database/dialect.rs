//! The few words in which PostgreSQL and SQLite differ where both are asked the same.

/// A database's own words.
pub(super) trait Dialect {
    /// A number: how many tables of migrations there are, 0 or 1.
    const HAS_TABLES: &'static str;
    /// A time before all others, and one behind them.
    const EVER: (&'static str, &'static str);
    /// Several ids, as they are bound.
    type List: Send;

    /// A column of times as text: RFC 3339, in UTC, to the microsecond.
    fn time_as_text(column: &str) -> String;
    /// Such a text as the column holds it.
    fn text_as_time(text: &str) -> String;
    /// JSON as text, as the column holds it.
    fn text_as_json(text: &str) -> String;
    /// A column of JSON as text.
    fn json_as_text(column: &str) -> String;
    /// Nothing, of this type.
    fn null(kind: &str) -> String;
    /// The distinct values of a column where something holds, as text of JSON.
    fn distinct(column: &str, which: &str) -> String;
    /// Whether a column is one of the ids of this parameter.
    fn among(column: &str, parameter: &str) -> String;
    /// The ids for it.
    fn list(ids: &[String]) -> Self::List;
}
