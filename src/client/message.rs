//! What a person says, as a record of the inbox.

use auren_agents::{AgentId, EventId, InboxAction, InboxRecord, Text, Timestamp, UserId};

/// A message of a person, for the agent it names or for whoever it concerns.
///
/// With a `client_id` (the sender's own id of the message) the event id follows from user and client id, so sending it
/// again is harmless; without one every call makes a new message.
#[must_use]
pub fn message(
    user: UserId,
    text: Text<4096>,
    to: Option<AgentId>,
    client_id: Option<Text<128>>,
    timestamp: Timestamp,
) -> InboxRecord {
    let event_id = match &client_id {
        Some(client_id) => EventId::derived(&["inbox", user.as_str(), client_id]),
        None => fresh(&user),
    };
    let action = InboxAction::Message { text, to, extra: serde_json::Map::new() };
    InboxRecord { event_id, user_id: user, action, client_id, timestamp }
}

/// An id that no other message has.
#[expect(clippy::disallowed_methods, reason = "a person's request is the cause, and nothing else names it")]
fn fresh(user: &UserId) -> EventId {
    EventId::derived(&["inbox", user.as_str(), "", &uuid::Uuid::new_v4().to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_sent_again_under_its_client_id_is_the_same_message() {
        let send = |client_id: Option<&str>| {
            let now = Timestamp::parse("2024-01-01T10:00:00Z").unwrap();
            message(UserId::new("u-1").unwrap(), Text::cut("hi"), None, client_id.map(Text::cut), now).event_id
        };
        assert_eq!(send(Some("c-1")), send(Some("c-1")));
        assert_ne!(send(Some("c-1")), send(Some("c-2")));
        assert_ne!(send(None), send(None));
    }
}
