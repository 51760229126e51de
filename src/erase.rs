//! Forgetting a person: their data key is destroyed, and every role is asked to forget what it remembers of them.
//!
//! The key goes first: from then on no token and no history of the person opens, wherever a copy of it stands. The roles
//! are asked by a record in their input topics, behind everything that was said before, so that each forgets within its
//! own transaction and no session writes the state back; `enrich` and `detect` pass the word on behind the last of what
//! they made of the person. The receipt in `system.events` also tells the other nodes to drop the unwrapped key at once.

use std::collections::BTreeSet;

use auren_agents::{SystemEvent, UserId};
use serde_json::json;

use crate::{
    bus::{Bus, BusError},
    config::Role,
    phi::{KeyError, Keys},
    wire,
};

/// The type of the receipt in `system.events`.
pub const USER_ERASED: &str = "user_erased";

/// Why a person is not wholly forgotten. It can be asked for again, and should be. Where keyring or bus are, stands in the
/// source alone.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The key was not destroyed.
    #[error("nothing was erased; ask again")]
    Keys(#[from] KeyError),
    /// The key is destroyed, and the roles do not know.
    #[error("the data key is destroyed, but the hub could not be told; ask again")]
    Bus(#[from] BusError),
}

/// Erases a person. It returns once the roles have been asked; that they have done it shows in their states.
///
/// # Errors
/// [`EraseError`] says how far it came.
pub async fn erase(
    keys: &Keys,
    bus: &dyn Bus,
    node: &str,
    actor: &str,
    user: &UserId,
) -> Result<SystemEvent, EraseError> {
    let destroyed = keys.destroy(user, actor).await?;
    // Every topic that a role reads, once.
    let asked: BTreeSet<_> = Role::ALL.iter().flat_map(|role| role.inputs()).copied().collect();
    bus.publish_all(asked.into_iter().map(|topic| wire::forget(topic, user)).collect()).await?;
    let detail = json!({ "data_key": if destroyed.had_key { "destroyed" } else { "none" }, "by": actor });
    let receipt =
        SystemEvent { user_id: Some(user.clone()), ..SystemEvent::now(USER_ERASED, user.as_str(), node, detail) };
    bus.publish_all(vec![wire::outgoing(&receipt)]).await?;
    Ok(receipt)
}
