//! COPY alone, to measure what everything around it costs: the same rows into the same tables, in a database that is made for
//! it and dropped behind it.

use futures::TryStreamExt as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgTransaction, postgres::PgConnectOptions,
};

use super::failed;
use crate::project::{Database, ProjectError, database::columns::table_of, row::TOPICS};

/// Rows of a table, as COPY writes and reads them.
pub type Copied = (&'static str, Vec<u8>);

/// A database of one's own beside another one, with the tables of the history.
#[derive(Debug)]
pub struct Yardstick {
    beside: PgConnectOptions,
    name: String,
    at: String,
    database: Database,
    /// For what the history does not do.
    connection: PgConnection,
}

impl Yardstick {
    /// Makes a database beside this one, which takes the right to make databases.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where it cannot be made.
    pub async fn open(url: &str) -> Result<Self, ProjectError> {
        let (beside, at) = super::options(url)?;
        let name = format!("auren_bench_{:016x}", rand::random::<u64>());
        let mut server = PgConnection::connect_with(&beside).await.map_err(|error| failed(&at, &error))?;
        let make = sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut server).await;
        make.map_err(|error| failed(&at, &error))?;
        let own = beside.clone().database(&name);
        let database = Database::open(own.to_url_lossy().as_str()).await?;
        let connection = PgConnection::connect_with(&own).await.map_err(|error| failed(&at, &error))?;
        let at = database.describe().to_owned();
        Ok(Self { beside, name, at, database, connection })
    }

    /// Its tables.
    pub fn database(&mut self) -> &mut Database {
        &mut self.database
    }

    /// All rows, as COPY writes them.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn copied(&mut self) -> Result<Vec<Copied>, ProjectError> {
        let mut all = Vec::new();
        for table in TOPICS.iter().filter_map(|topic| table_of(*topic)) {
            let copy = format!("COPY {} TO STDOUT", table.name);
            let rows = async {
                let rows = self.connection.copy_out_raw(&copy).await?;
                rows.try_fold(Vec::new(), |mut all: Vec<u8>, part| async move {
                    all.extend_from_slice(&part);
                    Ok(all)
                })
                .await
            };
            all.push((table.name, rows.await.map_err(|error| failed(&self.at, &error))?));
        }
        Ok(all)
    }

    /// Writes these rows by COPY and nothing else, in one transaction.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn copy(&mut self, rows: &[Copied]) -> Result<(), ProjectError> {
        let copied = async {
            let mut transaction: PgTransaction<'_> = self.connection.begin().await?;
            for (table, rows) in rows.iter().filter(|(_, rows)| !rows.is_empty()) {
                let mut copy = transaction.copy_in_raw(&format!("COPY {table} FROM STDIN")).await?;
                copy.send(&rows[..]).await?;
                copy.finish().await?;
            }
            transaction.commit().await
        };
        copied.await.map_err(|error| failed(&self.at, &error))
    }

    /// Fills `auren_biometrics` up with so many measurements of so many people, a second apart.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn fill(&mut self, rows: u64, people: u32) -> Result<(), ProjectError> {
        let statement = format!(
            "INSERT INTO auren_biometrics SELECT timestamptz '2020-01-01' + n * interval '1 s', now(), 1, n, 'e-' || n, \
             'u-' || n % {people}, 'hrv_measurement', 'rmssd', 0.5, 0.5, repeat('t', 160), '{{\"metadata\": {{\"trend\": \
             \"stable\"}}}}' FROM generate_series(1, {rows}) n; ANALYZE auren_biometrics"
        );
        let filled = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connection).await;
        filled.map(drop).map_err(|error| failed(&self.at, &error))
    }

    /// Drops it.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn drop_it(self) -> Result<(), ProjectError> {
        let Self { beside, name, at, .. } = self;
        let gone = async {
            let mut server = PgConnection::connect_with(&beside).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut server).await
        };
        gone.await.map(drop).map_err(|error| failed(&at, &error))
    }
}
