//! Nodes that frontends connect to.

use std::net::SocketAddr;

use auren::config::Config;

use super::Day;
use crate::support::{Node, chatter, free_port, http};

/// How nodes of a day believe tokens, and who makes them.
pub(super) struct Chatting {
    config: Config,
}

/// A node, and where it listens.
pub(super) struct Served {
    pub(super) node: Node,
    pub(super) address: SocketAddr,
}

impl Chatting {
    /// Nodes of this day take many sockets.
    pub(super) fn begin(day: &mut Day) -> Self {
        let mut config = Config::default();
        let secret = "a secret that everybody knows, for tests";
        config.tokens.secret = Some(secret.to_owned().into());
        day.set("tokens.secret", secret);
        day.set("chat.max_sockets", "12000");
        Self { config }
    }

    /// A node that has joined its groups and answers.
    pub(super) fn node(&self, day: &Day, name: &str) -> Served {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut flags = day.flags.clone();
        flags.extend(["--set".to_owned(), format!("http.address={address}")]);
        let node = Node::start(&day.program, &flags, name);
        node.says("partitions taken", 3);
        Served { node, address }
    }

    pub(super) fn token(&self, user: &str) -> String {
        chatter::token(&self.config, user)
    }
}

impl Served {
    /// A figure of it, as `/metrics` names it.
    pub(super) async fn figure(&self, name: &str) -> u64 {
        http::figure(self.address, name).await
    }
}
