//! Hosting agents: who can be asked, and how a question reaches them.
//!
//! [`Agents`] is what a hub is built with. On a node they are [`Hosted`]: each arbiter that runs sessions opens a [`Desk`]
//! with agent actors of its own, so that asking costs no thread switch. What a node has been through with an agent is kept
//! once for all its desks, in its reception: how many questions are open, whether the circuit is, and the counters.
//!
//! Read the modules in this order: [`desk`] (one question), [`reception`] (who is let through), [`circuit`] (when nobody
//! is), [`retry`] (asking again), [`health`] (what can be seen of it). [`http`] is agents in other processes, [`llm`]
//! agents that are language models, [`a2a`] agents that speak A2A, [`kafka`] agents that are asked over topics, [`shadow`]
//! agents that are only compared, [`service`] how anybody outside is asked, [`telling`] what of their words is told and shown,
//! [`budget`] what they may cost, and [`tape`] keeps what they answered.

mod a2a;
mod budget;
mod circuit;
mod desk;
mod health;
mod http;
mod kafka;
mod llm;
mod reception;
mod retry;
mod service;
mod shadow;
mod tape;
mod telling;

use std::{sync::Arc, time::Duration};

use crate::bus::SharedBus;
use actix::{Actor, Recipient};
use auren_agents::{Agent, AgentActor, AgentCard, AgentId, Coach, Consult, Neuroscientist};

pub use self::http::{HttpAgent, HttpAgentSettings};
pub use a2a::{A2aAgent, A2aAgentSettings, ADVICE};
use budget::Budget;
pub use budget::{BudgetSettings, Costs};
pub use desk::{AT_ONCE, Answered, Asked, Desk, Heard, Question, Unanswered};
pub use health::{AgentHealth, AgentTotals, CircuitState, Dropped};
use kafka::Post;
pub use kafka::{CONSULT, DEADLINE, KafkaAgent, KafkaAgentSettings, REPLY_TO};
pub use llm::{HAND_OFF, LlmAgent, LlmAgentSettings};
use reception::Reception;
pub use service::ServiceError;
pub(crate) use service::told;
pub use shadow::{Compared, Notes, TOPIC as SHADOWS};
pub use tape::Tape;

/// How a node deals with agents that do not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsultSettings {
    /// How often one question is asked at most.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each further one, and a random half of it is left out.
    pub retry_pause: Duration,
    /// Most questions to one agent that may be open on this node.
    pub max_open: usize,
    /// So many questions in a row without an answer open an agent's circuit.
    pub circuit_failures: u32,
    /// How long nobody is let through before one question tries.
    pub circuit_pause: Duration,
}

/// The agents of a hub.
#[derive(Clone, Default)]
pub struct Agents {
    hosts: Vec<Host>,
    tape: Option<Tape>,
}

#[derive(Clone)]
struct Host {
    card: AgentCard,
    start: Start,
    /// Of an agent that is asked over topics.
    post: Option<Arc<Post>>,
    /// Whose shadow it is, where it is one.
    shadow_of: Option<AgentId>,
    /// Where what it costs is counted.
    budget: Option<Arc<Budget>>,
}

/// Starts an agent on the arbiter that calls it.
type Start = Arc<dyn Fn() -> Recipient<Consult> + Send + Sync>;

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hosts.iter().map(|host| host.card.id.as_str())).finish()
    }
}

impl Agents {
    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The neuroscientist and the coach.
    #[must_use]
    pub fn built_in() -> Self {
        Self::none().with(Neuroscientist).with(Coach)
    }

    /// These; what those outside answer who join them is kept on this tape, or given by it.
    #[must_use]
    pub fn taped(self, tape: Tape) -> Self {
        Self { tape: Some(tape), ..self }
    }

    /// These and one more; one of the same name is replaced. Every arbiter runs a clone of the agent.
    #[must_use]
    pub fn with<A: Agent + Clone + Send + Sync>(self, agent: A) -> Self {
        let card = agent.card();
        self.with_recipient_from(card, move || AgentActor::new(agent.clone()).start().recipient())
    }

    /// These and an actor that runs already and answers consults itself, wherever it lives. Where it ends, nothing starts
    /// it again, and its circuit opens.
    #[must_use]
    pub fn with_recipient(self, card: AgentCard, recipient: Recipient<Consult>) -> Self {
        self.with_recipient_from(card, move || recipient.clone())
    }

    /// These and an actor that `start` starts: once on every arbiter that runs sessions, and again wherever it has ended.
    #[must_use]
    pub fn with_recipient_from(
        mut self,
        card: AgentCard,
        start: impl Fn() -> Recipient<Consult> + Send + Sync + 'static,
    ) -> Self {
        self.host(Host { card, start: Arc::new(start), post: None, shadow_of: None, budget: None });
        self
    }

    fn host(&mut self, host: Host) {
        match self.hosts.iter_mut().find(|known| known.card.id == host.card.id) {
            Some(known) => *known = host,
            None => self.hosts.push(host),
        }
    }

