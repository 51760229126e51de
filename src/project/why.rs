//! Why something was said: from a message back to the question it answers, the trigger or message behind that, and the
//! measurements the trigger rests on, each with its place in the log.
//!
//! It asks the history where there is one, and otherwise reads the person's partition of the topics. What people write is
//! not in the history; it is always read from its topic.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Database, ProjectError,
    row::{Projected, Row},
};
use crate::bus::{Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};

/// A link of the chain: an event, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Link {
    /// Its id.
    pub event_id: String,
    /// The topic; none where the event was not found, because the topic has forgotten it or it was never there.
    pub topic: Option<&'static str>,
    /// The partition.
    pub partition: Option<i32>,
    /// The offset.
    pub offset: Option<i64>,
    /// When it happened.
    pub at: Option<String>,
    /// What it is: its type, and what it says in metadata. Never a token.
    pub about: Value,
}

/// Who was asked, and how the answer came about.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Asked {
    /// The agent.
    pub agent: String,
    /// Its version.
    pub version: Option<String>,
    /// The question's id.
    pub consult_id: Option<Value>,
    /// How sure it was.
    pub confidence: Option<Value>,
    /// Why it says so.
    pub reasons: Option<Value>,
    /// What of the panel it had read.
    pub read: Vec<Link>,
}

/// The whole chain.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Chain {
    /// What was said; none where a trigger was asked for.
    pub message: Option<Link>,
    /// Who said it.
    pub consult: Option<Asked>,
    /// The trigger, or what a person wrote.
    pub cause: Link,
    /// `trigger` or `message`.
    pub cause_type: String,
    /// The measurements that a trigger rests on.
    pub biometrics: Vec<Link>,
}

/// Follows a conversation event, or a trigger, back. Where `user` is given, only that person's events are there; where it is
/// not, the chain stays with the person whose event it begins with, whatever ids an event names.
///
/// # Errors
/// [`ProjectError::NoEvent`] where there is neither; [`ProjectError`] where log or database does not answer.
pub async fn why(
    bus: &SharedBus,
    database: Option<&mut Database>,
    user: Option<&str>,
    id: &str,
) -> Result<Chain, ProjectError> {
    let mut find = Finder { bus, database, user: user.map(ToOwned::to_owned), partition: None };
    if let Some(said) = find.one(Topic::Events, id).await? {
        find.stay_with(&said);
        let metadata = said.rest.get("metadata").cloned().unwrap_or_default();
        let read = metadata["panel"]["read"].as_array().map(Vec::as_slice).unwrap_or_default();
        let read: Vec<String> = read.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        let read = find.links(Topic::Events, &read).await?;
        let consult = (said.kind == "specialist_response").then(|| Asked {
            agent: said.name.clone().unwrap_or_default(),
            version: said.version.clone(),
            consult_id: metadata.get("consult_id").cloned(),
            confidence: metadata.get("confidence").cloned(),
            reasons: metadata.get("reasons").cloned(),
            read,
        });
        let cause_id = said.cause.clone().unwrap_or_default();
        let cause_type = said.cause_kind.clone().unwrap_or_default();
        let message = Some(link(Topic::Events, &said));
        if cause_type == "message" {
            let cause = find.written(&cause_id).await?;
            return Ok(Chain { message, consult, cause, cause_type, biometrics: Vec::new() });
        }
        let (cause, biometrics) = match find.one(Topic::Triggers, &cause_id).await? {
            Some(trigger) => (link(Topic::Triggers, &trigger), find.rests_on(&trigger).await?),
            None => (unknown(&cause_id), Vec::new()),
        };
        return Ok(Chain { message, consult, cause, cause_type, biometrics });
    }
    let trigger = find.one(Topic::Triggers, id).await?.ok_or_else(|| ProjectError::NoEvent(id.to_owned()))?;
    find.stay_with(&trigger);
    let biometrics = find.rests_on(&trigger).await?;
    let cause = link(Topic::Triggers, &trigger);
    Ok(Chain { message: None, consult: None, cause, cause_type: "trigger".to_owned(), biometrics })
}

struct Finder<'a> {
    bus: &'a SharedBus,
    database: Option<&'a mut Database>,
    /// Whose events are looked at, once it is known. Ids are whatever a producer makes them, and may be of two people.
    user: Option<String>,
    /// The person's partition, once it is known: the same in every topic.
    partition: Option<i32>,
}

