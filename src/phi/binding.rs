//! What a token is bound to: a token moved to another person, event, type or field does not open.

use auren_agents::{BiometricType, EventId};

/// The circumstances that a token is bound to, besides its person. They are authenticated, not stored: whoever opens must
/// know them.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The event it belongs to.
    pub event: &'a EventId,
    /// The event's type.
    pub event_type: &'a BiometricType,
    /// The field of the event.
    pub field: &'a str,
}

/// The version of the record's schema that the token stands in.
const SCHEMA_VERSION: &str = "1";

impl<'a> Binding<'a> {
    /// The measured value of a reading and of the biometric event that is made of it.
    #[must_use]
    pub fn value(event: &'a EventId, event_type: &'a BiometricType) -> Self {
        Self { event, event_type, field: "value" }
    }

    /// Tenant, user, event id, event type, field and schema version, each behind its length (four bytes, big-endian).
    pub(super) fn associated_data(&self, tenant: &str, user: &str) -> Vec<u8> {
        length_prefixed(&[tenant, user, self.event.as_str(), self.event_type.as_str(), self.field, SCHEMA_VERSION])
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::phi::{PhiError, sealed};

    proptest! {
        /// Whatever the six fields are, no two of them can change places, and none can give letters to its neighbour.
        #[test]
        fn no_swap_of_two_fields_opens(
            fields in prop::array::uniform6("[a-z0-9é.|:]{0,12}"),
            (one, other) in (0_usize..6, 0_usize..6),
            cut in 0_usize..12,
        ) {
            let bytes = |fields: &[String; 6]| length_prefixed(&fields.each_ref().map(String::as_str));
            let message = sealed::seal([0; sealed::KEY_ID], b"data key", &bytes(&fields), b"value").unwrap();
            let open = |fields: &[String; 6]| sealed::open([0; sealed::KEY_ID], b"data key", &bytes(fields), &message);
            prop_assert!(open(&fields).is_ok());
            let mut swapped = fields.clone();
            swapped.swap(one, other);
            prop_assert_eq!(open(&swapped).is_ok(), fields[one] == fields[other]);
            let mut moved = fields.clone();
            if one != other && moved[one].is_char_boundary(cut.min(moved[one].len())) {
                let tail = moved[one].split_off(cut.min(fields[one].len()));
                moved[other].insert_str(0, &tail);
                prop_assert_eq!(open(&moved).err(), (!tail.is_empty()).then_some(PhiError::DoesNotOpen));
            }
        }
    }
}
