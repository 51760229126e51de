//! What was noticed: a rule's finding about a person, and the agents it asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Extra, Observation, open::open_enum, rejected::bounded_list};
use crate::{
    ids::{AgentId, EventId, UserId},
    text::{Score, Text},
    time::Timestamp,
};

open_enum! {
    /// What a rule noticed.
    TriggerType {
        /// Heart-rate variability below the person's usual range.
        HrvDrop = "hrv_drop",
        /// Blood pressure above it.
        BloodPressureSpike = "blood_pressure_spike",
        /// Glucose above it.
        GlucoseSpike = "glucose_spike",
        /// Too little sleep, several nights in a row.
        SleepDeprivation = "sleep_deprivation",
        /// More load than recovery.
        Overtraining = "overtraining",
        /// Stress that keeps rising.
        StressEscalation = "stress_escalation",
        /// Signs that often come before an illness.
        InflammationRisk = "inflammation_risk",
        /// Signs of a tired mind.
        CognitiveFatigue = "cognitive_fatigue",
    }
}

/// One record of `triggers.detected`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerEvent {
    /// The trigger's own id.
    pub trigger_id: EventId,
    /// Whom it is about; also the record's key.
    pub user_id: UserId,
    /// What was noticed.
    pub trigger_type: TriggerType,
    /// How much it matters.
    pub severity: Score,
    /// The events it rests on.
    #[serde(deserialize_with = "bounded_list::<_, _, 0, 256>")]
    #[schemars(length(max = 256))]
    pub context_window: Vec<EventId>,
    /// The agents to ask, in order.
    #[serde(deserialize_with = "bounded_list::<_, _, 1, 16>")]
    #[schemars(length(min = 1, max = 16))]
    pub recommended_agents: Vec<AgentId>,
    /// What was noticed, in a sentence.
    pub message: Text<4096>,
    /// When the newest of its events happened.
    pub timestamp: Timestamp,
    /// What the rule saw, as metadata. With it an answer depends on nothing but its cause and the conversation so far;
    /// without it agents are shown what the session remembers.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded_list::<_, _, 0, 64>")]
    #[schemars(length(max = 64))]
    pub evidence: Vec<Observation>,
    /// The rule that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleRef>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A rule and the version of it that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleRef {
    /// The rule's id.
    pub id: Text<64>,
    /// Its version.
    pub version: u32,
}
