//! The rules of a node: read, followed, and shown.

use std::sync::Arc;

use tokio::sync::watch;

use super::HubError;
use crate::{
    bus::SharedBus,
    config::Config,
    detect::{Feed, InForce, Rules, shipped, with_folder},
    gateway::{RuleSeen, RulesWatch},
};

/// The rules in force, which change as others are pushed.
pub(super) async fn in_force(bus: &SharedBus, config: &Config) -> Result<watch::Receiver<Arc<Rules>>, HubError> {
    let feed = Feed::read(bus, with_folder(shipped(), config.detect.folder())?).await?;
    let compiled = Rules::compile(&feed.texts()).map_err(|problems| problems[0].clone())?;
    let (sender, rules) = watch::channel(Arc::new(compiled));
    tokio::spawn(feed.follow(Arc::clone(bus), sender));
    Ok(rules)
}

/// How they are seen.
pub(super) fn seen(rules: watch::Receiver<Arc<Rules>>) -> RulesWatch {
    let seen = |known: &InForce| RuleSeen {
        rule: known.rule.id.clone(),
        version: known.rule.version,
        trigger_type: known.rule.trigger.to_string(),
        shadow: known.shadow,
        spoken: known.spoken(),
    };
    RulesWatch::new(move || rules.borrow().in_force().iter().map(seen).collect())
}
