//! A member of a consumer group, as others see it.

use schemars::JsonSchema;
use serde::Serialize;

/// Who works which partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Holder {
    /// The member's own name: node, role and thread.
    pub member: String,
    /// The partitions that it was given, of every input topic.
    pub partitions: Vec<i32>,
}
