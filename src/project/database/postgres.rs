//! The history in PostgreSQL. Everything goes over one connection, because the lock of whoever projects belongs to it.
//!
//! [`tables`] makes the tables, with TimescaleDB where it is there.

mod tables;
pub(in crate::project::database) mod yardstick;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow, PgSslMode, PgTransaction},
};

use super::{
    ANSWER_LIMIT, Offsets,
    columns::{FIELDS, TABLES, Table, insert, read, selected, table_of},
    dialect::Dialect,
    pages::{Conversation, Order, Place, Wanted},
    read::{Held, reading},
    readers::{Connected, IDLE},
    silent,
    store::Store,
    write::{Move, Put, Refusal, Writing, fill},
};
use crate::{
    bus::{Record, Topic},
    project::{
        ProjectError,
        row::{Projected, Row},
    },
};

/// The lock of whoever projects.
const LOCK: i64 = 4_711_021;

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) connection: Connected<Postgres>,
    pub(super) at: String,
}

impl Server {
    pub(super) async fn connect(options: PgConnectOptions, at: String) -> Result<Self, ProjectError> {
        // A server that hears nothing of a dead projector lets go of its lock.
        let options = options.application_name("auren-project").options([
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ]);
        let connection = within(&at, PgConnection::connect_with(&options)).await?;
        Ok(Self { connection: Connected::Own(connection), at })
    }

    fn failed(&self, error: &sqlx::Error) -> ProjectError {
        failed(&self.at, error)
    }
}

/// Connections that only read, connected when they are first used.
pub(super) fn lazy(options: PgConnectOptions, most: u32, limit: Duration) -> PgPool {
    let options = options.application_name("auren-history").options([
        ("default_transaction_read_only", "on".to_owned()),
        // The database gives up a little sooner, so that it does not work on what nobody awaits.
        ("statement_timeout", limit.mul_f32(0.9).as_millis().to_string()),
    ]);
    let pool = PgPoolOptions::new().max_connections(most).acquire_timeout(limit).idle_timeout(IDLE);
    pool.connect_lazy_with(options)
}

/// How to connect, and the database in words: never the address as it was given, a password may stand in it.
pub(super) fn options(url: &str) -> Result<(PgConnectOptions, String), ProjectError> {
    let options: PgConnectOptions = url.parse().map_err(|error| failed("project.url", &error))?;
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let at = format!("postgres {}:{}/{database}", options.get_host(), options.get_port());
    Ok((options, at))
}

/// Whether what is said to this server cannot be read on its way.
pub(super) fn is_private(url: &str) -> bool {
    url.parse::<PgConnectOptions>().is_ok_and(|options| {
        let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
        verified || options.get_socket().is_some() || options.get_host().starts_with('/')
    })
}

impl Dialect for Server {
    const HAS_TABLES: &'static str = "SELECT count(to_regclass('auren_migrations'))";
    const EVER: (&'static str, &'static str) = ("'-infinity'", "'infinity'");
    type List = Vec<String>;

    fn time_as_text(column: &str) -> String {
        format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    }

    fn text_as_time(text: &str) -> String {
        format!("{text}::text::timestamptz")
    }

    fn text_as_json(text: &str) -> String {
        format!("{text}::jsonb")
    }

    fn json_as_text(column: &str) -> String {
        format!("{column}::text")
    }

    fn null(kind: &str) -> String {
        format!("NULL::{kind}")
    }

    fn distinct(column: &str, which: &str) -> String {
        format!("coalesce(to_json(array_agg(DISTINCT {column}) FILTER (WHERE {which})), '[]')::text")
    }

    fn among(column: &str, parameter: &str) -> String {
        format!("{column} = ANY({parameter})")
    }

    fn list(ids: &[String]) -> Vec<String> {
        ids.to_vec()
    }
}

reading!(Server, PgRow);

#[async_trait]
impl Store for Server {
    fn describe(&self) -> &str {
        &self.at
    }

    async fn make(&mut self) -> Result<(), ProjectError> {
        self.migrate().await
    }

    async fn claim(&mut self) -> Result<bool, ProjectError> {
        let asked = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(LOCK);
        let answer = within(&self.at, asked.fetch_one(&mut *self.connection)).await?;
        answer.try_get(0).map_err(|error| self.failed(&error))
    }

