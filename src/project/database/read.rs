//! How rows come out of the tables again: one body for both databases, as they take nearly the same statements.

/// How much of a topic there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// Rows.
    pub rows: i64,
    /// Records that are no rows.
    pub refused: i64,
}

/// [`super::store::Reading`] for a store that is a [`super::dialect::Dialect`] and has a `connection`, and what it says of
/// errors (`failed`).
macro_rules! reading {
    ($store:ident, $row:ty) => {
        #[async_trait::async_trait]
        impl $crate::project::database::store::Reading for $store {
            async fn version(&mut self) -> Result<i64, ProjectError> {
                if self.number(Self::HAS_TABLES).await? == 0 {
                    return Ok(0);
                }
                self.number("SELECT coalesce(max(version), 0) FROM auren_migrations WHERE success").await
            }

            async fn known_offsets(&mut self) -> Result<Offsets, ProjectError> {
                let asked = sqlx::query("SELECT topic, log_partition, next FROM auren_offsets");
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                let read = |row: &$row| -> Result<Option<_>, sqlx::Error> {
                    let topic = Topic::named(row.try_get(0)?);
                    let place = |topic| Ok(((topic, row.try_get(1)?), row.try_get(2)?));
                    topic.map(place).transpose()
                };
                let read = rows.iter().filter_map(|row| read(row).transpose());
                read.collect::<Result<Offsets, _>>().map_err(|error| self.failed(&error))
            }

            async fn rows(
                &mut self,
                topic: Topic,
                partition: i32,
                from: i64,
                to: i64,
            ) -> Result<Vec<Row>, ProjectError> {
                let Some(table) = table_of(topic) else { return Ok(Vec::new()) };
                let asked = format!(
                    "SELECT {} FROM {} WHERE log_partition = $1 AND log_offset >= $2 AND log_offset < $3 ORDER BY \
                     log_offset",
                    selected::<Self>(table),
                    table.name
                );
                let asked = sqlx::query(AssertSqlSafe(asked)).bind(partition).bind(from).bind(to);
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.failed(&error))
            }

            async fn named(
                &mut self,
                topic: Topic,
                ids: &[String],
                user: Option<&str>,
            ) -> Result<Vec<Row>, ProjectError> {
                let Some(table) = table_of(topic) else { return Ok(Vec::new()) };
                let asked = format!(
                    "SELECT {} FROM {} WHERE {} AND (CAST($2 AS text) IS NULL OR user_id = $2) ORDER BY log_partition, \
                     log_offset",
                    selected::<Self>(table),
                    table.name,
                    Self::among("event_id", "$1")
                );
                let asked = sqlx::query(AssertSqlSafe(asked)).bind(Self::list(ids)).bind(user);
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.failed(&error))
            }

            async fn refused(
                &mut self,
                topic: Topic,
                partition: i32,
                from: i64,
                to: i64,
            ) -> Result<Vec<i64>, ProjectError> {
                let asked = "SELECT log_offset FROM auren_refused WHERE topic = $1 AND log_partition = $2 AND \
                             log_offset >= $3 AND log_offset < $4 ORDER BY log_offset";
                let asked = sqlx::query(asked).bind(topic.name()).bind(partition).bind(from).bind(to);
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                let offsets = rows.iter().map(|row| row.try_get(0));
                offsets.collect::<Result<_, _>>().map_err(|error| self.failed(&error))
            }

            async fn erased(&mut self) -> Result<Vec<String>, ProjectError> {
                let asked = sqlx::query("SELECT user_id FROM auren_erased");
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                let people = rows.iter().map(|row| row.try_get(0));
                people.collect::<Result<_, _>>().map_err(|error| self.failed(&error))
            }

            async fn held(&mut self, topic: Topic) -> Result<Held, ProjectError> {
                let Some(table) = table_of(topic) else {
                    return Ok(Held { rows: 0, refused: 0 });
                };
                let rows = self.number(&format!("SELECT count(*) FROM {}", table.name)).await?;
                let refused = format!("SELECT count(*) FROM auren_refused WHERE topic = '{}'", topic.name());
                Ok(Held { rows, refused: self.number(&refused).await? })
            }

            async fn rows_below(&mut self, topic: Topic, partition: i32, offset: i64) -> Result<i64, ProjectError> {
                let Some(table) = table_of(topic) else { return Ok(0) };
                let table = table.name;
                let below = format!("log_partition = {partition} AND log_offset < {offset}");
                self.number(&format!("SELECT count(*) FROM {table} WHERE {below}")).await
            }

            async fn page(
                &mut self,
                topic: Topic,
                wanted: Wanted<'_>,
                order: Order,
                after: Option<&Place>,
            ) -> Result<Vec<Row>, ProjectError> {
                let Some(table) = table_of(topic) else { return Ok(Vec::new()) };
                let (first, last) = Self::EVER;
                let (behind, begin, sorted) = match order {
                    Order::Oldest => (">", first, "ASC"),
                    Order::Newest => ("<", last, "DESC"),
                };
                // An end that is not named is one beyond all times, so that the index on person and time serves every case.
                let asked = format!(
                    "SELECT {} FROM {} WHERE user_id = $1 AND (CAST($2 AS text) IS NULL OR {} = $2) AND \
                     at >= coalesce({}, {first}) AND at < coalesce({}, {last}) AND \
                     (at, log_partition, log_offset) {behind} (coalesce({}, {begin}), $6, $7) \
                     ORDER BY at {sorted}, log_partition {sorted}, log_offset {sorted} LIMIT $8",
                    selected::<Self>(table),
                    table.name,
                    table.kind(),
                    Self::text_as_time("$3"),
                    Self::text_as_time("$4"),
                    Self::text_as_time("$5"),
                );
                let (at, partition, offset) = after.map_or((None, 0, 0), |Place(at, p, o)| (Some(at.as_str()), *p, *o));
                let asked = sqlx::query(AssertSqlSafe(asked)).bind(wanted.user).bind(wanted.kind).bind(wanted.from);
                let asked = asked.bind(wanted.to).bind(at).bind(partition).bind(offset).bind(i64::from(wanted.limit));
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.failed(&error))
            }

            async fn conversations(
                &mut self,
                user: &str,
                limit: u16,
                after: Option<&(String, String)>,
            ) -> Result<Vec<Conversation>, ProjectError> {
                let asked = format!(
                    "SELECT conversation_id, {}, {}, count(*), {} FROM auren_conversation_events WHERE user_id = $1 GROUP \
                     BY conversation_id HAVING (max(at), conversation_id) < (coalesce({}, {}), coalesce(CAST($3 AS text), \
                     '')) ORDER BY max(at) DESC, conversation_id DESC LIMIT $4",
                    Self::time_as_text("min(at)"),
                    Self::time_as_text("max(at)"),
                    Self::distinct("specialist_id", "message_type = 'specialist_response'"),
                    Self::text_as_time("$2"),
                    Self::EVER.1,
                );
                let (at, id) = after.map(|(at, id)| (at.as_str(), id.as_str())).unzip();
                let asked = sqlx::query(AssertSqlSafe(asked)).bind(user).bind(at).bind(id).bind(i64::from(limit));
                let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
                let read = |row: &$row| -> Result<Conversation, sqlx::Error> {
                    let agents: String = row.try_get(4)?;
                    let agents = serde_json::from_str(&agents).map_err(|error| sqlx::Error::Decode(error.into()));
                    let mut agents: Vec<String> = agents?;
                    agents.sort_unstable();
                    Ok(Conversation {
                        conversation_id: row.try_get(0)?,
                        first: row.try_get(1)?,
                        last: row.try_get(2)?,
                        events: row.try_get(3)?,
                        agents,
                    })
                };
                rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.failed(&error))
            }
        }

        impl $store {
            async fn run(&mut self, statements: &str) -> Result<(), ProjectError> {
                let ran = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *self.connection).await;
                ran.map(drop).map_err(|error| self.failed(&error))
            }

            async fn number(&mut self, asked: &str) -> Result<i64, ProjectError> {
                let row = sqlx::query(AssertSqlSafe(asked.to_owned())).fetch_one(&mut *self.connection).await;
                row.and_then(|row| row.try_get(0)).map_err(|error| self.failed(&error))
            }
        }
    };
}

pub(super) use reading;
