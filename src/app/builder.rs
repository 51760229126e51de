//! Puts a hub together; what is not given comes from the configuration.

use actix::Recipient;
use auren_agents::{Agent, AgentCard, Consult};

use super::{Hub, HubError, connect, open_keys, told_to_end, with_configured};
use crate::{
    bus::SharedBus,
    config::{Config, Source, in_earnest},
    consult::Agents,
    phi::Keys,
};

/// Puts a hub together; what is not given comes from the configuration.
#[derive(Debug, Default)]
pub struct HubBuilder {
    config: Option<Config>,
    bus: Option<SharedBus>,
    keys: Option<Keys>,
    agents: Option<Agents>,
}

impl HubBuilder {
    /// Uses this configuration instead of reading one.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Uses this bus instead of the configured one.
    #[must_use]
    pub fn bus(mut self, bus: SharedBus) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Uses these keys instead of the configured ones.
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Uses these agents instead of the built-in ones. Those that the configuration names join them.
    #[must_use]
    pub fn agents(mut self, agents: Agents) -> Self {
        self.agents = Some(agents);
        self
    }

    /// Adds an agent to the built-in ones, or replaces the one of its name.
    #[must_use]
    pub fn agent<A: Agent + Clone + Send + Sync>(mut self, agent: A) -> Self {
        self.agents = Some(self.agents.unwrap_or_else(Agents::built_in).with(agent));
        self
    }

    /// Adds an actor that runs already and handles [`Consult`] itself.
    #[must_use]
    pub fn recipient(mut self, card: AgentCard, recipient: Recipient<Consult>) -> Self {
        self.agents = Some(self.agents.unwrap_or_else(Agents::built_in).with_recipient(card, recipient));
        self
    }

    /// Adds an actor that handles [`Consult`] itself and that `start` starts: once on every thread that converses, and again
    /// wherever it has ended.
    #[must_use]
    pub fn recipient_from(
        mut self,
        card: AgentCard,
        start: impl Fn() -> Recipient<Consult> + Send + Sync + 'static,
    ) -> Self {
        self.agents = Some(self.agents.unwrap_or_else(Agents::built_in).with_recipient_from(card, start));
        self
    }

    /// The hub, put together.
    ///
    /// # Errors
    /// [`HubError`] where the configuration, the bus or the key cannot be used.
    pub async fn build(self) -> Result<Hub, HubError> {
        let config = match self.config {
            Some(config) => config,
            None => crate::config::load(&Source::default())?,
        };
        in_earnest(&config)?;
        let bus = match self.bus {
            Some(bus) => bus,
            None => connect(&config).await?,
        };
        let keys = match self.keys {
            Some(keys) => Some(keys),
            // Only enrich and the callers' routes open tokens; a node without them needs no key and makes none.
            None if config.needs_keys() => Some(open_keys(&config).await?),
            None => None,
        };
        let agents = with_configured(&config, self.agents.unwrap_or_else(Agents::built_in), Some(&bus)).await?;
        Ok(Hub { config, bus, keys, agents })
    }

    /// Builds the hub and runs it until the process is told to end (SIGINT, SIGTERM).
    ///
    /// # Errors
    /// [`HubError`] where it cannot start, or a worker had to give up.
    pub async fn serve(self) -> Result<(), HubError> {
        let running = self.build().await?.start().await?;
        running.until(told_to_end()).await
    }
}
