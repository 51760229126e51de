//! Tools: typed functions of a consult that an agent calls itself, or lets a language model call.
//!
//! A tool sees the consult and its arguments, and nothing else: there is no measured value in a consult, and nobody but the
//! person who is advised. So it needs no rights, changes nothing, and says the same whenever the same question is asked.
//!
//! ```
//! use auren_agents::tools::{Tool, Tools};
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Ask {
//!     /// How many of the newest are looked at.
//!     newest: usize,
//! }
//!
//! let unusual = Tool::new("unusual", "How many of the newest measurements are unusual.", |consult, Ask { newest }| {
//!     let recent = consult.recent.iter().rev().take(newest);
//!     Ok(recent.filter(|seen| seen.severity_score.get() > 0.4).count())
//! });
//! let tools = Tools::none().with(unusual);
//! # use auren_agents::dialogue;
//! # let consult = dialogue::shipped()[0].consult();
//! assert!(tools.call(&consult, "unusual", r#"{"newest": 3}"#).is_ok());
//! let wrong = tools.call(&consult, "unusual", r#"{"newest": "all"}"#).unwrap_err();
//! assert_eq!(wrong.to_string(), "newest: must be a whole number");
//! ```

mod shipped;

use std::{fmt, sync::Arc};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use shipped::{recent_nights, said_before};

use crate::{
    Consult,
    events::{self, Rejected},
};

/// Most bytes of what a tool says, and of what it is asked.
pub const TOOL_BYTES: usize = 8 * 1024;

/// A typed function of a consult.
#[derive(Clone)]
pub struct Tool {
    name: String,
    description: String,
    parameters: Value,
    run: Arc<Run>,
}

type Run = dyn Fn(&Consult, &[u8]) -> Result<String, ToolError> + Send + Sync;

/// Why a tool said nothing. It is told to whoever called it, and repeats no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// There is none of this name.
    #[error("there is no tool of this name; there are: {0}")]
    Unknown(String),
    /// Its arguments are not what they must be.
    #[error("{0}")]
    Arguments(Rejected),
    /// It has nothing to say to this, and says why.
    #[error("{0}")]
    Failed(String),
    /// More than may be asked or said.
    #[error("{0} must not be longer than {TOOL_BYTES} bytes")]
    TooLong(&'static str),
}

impl Tool {
    /// A tool whose arguments are of a type, from which their JSON Schema is derived: what stands above its fields is what a
    /// model is told of them. What it says must be JSON.
    ///
    /// `run` must not block: it is called on the thread of the sessions, which all wait for it, as often as a model may call
    /// tools for one answer. What has to be asked elsewhere is an agent's business, and not a tool's.
    ///
    /// # Panics
    /// Where `name` is not 1 to 64 letters, digits, dashes and underscores: a programming error, met at the first start.
    #[must_use]
    pub fn new<A, R>(
        name: &str,
        description: &str,
        run: impl Fn(&Consult, A) -> Result<R, String> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema,
        R: Serialize,
    {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!((1..=64).contains(&name.len()) && name.bytes().all(word), "a tool's name is a short word");
        let run = move |consult: &Consult, arguments: &[u8]| {
            let arguments = events::parse(arguments).map_err(ToolError::Arguments)?;
            let said = run(consult, arguments).map_err(ToolError::Failed)?;
            let said = serde_json::to_string(&said).map_err(|error| ToolError::Failed(error.to_string()))?;
            if said.len() > TOOL_BYTES { Err(ToolError::TooLong("what it says")) } else { Ok(said) }
        };
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            parameters: parameters::<A>(),
            run: Arc::new(run),
        }
    }

    /// The name it is called by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The JSON Schema of its arguments.
    #[must_use]
    pub fn parameters(&self) -> &Value {
        &self.parameters
    }
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The JSON Schema of arguments, in one piece.
#[must_use]
pub fn parameters<A: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<A>();
    schema.remove("title");
    schema.into()
}

/// The tools of an agent.
#[derive(Debug, Clone, Default)]
pub struct Tools(Vec<Tool>);

impl Tools {
    /// No tools.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that AUREN ships.
    #[must_use]
    pub fn shipped() -> Self {
        Self::none().with(recent_nights()).with(said_before())
    }

    /// These and one more; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, tool: Tool) -> Self {
        match self.0.iter_mut().find(|known| known.name == tool.name) {
            Some(known) => *known = tool,
            None => self.0.push(tool),
        }
        self
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.0.iter().find(|tool| tool.name == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Tool> {
        self.0.iter()
    }

    /// What a tool says to these arguments, as JSON; without arguments they are an empty object.
    ///
    /// # Errors
    /// [`ToolError`], in words that are good to be told to a model.
    pub fn call(&self, consult: &Consult, name: &str, arguments: &str) -> Result<String, ToolError> {
        let Some(tool) = self.get(name) else {
            let names: Vec<_> = self.iter().map(Tool::name).collect();
            return Err(ToolError::Unknown(names.join(", ")));
        };
        let arguments = match arguments.trim() {
            "" => "{}",
            arguments if arguments.len() > TOOL_BYTES => return Err(ToolError::TooLong("its arguments")),
            arguments => arguments,
        };
        (tool.run)(consult, arguments.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::dialogue;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Times {
        /// How often.
        times: usize,
    }

    fn tools() -> Tools {
        let echo = Tool::new("echo", "Says so.", |consult, Times { times }| match times {
            0 => Err("nothing to say".to_owned()),
            _ => Ok(consult.agent.as_str().repeat(times)),
        });
        Tools::none().with(echo)
    }

    #[test]
    fn what_a_model_calls_wrongly_is_told_it_without_what_it_said() {
        let consult = dialogue::shipped()[0].consult();
        let call = |name: &str, arguments: &str| tools().call(&consult, name, arguments);
        assert_eq!(call("echo", r#"{"times": 1}"#).unwrap(), format!("{:?}", consult.agent.as_str()));
        for (name, arguments, why) in [
            ("sing", "{}", "there is no tool of this name; there are: echo"),
            ("echo", "", "record: missing field `times`"),
            ("echo", r#"{"times": "secret"}"#, "times: must be a whole number"),
            ("echo", r#"{"times": 1, "user_id": "u-2"}"#, "user_id: unknown field"),
            ("echo", r#"{"times": 1"#, "is not JSON"),
            ("echo", r#"{"times": 0}"#, "nothing to say"),
            ("echo", r#"{"times": 100000}"#, "what it says must not be longer than 8192 bytes"),
            ("echo", &" ".repeat(9000).replace("  ", "{}"), "its arguments must not be longer than 8192 bytes"),
        ] {
            let told = call(name, arguments).unwrap_err().to_string();
            assert!(told.contains(why) && !told.contains("secret"), "{arguments:.40}: {told}");
        }
    }

    #[test]
    fn the_schema_of_its_arguments_is_derived_from_their_type() {
        let expected = serde_json::json!({
            "type": "object", "additionalProperties": false, "required": ["times"],
            "properties": { "times": { "description": "How often.", "type": "integer", "format": "uint", "minimum": 0 } },
        });
        assert_eq!(tools().get("echo").unwrap().parameters(), &expected);
    }
}
