//! What a token is bound to: a token moved to another person, event, type or field does not open.

use auren_agents::{BiometricType, EventId, UserId};

/// The circumstances that a token is bound to. They are authenticated, not stored: whoever opens must know them.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// Whose value it is.
    pub user: &'a UserId,
    /// The event it belongs to.
    pub event: &'a EventId,
    /// The event's type.
    pub event_type: &'a BiometricType,
    /// The field of the event.
    pub field: &'a str,
}

/// The version of the record's schema that the token stands in.
const SCHEMA_VERSION: &str = "1";

impl Binding<'_> {
    /// Tenant, user, event id, event type, field and schema version, each behind its length (four bytes, big-endian).
    pub(super) fn associated_data(&self, tenant: &str) -> Vec<u8> {
        length_prefixed(&[
            tenant,
            self.user.as_str(),
            self.event.as_str(),
            self.event_type.as_str(),
            self.field,
            SCHEMA_VERSION,
        ])
    }
}

/// Every part behind its length, so that no two lists of parts give the same bytes.
pub(super) fn length_prefixed(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}