    /// These and an agent in another process. Nobody connects to it before it is asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn with_http(self, settings: HttpAgentSettings) -> Result<Self, ServiceError> {
        let card = HttpAgent::open(&settings)?.card();
        let tape = self.tape.clone();
        // Each arbiter has connections of its own, as they live on the thread that opens them.
        let agent = move || HttpAgent::of(&settings).taped(tape.clone());
        Ok(self.with_recipient_from(card, move || AgentActor::new(agent()).start().recipient()))
    }

    /// These and an agent that is a language model. Nobody connects to its endpoint before it is asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn with_llm(mut self, settings: LlmAgentSettings) -> Result<Self, ServiceError> {
        let settings = Arc::new(settings);
        // Nothing is spent where a tape answers.
        let free = self.tape.as_ref().is_some_and(Tape::plays);
        let budget = Arc::new(Budget::new(if free { BudgetSettings::default() } else { settings.budget }));
        let card = LlmAgent::open(&settings)?.card();
        let counted = Arc::clone(&budget);
        let tape = self.tape.clone();
        let start = move || AgentActor::new(LlmAgent::of(&settings, &counted).taped(tape.clone())).start().recipient();
        self.host(Host { card, start: Arc::new(start), post: None, shadow_of: None, budget: Some(budget) });
        Ok(self)
    }

    /// These and an agent that speaks A2A. Nobody connects to it before it is asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn with_a2a(self, settings: A2aAgentSettings) -> Result<Self, ServiceError> {
        let card = A2aAgent::open(&settings)?.card();
        let tape = self.tape.clone();
        let agent = move || A2aAgent::of(&settings).taped(tape.clone());
        Ok(self.with_recipient_from(card, move || AgentActor::new(agent()).start().recipient()))
    }

    /// These and an agent that is asked over topics of this bus. They are read from when it is first asked.
    #[must_use]
    pub fn with_kafka(mut self, settings: KafkaAgentSettings, bus: SharedBus) -> Self {
        let (card, post) = (settings.card.clone(), Post::new(bus, &settings));
        let its = Arc::clone(&post);
        let start = move || AgentActor::new(KafkaAgent::new(settings.clone(), Arc::clone(&its))).start().recipient();
        self.host(Host { card, start: Arc::new(start), post: Some(post), shadow_of: None, budget: None });
        self
    }

    /// Starts the agent of this name on this arbiter, for a question that no hub asks; none where there is no such agent.
    #[must_use]
    pub fn start(&self, agent: &AgentId) -> Option<Recipient<Consult>> {
        self.hosts.iter().find(|host| host.card.id == *agent).map(|host| (host.start)())
    }

    /// These, one of which becomes another's shadow: it is asked what that one is asked, and shown to nobody.
    ///
    /// # Errors
    /// Why it cannot be: that one is not there, is a shadow itself, or is the same.
    pub fn shadowing(mut self, shadow: &str, of: &str) -> Result<Self, String> {
        if shadow == of {
            return Err("an agent must not be its own shadow".to_owned());
        }
        let of = self.hosts.iter().find(|host| host.card.id.as_str() == of && host.shadow_of.is_none());
        let of = of.ok_or("shadow_of must name an agent that is there and is no shadow itself")?.card.id.clone();
        for host in self.hosts.iter_mut().filter(|host| host.card.id.as_str() == shadow) {
            host.shadow_of = Some(of.clone());
        }
        Ok(self)
    }

    /// The cards of those that answer, in the order in which they were added.
    #[must_use]
    pub fn cards(&self) -> Vec<AgentCard> {
        self.hosts.iter().filter(|host| host.shadow_of.is_none()).map(|host| host.card.clone()).collect()
    }

    /// The cards of shadows, and whose they are.
    #[must_use]
    pub fn shadows(&self) -> Vec<(AgentCard, AgentId)> {
        self.hosts.iter().filter_map(|host| Some((host.card.clone(), host.shadow_of.clone()?))).collect()
    }

    /// These agents on a node, which nobody has asked anything yet.
    #[must_use]
    pub fn hosted(self, settings: ConsultSettings) -> Hosted {
        let settings = Arc::new(settings);
        let hosts = self.hosts.into_iter().map(|host| {
            let reception = Reception::new(host.card.id.clone(), Arc::clone(&settings));
            (host, Arc::new(reception))
        });
        Hosted { hosts: hosts.collect(), notes: None }
    }
}

/// The agents of a node.
#[derive(Clone)]
pub struct Hosted {
    hosts: Arc<[(Host, Arc<Reception>)]>,
    /// Where it is noted what shadows say.
    notes: Option<Notes>,
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hosts.iter().map(|(host, _)| host.card.id.as_str())).finish()
    }
}

impl Hosted {
    /// These, whose shadows are noted on this bus; without it shadows are not asked.
    #[must_use]
    pub fn noting(mut self, bus: SharedBus) -> Self {
        if self.hosts.iter().any(|(host, _)| host.shadow_of.is_some()) {
            self.notes = Some(Notes::on(bus));
        }
        self
    }

    /// Starts the agents on this arbiter.
    #[must_use]
    pub fn open_desk(&self) -> Desk {
        Desk::new(&self.hosts, self.notes.clone())
    }

    /// How each agent does on this node, in the order in which they were added.
    #[must_use]
    pub fn health(&self) -> Vec<AgentHealth> {
        let health = |(host, reception): &(Host, Arc<Reception>)| AgentHealth {
            dropped: host.post.as_ref().map(|post| post.dropped()),
            costs: host.budget.as_ref().map(|budget| budget.costs()).unwrap_or_default(),
            ..reception.health()
        };
        self.hosts.iter().map(health).collect()
    }
}