impl Finder<'_> {
    async fn one(&mut self, topic: Topic, id: &str) -> Result<Option<Row>, ProjectError> {
        Ok(self.rows(topic, &[id.to_owned()]).await?.into_iter().next())
    }

    fn stay_with(&mut self, row: &Row) {
        self.user.clone_from(&row.user_id);
        self.partition = Some(row.partition);
    }

    async fn rows(&mut self, topic: Topic, ids: &[String]) -> Result<Vec<Row>, ProjectError> {
        if let Some(database) = &mut self.database {
            return database.named(topic, ids, self.user.as_deref()).await;
        }
        let mut wanted: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        let mut batches = self.read(topic);
        while !wanted.is_empty()
            && let Some(batch) = batches.recv().await
        {
            for record in batch? {
                if let Projected::Row(row) = Projected::of(&record)
                    && (self.user.is_none() || self.user == row.user_id)
                    && wanted.remove(row.event_id.as_str())
                {
                    found.push(*row);
                }
            }
        }
        Ok(found)
    }

    fn read(&self, topic: Topic) -> tokio::sync::mpsc::Receiver<Result<Vec<Record>, crate::bus::BusError>> {
        let partitions = self.partition.into_iter().collect();
        self.bus.read(Read { topic, partitions, from: ReadFrom::Earliest, until: ReadUntil::End })
    }

    /// Links for all of these ids, in their order.
    async fn links(&mut self, topic: Topic, ids: &[String]) -> Result<Vec<Link>, ProjectError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows(topic, ids).await?;
        let link_of = |id: &String| {
            rows.iter().find(|row| row.event_id == *id).map_or_else(|| unknown(id), |row| link(topic, row))
        };
        Ok(ids.iter().map(link_of).collect())
    }

    /// The measurements of a trigger: its context window, and what it carries as evidence besides.
    async fn rests_on(&mut self, trigger: &Row) -> Result<Vec<Link>, ProjectError> {
        let list = |name: &str| trigger.rest.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let window = list("context_window").into_iter();
        let evidence = list("evidence").into_iter().map(|one| one["event_id"].clone());
        let mut ids: Vec<String> = Vec::new();
        for id in window.chain(evidence) {
            if let Some(id) = id.as_str().filter(|id| !ids.iter().any(|known| known == id)) {
                ids.push(id.to_owned());
            }
        }
        self.links(Topic::Biometrics, &ids).await
    }

    /// What a person wrote.
    async fn written(&self, id: &str) -> Result<Link, ProjectError> {
        let mut batches = self.read(Topic::Inbox);
        while let Some(batch) = batches.recv().await {
            for record in batch? {
                let payload = record.payload.as_deref().unwrap_or_default();
                let event: Value = serde_json::from_slice(payload).unwrap_or_default();
                if event["event_id"] == id && event["user_id"].as_str() == self.user.as_deref() {
                    return Ok(Link {
                        event_id: id.to_owned(),
                        topic: Some(Topic::Inbox.name()),
                        partition: Some(record.partition),
                        offset: Some(record.offset),
                        at: event["timestamp"].as_str().map(ToOwned::to_owned),
                        about: json!({ "type": event["kind"], "text": event["text"] }),
                    });
                }
            }
        }
        Ok(unknown(id))
    }
}

fn unknown(id: &str) -> Link {
    Link { event_id: id.to_owned(), topic: None, partition: None, offset: None, at: None, about: Value::Null }
}

fn link(topic: Topic, row: &Row) -> Link {
    let about = match topic {
        Topic::Biometrics => json!({
            "type": row.kind, "measure": row.name, "severity": row.severity, "percentile_rank": row.rank,
            "trend": row.rest["metadata"]["trend"],
        }),
        Topic::Triggers => json!({
            "type": row.kind, "severity": row.severity, "rule": row.name, "rule_version": row.version,
            "message": row.text,
        }),
        _ => json!({ "type": row.kind, "by": row.name, "content": row.text }),
    };
    Link {
        event_id: row.event_id.clone(),
        topic: Some(topic.name()),
        partition: Some(row.partition),
        offset: Some(row.offset),
        at: Some(row.rest["timestamp"].as_str().unwrap_or(&row.at).to_owned()),
        about,
    }
}
