//! Whether the history can be reached, is written, and how far it is.

use auren::{
    bus::SharedBus,
    config::{Config, Role},
    project::{Database, ProjectError, database::behind, row::TOPICS},
};

use super::{Finding, bad, good, note};

/// The history; none where the configuration names no database.
pub(super) async fn history(config: &Config, bus: &SharedBus) -> Option<Finding> {
    let url = config.history()?;
    Some(match look(bus, url.reveal()).await {
        Ok(finding) => finding,
        // Whoever only asks why can do without.
        Err(error) if config.node.roles.contains(&Role::Project) => {
            bad("history", format!("{error}; the river goes on without it (project.url says where it should be)"))
        }
        Err(error) => note("history", error.to_string()),
    })
}

async fn look(bus: &SharedBus, url: &str) -> Result<Finding, ProjectError> {
    let mut database = match Database::look(url).await {
        Err(error @ ProjectError::NoTables { .. }) => return Ok(note("history", error.to_string())),
        database => database?,
    };
    let known = database.known_offsets().await?;
    let (mut rows, mut refused, mut waiting) = (0, 0, 0);
    for topic in TOPICS {
        let held = database.held(topic).await?;
        (rows, refused) = (rows + held.rows, refused + held.refused);
        waiting += behind(&**bus, topic, &known).await?;
    }
    let extension = if database.has_timescale().await? { ", with TimescaleDB" } else { "" };
    let at = database.describe().to_owned();
    let found = format!("{at}{extension}: {rows} rows, {refused} records refused, {waiting} behind");
    Ok(if database.is_claimed().await? {
        good("history", found)
    } else {
        note("history", format!("{found}; nobody writes it: is a node with the role project running?"))
    })
}
