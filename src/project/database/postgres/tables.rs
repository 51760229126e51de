//! How the tables are made, and what TimescaleDB is asked to do with them.

use sqlx::{
    SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use super::Server;
use crate::project::{
    ProjectError,
    database::{NEWEST, store::Store as _},
};

/// The lock of whoever makes the tables.
const MAKING: i64 = 4_711_022;

const HISTORY: &str = include_str!("../../migrations/0001_history.sql");
const PLAIN: &str = include_str!("../../migrations/plain.sql");
const TIMESCALE: &str = include_str!("../../migrations/timescale.sql");

impl Server {
    /// Makes what is missing. Whoever comes at the same time waits, because making one thing twice fails, `IF NOT EXISTS`
    /// or not.
    pub(super) async fn migrate(&mut self) -> Result<(), ProjectError> {
        self.run(&format!("SELECT pg_advisory_lock({MAKING})")).await?;
        self.make().await?;
        self.run(&format!("SELECT pg_advisory_unlock({MAKING})")).await
    }

    async fn make(&mut self) -> Result<(), ProjectError> {
        let history = Migration::new(NEWEST, "history".into(), MigrationType::Simple, HISTORY.into_sql_str(), false);
        let mut migrator = Migrator::with_migrations(vec![history]);
        migrator.dangerous_set_table_name("auren_migrations");
        migrator.run_direct(None, &mut *self.connection, false).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => ProjectError::Future { at: self.at.clone(), version },
            error => ProjectError::Database { at: self.at.clone(), why: error.to_string() },
        })?;
        // Views differ with the extension, and may change with it being added: they hold nothing of their own.
        if self.views_stand().await? {
            return Ok(());
        }
        if self.has_timescale().await? {
            self.run("DROP VIEW IF EXISTS auren_user_days, auren_rule_hours").await?;
            // A continuous aggregate cannot be made within a transaction, so each statement goes alone.
            for statement in TIMESCALE.split("\n\n").filter(|statement| !statement.trim().is_empty()) {
                self.run(statement).await?;
            }
            Ok(())
        } else {
            self.run(PLAIN).await
        }
    }

    async fn views_stand(&mut self) -> Result<bool, ProjectError> {
        let has_timescale = self.has_timescale().await?;
        let asked = if has_timescale {
            "SELECT count(*) FROM timescaledb_information.continuous_aggregates WHERE view_name = 'auren_rule_hours'"
        } else {
            "SELECT count(to_regclass('auren_rule_hours'))"
        };
        Ok(self.number(asked).await? > 0)
    }

    /// Sets what TimescaleDB does by itself.
    pub(super) async fn set_policies(&mut self, compress_after_days: u32, keep_days: u32) -> Result<(), ProjectError> {
        if !self.has_timescale().await? {
            return Ok(());
        }
        for table in ["auren_biometrics", "auren_conversation_events"] {
            self.run(&format!("SELECT remove_compression_policy('{table}', if_exists => true)")).await?;
            if compress_after_days > 0 {
                let days = compress_after_days;
                self.run(&format!("SELECT add_compression_policy('{table}', interval '{days} days')")).await?;
            }
        }
        for table in ["auren_biometrics", "auren_triggers", "auren_conversation_events"] {
            self.run(&format!("SELECT remove_retention_policy('{table}', if_exists => true)")).await?;
            if keep_days > 0 {
                self.run(&format!("SELECT add_retention_policy('{table}', interval '{keep_days} days')")).await?;
            }
        }
        Ok(())
    }
}
