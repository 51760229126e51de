//! Whether the history can be reached, is written, and how far it is.

use std::time::Instant;

use auren::{
    bus::SharedBus,
    config::{Config, Role},
    project::{Database, ProjectError, database::behind, row::TOPICS},
};

use super::{Clocks, Finding, bad, good, note};

/// The history; none where the configuration names no database.
pub(super) async fn history(config: &Config, bus: &SharedBus, clocks: &mut Clocks) -> Option<Finding> {
    let url = config.history()?;
    Some(match look(bus, url.reveal(), clocks).await {
        Ok(finding) => finding,
        // Whoever only asks why can do without.
        Err(error) if config.node.roles.contains(&Role::Project) => {
            bad("history", format!("{error}; the river goes on without it (project.url says where it should be)"))
        }
        Err(error) => note("history", error.to_string()),
    })
}

async fn look(bus: &SharedBus, url: &str, clocks: &mut Clocks) -> Result<Finding, ProjectError> {
    let mut database = match Database::look(url).await {
        Err(error @ ProjectError::NoTables { .. }) => return Ok(note("history", error.to_string())),
        database => database?,
    };
    let asked = Instant::now();
    let (server, time_ms) = database.server().await?;
    clocks.told("PostgreSQL", asked, time_ms);
    let known = database.known_offsets().await?;
    let (mut rows, mut refused, mut waiting) = (0, 0, 0);
    for topic in TOPICS {
        let held = database.held(topic).await?;
        (rows, refused) = (rows + held.rows, refused + held.refused);
        waiting += behind(&**bus, topic, &known).await?;
    }
    let schema = database.version().await?;
    let extension = if database.has_timescale().await? { ", with TimescaleDB" } else { "" };
    let at = database.describe().to_owned();
    let found =
        format!("{at}, {server}{extension}, schema {schema}: {rows} rows, {refused} records refused, {waiting} behind");
    Ok(if database.is_claimed().await? {
        good("history", found)
    } else {
        note("history", format!("{found}; nobody writes it: is a node with the role project running?"))
    })
}
