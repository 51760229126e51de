//! What a node with keys hears and tells on `system.events`: who was erased elsewhere, and how far the audit is signed.
//! It also wipes unwrapped keys whose time is up.
//!
//! A checkpoint that only stands beside the audit can be cut off with it; on the bus it is out of the keyring's reach.

use std::time::Duration;

use auren_agents::{SystemEvent, Timestamp, events};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{sync::watch, time::MissedTickBehavior};

use super::HubError;
use crate::{
    bus::{Bus, BusError, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic},
    erase::USER_ERASED,
    phi::{Keys, audit::Checkpoint},
    wire,
};

/// The type of a checkpoint in `system.events`.
const AUDIT_SIGNED: &str = "audit_signed";
/// How often an audit that has grown is signed.
const SIGN_EVERY: Duration = Duration::from_secs(60);
/// The pause before it listens again to a bus that was away.
const PAUSE: Duration = Duration::from_secs(1);

/// How often unwrapped keys whose time is up are wiped.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Listens, signs and tidies until told to stop.
pub(super) async fn witness(bus: SharedBus, keys: Keys, node: String, mut stop: watch::Receiver<bool>) {
    let work = async { tokio::join!(hear(&bus, &keys), sign(&bus, &keys, &node), tidy(&keys)) };
    tokio::select! {
        _ = work => {}
        // Nobody is left to tell, or it is told.
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn hear(bus: &SharedBus, keys: &Keys) {
    loop {
        let read =
            Read { topic: Topic::System, partitions: Vec::new(), from: ReadFrom::Latest, until: ReadUntil::Follow };
        let mut batches = bus.read(read);
        while let Some(Ok(batch)) = batches.recv().await {
            for user in batch.iter().filter_map(parsed).filter(|event| *event.event_type == *USER_ERASED) {
                if let Some(user) = user.user_id {
                    keys.forget(&user);
                }
            }
        }
        // What was not heard meanwhile is forgotten when its time is up.
        tokio::time::sleep(PAUSE).await;
    }
}

async fn tidy(keys: &Keys) {
    let mut ticks = tokio::time::interval(TIDY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        keys.tidy();
    }
}

async fn sign(bus: &SharedBus, keys: &Keys, node: &str) {
    let mut ticks = tokio::time::interval(SIGN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut signed = 0;
    loop {
        ticks.tick().await;
        match sign_audit(&**bus, keys, node, signed).await {
            Ok(seq) => signed = seq,
            Err(error) => tracing::warn!(%error, "the audit could not be signed"),
        }
        // No window is longer than a day.
        let yesterday = (Timestamp::now().at() - chrono::Duration::days(1)).date_naive().to_string();
        if let Err(error) = keys.store().forget_uses(&yesterday).await {
            tracing::warn!(%error, "what callers opened before yesterday stays counted in the keyring");
        }
    }
}

/// Signs the audit, where it is longer than what was signed before, and tells it on the bus. Returns how far it is signed.
///
/// # Errors
/// [`HubError`] where keyring or bus do not answer.
pub async fn sign_audit(bus: &dyn Bus, keys: &Keys, node: &str, before: i64) -> Result<i64, HubError> {
    let Some(checkpoint) = keys.checkpoint(before).await? else { return Ok(before) };
    let detail = json!({
        "seq": checkpoint.seq,
        "hash": STANDARD.encode(&checkpoint.hash),
        "signature": STANDARD.encode(&checkpoint.signature),
    });
    bus.publish_all(vec![wire::outgoing(&SystemEvent::now(AUDIT_SIGNED, node, node, detail))]).await?;
    Ok(checkpoint.seq)
}

/// The checkpoints that stand on the bus.
///
/// # Errors
/// [`BusError`] where it cannot be read.
pub async fn signed_audits(bus: &dyn Bus) -> Result<Vec<Checkpoint>, BusError> {
    let read = Read { topic: Topic::System, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End };
    let (mut batches, mut found) = (bus.read(read), Vec::new());
    while let Some(batch) = batches.recv().await {
        found.extend(batch?.iter().filter_map(parsed).filter_map(|event| checkpoint(&event)));
    }
    Ok(found)
}

fn parsed(record: &Record) -> Option<SystemEvent> {
    events::parse(record.payload.as_deref()?).ok()
}

fn checkpoint(event: &SystemEvent) -> Option<Checkpoint> {
    let bytes = |name: &str| STANDARD.decode(event.detail.get(name)?.as_str()?).ok();
    (*event.event_type == *AUDIT_SIGNED)
        .then(|| {
            Some(Checkpoint {
                seq: event.detail.get("seq")?.as_i64()?,
                hash: bytes("hash")?,
                signature: bytes("signature")?,
            })
        })
        .flatten()
}