    async fn is_claimed(&mut self) -> Result<bool, ProjectError> {
        // A lock by one number has its upper half in `classid`, its lower one in `objid`, and 1 behind them.
        let asked = format!(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = {LOCK} AND objsubid = 1 \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        Ok(self.number(&asked).await? > 0)
    }

    async fn begin(&mut self, places: &[(Topic, i32)]) -> Result<(), ProjectError> {
        let (topics, partitions): (Vec<_>, Vec<_>) =
            places.iter().map(|(topic, partition)| (topic.name(), *partition)).unzip();
        let begin = "INSERT INTO auren_offsets SELECT topic, log_partition, 0 FROM UNNEST($1::text[], $2::int[]) AS \
                     t(topic, log_partition) ON CONFLICT DO NOTHING";
        let begun = sqlx::query(begin).bind(topics).bind(partitions).execute(&mut *self.connection).await;
        begun.map(drop).map_err(|error| self.failed(&error))
    }

    async fn put(&mut self, moves: &[Move], batch: &[(Record, Projected)]) -> Result<Put, ProjectError> {
        let done = async {
            let mut transaction: PgTransaction<'_> = self.connection.begin().await?;
            let written = fill(&mut transaction, moves, batch).await?;
            if written.is_some() { transaction.commit().await } else { transaction.rollback().await }?;
            Ok(written)
        };
        match done.await {
            Ok(Some(written)) => Ok(Put::Written(written)),
            Ok(None) => Ok(Put::Stale),
            Err(error) => data_fault(&error)
                .map(|code| Put::Unstorable(format!("PostgreSQL cannot keep what is in it (SQLSTATE {code})")))
                .ok_or_else(|| self.failed(&error)),
        }
    }

    async fn empty(&mut self) -> Result<(), ProjectError> {
        // One transaction, as several statements of one request are.
        self.run(
            "BEGIN; UPDATE auren_offsets SET next = 0; TRUNCATE auren_biometrics, auren_triggers, \
             auren_conversation_events, auren_system_events, auren_refused; COMMIT",
        )
        .await
    }

    async fn server(&mut self) -> Result<(String, Option<i64>), ProjectError> {
        let asked = "SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = sqlx::query(asked).fetch_one(&mut *self.connection).await.map_err(|error| self.failed(&error))?;
        let read = || -> Result<(String, i64), sqlx::Error> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let (version, time_ms) = read().map_err(|error| self.failed(&error))?;
        Ok((format!("PostgreSQL {version}"), Some(time_ms)))
    }

    async fn has_timescale(&mut self) -> Result<bool, ProjectError> {
        let asked = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'";
        Ok(self.number(asked).await? > 0)
    }

    async fn keep(&mut self, compress_after_days: u32, keep_days: u32) -> Result<(), ProjectError> {
        self.set_policies(compress_after_days, keep_days).await
    }

    fn give_back(self: Box<Self>) {
        self.connection.give_back();
    }
}

#[async_trait]
impl Writing for PgTransaction<'_> {
    async fn move_offsets(&mut self, moves: &[Move]) -> Result<u64, sqlx::Error> {
        fn all<T>(moves: &[Move], part: impl Fn(&Move) -> T) -> Vec<T> {
            moves.iter().map(part).collect()
        }
        let moving = "UPDATE auren_offsets o SET next = n.next FROM UNNEST($1::text[], $2::int[], $3::bigint[], \
                      $4::bigint[]) AS n(topic, log_partition, expected, next) WHERE o.topic = n.topic AND \
                      o.log_partition = n.log_partition AND o.next = n.expected";
        let moving = sqlx::query(moving)
            .bind(all(moves, |moved| moved.topic.name()))
            .bind(all(moves, |moved| moved.partition))
            .bind(all(moves, |moved| moved.from))
            .bind(all(moves, |moved| moved.to));
        Ok(moving.execute(&mut **self).await?.rows_affected())
    }

