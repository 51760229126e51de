//! The node's HTTP server, put together: which parts it has follows from the configuration and from who may use them.

use std::{sync::Arc, time::Duration};

use auren_agents::AgentCard;
use tokio::sync::watch;

use super::HubError;
use crate::{
    bus::SharedBus,
    config::Config,
    gateway::{self, Access, Chat, Console, Gateway, History, Ops, Part, People, Readings, Watches},
    intake::Intake,
    phi::Keys,
    project::database::Readers,
    provisional::Provisional,
};

/// What the parts answer with.
pub(super) struct Inside<'a> {
    pub(super) bus: &'a SharedBus,
    /// There where a role or a caller needs them.
    pub(super) keys: Option<&'a Keys>,
    pub(super) watches: Watches,
    /// Who can be spoken to.
    pub(super) cards: Vec<AgentCard>,
    /// What agents say before it is committed.
    pub(super) provisional: Provisional,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Opens it; none where the configuration wants no server.
pub(super) async fn open(config: &Config, inside: Inside<'_>) -> Result<Option<Gateway>, HubError> {
    if config.http.address.is_empty() {
        return Ok(None);
    }
    let refusals = Arc::clone(&inside.watches.refusals);
    let parts = parts(config, Access::open(config)?, inside)?;
    Ok(Gateway::open(&config.http, &config.chat.origins, parts, refusals).await?)
}

fn parts(config: &Config, access: Access, inside: Inside<'_>) -> Result<Vec<Part>, HubError> {
    let Inside { bus, keys, mut watches, cards, provisional, stopping } = inside;
    let (node, refusals) = (&config.node.id, Arc::clone(&watches.refusals));
    watches.published = access.published().cloned();
    let chat = access
        .has_people()
        .then(|| Chat::new(access.clone(), Arc::clone(bus), provisional, config, refusals, cards, stopping.clone()));
    if chat.is_none() {
        tracing::warn!("there is no chat: in earnest it needs tokens.secret, tokens.public_key_file or tokens.jwks");
    }
    watches.chat = chat.as_ref().map(Chat::stats);
    let console = access
        .has_anybody()
        .then(|| Console::new(node, Arc::clone(bus), access.clone(), watches.clone(), stopping.clone()).part());
    let mut parts = vec![Ops::new(node, Arc::clone(bus), watches, stopping).part(), gateway::openapi::part()];
    parts.extend(chat.map(Chat::part));
    parts.extend(console);
    if let Some(keys) = keys.filter(|_| access.has_anybody()) {
        parts.push(Readings::new(Intake::new(Arc::clone(bus), keys.clone()), access.clone()).part());
        let (bus, keys, caps) = (Arc::clone(bus), keys.clone(), config.detokenize.clone());
        parts.push(People { bus, keys, access: access.clone(), caps, node: node.clone() }.part());
    }
    if let Some(url) = config.history().filter(|_| access.has_anybody()) {
        let limit = Duration::from_millis(config.project.read_limit_ms);
        let readers = Readers::new(url.reveal(), config.project.max_readers, limit)?;
        parts.push(History::new(readers, Arc::clone(bus), access).part());
    }
    Ok(parts)
}
