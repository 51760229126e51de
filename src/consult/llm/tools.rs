//! The tools of one answer: what a model is offered, and what it is told when it calls one.
//!
//! Whatever a model calls wrongly (a tool that is not there, arguments that are no JSON or not those of the tool) it is told,
//! and may go on. How often it may call is bounded; behind that it is offered nothing any more, and a model that calls all the
//! same has no answer.

use auren_agents::{Consult, HandOff, ToolError, events, tools::parameters};
use serde_json::{Value, json};

use super::{LlmAgentSettings, completion::Call, prompt::Request};
use crate::consult::{ServiceError, telling::fit_hand_off};

/// The tool by which a model asks another agent to go on.
pub const HAND_OFF: &str = "hand_off";

/// The tools of one answer.
pub(super) struct Toolbox<'a> {
    settings: &'a LlmAgentSettings,
    consult: &'a Consult,
    /// How many may still be called.
    left: u32,
    /// How often the model has been told what its tools say.
    round: u32,
    hand_off: Option<HandOff>,
}

impl<'a> Toolbox<'a> {
    pub(super) fn of(settings: &'a LlmAgentSettings, consult: &'a Consult) -> Self {
        Self { settings, consult, left: settings.max_tool_calls, round: 0, hand_off: None }
    }

    /// Whether the model has any tools.
    pub(super) fn is_offered(&self) -> bool {
        is_offered(self.settings)
    }

    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// Whom the model asked to go on.
    pub(super) fn handed_off(self) -> Option<HandOff> {
        self.hand_off
    }

    /// Does what the model calls for, and puts what comes of it behind the request.
    pub(super) fn answer(
        &mut self,
        request: &mut Request,
        mut calls: Vec<Call>,
        said: &str,
    ) -> Result<(), ServiceError> {
        if self.left == 0 {
            return Err(ServiceError::unusable("tool_calls", "must not be more than a model may call for one answer"));
        }
        self.round += 1;
        for (number, call) in calls.iter_mut().enumerate() {
            if call.id.is_empty() {
                call.id = format!("call-{}-{number}", self.round);
            }
        }
        request.called(&calls, said);
        for call in &calls {
            let told = match self.left {
                0 => Err("no more tools may be called".to_owned()),
                _ => self.call(call).map_err(|error| error.to_string()),
            };
            self.left = self.left.saturating_sub(1);
            request.told(&call.id, &told.unwrap_or_else(|why| json!({ "error": why })));
        }
        if self.left == 0 {
            request.offer_nothing();
        }
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Value, ToolError> {
        if call.name == HAND_OFF && self.settings.hands_off {
            let asked: HandOff = events::parse(call.arguments.as_bytes()).map_err(ToolError::Arguments)?;
            fit_hand_off(&asked)
                .map_err(|_| ToolError::Failed("it must name no disease, no medicine and no dose".to_owned()))?;
            self.hand_off = Some(asked);
            return Ok(json!("They are asked when you have answered."));
        }
        let said = self.settings.tools.call(self.consult, &call.name, &call.arguments)?;
        serde_json::from_str(&said).map_err(|error| ToolError::Failed(error.to_string()))
    }
}

fn is_offered(settings: &LlmAgentSettings) -> bool {
    settings.max_tool_calls > 0 && (settings.hands_off || settings.tools.iter().next().is_some())
}

/// What a model is told of its tools; nothing where it has none.
pub(super) fn offered(settings: &LlmAgentSettings) -> Option<Value> {
    let function = |name: &str, description: &str, parameters: &Value| {
        let function = json!({ "name": name, "description": description, "parameters": parameters });
        json!({ "type": "function", "function": function })
    };
    let own = settings.tools.iter().map(|tool| function(tool.name(), tool.description(), tool.parameters()));
    let about = "Asks another agent to go on when you have answered. Say nothing more where it is theirs to answer.";
    let hand_off = settings.hands_off.then(|| function(HAND_OFF, about, &parameters::<HandOff>()));
    is_offered(settings).then(|| own.chain(hand_off).collect())
}