    async fn insert(&mut self, table: &Table, rows: &[&Row]) -> Result<u64, sqlx::Error> {
        fn all<'a, T>(rows: &[&'a Row], field: impl Fn(&'a Row) -> T) -> Vec<T> {
            rows.iter().map(|row| field(row)).collect()
        }
        let fields: Vec<_> = FIELDS.iter().filter(|(name, _)| table.has(name)).collect();
        let typed = fields.iter().enumerate().map(|(at, (_, kind))| format!("${}::{kind}[]", at + 1));
        let typed = typed.collect::<Vec<_>>().join(", ");
        let names = fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let statement = insert::<Server>(table, &format!("UNNEST({typed}) AS r({names})"));
        let mut asked = sqlx::query(AssertSqlSafe(statement));
        for (name, _) in fields {
            asked = match *name {
                "at" => asked.bind(all(rows, |row| row.at.as_str())),
                "logged_at" => asked.bind(all(rows, |row| row.logged_at.as_str())),
                "log_partition" => asked.bind(all(rows, |row| row.partition)),
                "log_offset" => asked.bind(all(rows, |row| row.offset)),
                "event_id" => asked.bind(all(rows, |row| row.event_id.as_str())),
                "user_id" => asked.bind(all(rows, |row| row.user_id.as_deref())),
                "kind" => asked.bind(all(rows, |row| row.kind.as_str())),
                "name" => asked.bind(all(rows, |row| row.name.as_deref())),
                "version" => asked.bind(all(rows, |row| row.version.as_deref())),
                "severity" => asked.bind(all(rows, |row| row.severity)),
                "rank" => asked.bind(all(rows, |row| row.rank)),
                "cause" => asked.bind(all(rows, |row| row.cause.as_deref())),
                "cause_kind" => asked.bind(all(rows, |row| row.cause_kind.as_deref())),
                "conversation" => asked.bind(all(rows, |row| row.conversation.as_deref())),
                "turn" => asked.bind(all(rows, |row| row.turn)),
                "body" => asked.bind(all(rows, |row| row.text.as_deref())),
                _ => asked.bind(all(rows, |row| row.rest.to_string())),
            };
        }
        asked.execute(&mut **self).await.map(|done| done.rows_affected())
    }

    async fn refuse(&mut self, refusal: &Refusal<'_>) -> Result<(), sqlx::Error> {
        let Refusal { record, logged_at, class, reason } = refusal;
        let statement = "INSERT INTO auren_refused VALUES ($1, $2, $3, $4::timestamptz, $5, $6)";
        let refused = sqlx::query(statement).bind(record.topic.name()).bind(record.partition).bind(record.offset);
        refused.bind(logged_at).bind(class).bind(reason).execute(&mut **self).await.map(drop)
    }

    async fn forget(&mut self, users: &[String]) -> Result<(), sqlx::Error> {
        let erased = "INSERT INTO auren_erased (user_id) SELECT DISTINCT UNNEST($1::text[]) ON CONFLICT DO NOTHING";
        sqlx::query(erased).bind(users).execute(&mut **self).await?;
        for table in &TABLES {
            let statement = format!("DELETE FROM {} WHERE user_id = ANY($1)", table.name);
            sqlx::query(AssertSqlSafe(statement)).bind(users).execute(&mut **self).await?;
        }
        Ok(())
    }
}

/// The SQLSTATE of an error that is about what a row holds.
fn data_fault(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    code.starts_with("22").then(|| code.into_owned())
}

/// The answer of a database that answers soon.
async fn within<T>(at: &str, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ProjectError> {
    match tokio::time::timeout(ANSWER_LIMIT, asked).await {
        Ok(answer) => answer.map_err(|error| failed(at, &error)),
        Err(_) => Err(silent(at)),
    }
}

/// What the database said, and what to do where it is there and does not let this client in. Details are left out: they may
/// repeat what a row holds.
pub(super) fn failed(at: &str, error: &sqlx::Error) -> ProjectError {
    let database = error.as_database_error();
    let code = database.and_then(|database| database.code()).unwrap_or_default().into_owned();
    let why = match database {
        // Messages of this class repeat what could not be read.
        Some(_) if code.starts_with("22") => format!("a value was refused (SQLSTATE {code})"),
        // Nobody is let in like that.
        Some(database) if code.starts_with("28") => {
            format!("{}; look at user, password and sslmode of its address", database.message())
        }
        Some(database) => database.message().to_owned(),
        None => match error.to_string() {
            said if said.contains("certificate") => {
                format!(
                    "{said}; sslrootcert in its address must name the authority that signed the server's certificate, \
                         and the address a name that stands in it"
                )
            }
            said => said,
        },
    };
    ProjectError::Database { at: at.to_owned(), why }
}
