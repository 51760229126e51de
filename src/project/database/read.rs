//! How rows come out of the tables again.

use sqlx::{AssertSqlSafe, Row as _};

use super::{
    Database,
    columns::{read, selected, table_of},
    failed,
};
use crate::{
    bus::Topic,
    project::{ProjectError, row::Row},
};

/// How much of a topic there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// Rows.
    pub rows: i64,
    /// Records that are no rows.
    pub refused: i64,
}

impl Database {
    /// The rows of a partition from one offset up to another, in their order.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn rows(&mut self, topic: Topic, partition: i32, from: i64, to: i64) -> Result<Vec<Row>, ProjectError> {
        let Some(table) = table_of(topic) else { return Ok(Vec::new()) };
        let asked = format!(
            "SELECT {} FROM {} WHERE log_partition = $1 AND log_offset >= $2 AND log_offset < $3 ORDER BY log_offset",
            selected(table),
            table.name
        );
        let asked = sqlx::query(AssertSqlSafe(asked)).bind(partition).bind(from).bind(to);
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// The rows of these ids, with their topics.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn named(&mut self, topic: Topic, ids: &[String]) -> Result<Vec<Row>, ProjectError> {
        let Some(table) = table_of(topic) else { return Ok(Vec::new()) };
        let asked = format!("SELECT {} FROM {} WHERE event_id = ANY($1)", selected(table), table.name);
        let asked = sqlx::query(AssertSqlSafe(asked)).bind(ids.to_vec());
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// The offsets of a partition's refused records in a span.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn refused(
        &mut self,
        topic: Topic,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<Vec<i64>, ProjectError> {
        let asked = "SELECT log_offset FROM auren_refused WHERE topic = $1 AND log_partition = $2 AND log_offset >= $3 \
                     AND log_offset < $4 ORDER BY log_offset";
        let asked = sqlx::query(asked).bind(topic.name()).bind(partition).bind(from).bind(to);
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// The people who have been erased.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn erased(&mut self) -> Result<Vec<String>, ProjectError> {
        let asked = sqlx::query("SELECT user_id FROM auren_erased");
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// How much of a topic there is.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn held(&mut self, topic: Topic) -> Result<Held, ProjectError> {
        let Some(table) = table_of(topic) else {
            return Ok(Held { rows: 0, refused: 0 });
        };
        let rows = self.number(&format!("SELECT count(*) FROM {}", table.name)).await?;
        let refused = format!("SELECT count(*) FROM auren_refused WHERE topic = '{}'", topic.name());
        Ok(Held { rows, refused: self.number(&refused).await? })
    }

    /// Rows of a partition below an offset.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn rows_below(&mut self, topic: Topic, partition: i32, offset: i64) -> Result<i64, ProjectError> {
        let Some(table) = table_of(topic) else { return Ok(0) };
        let asked = "SELECT count(*) FROM";
        let table = table.name;
        self.number(&format!("{asked} {table} WHERE log_partition = {partition} AND log_offset < {offset}")).await
    }
}
