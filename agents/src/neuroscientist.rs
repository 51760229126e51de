//! placeholder
use crate::{Advice, Agent, AgentCard, AgentError, Consult};
/// p
#[derive(Debug, Default)]
pub struct Neuroscientist;
impl Agent for Neuroscientist {
    fn card(&self) -> AgentCard {
        AgentCard::new("neuroscientist", "0.1.0", "p")
    }
    async fn consult(&self, _c: Consult) -> Result<Advice, AgentError> {
        Ok(Advice::say("p"))
    }
}
