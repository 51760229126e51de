//! `auren token`: a token for chat or for a program, signed with the node's own secret.

use std::time::Duration;

use anyhow::Context as _;
use auren::{config::Scope, gateway::Tokens};
use auren_agents::UserId;

use super::{Context, Exit, context};

const EXAMPLES: &str = "\
Examples:
  auren token --user u-1                              for Authorization: Bearer
  auren token --user u-1 --link                       the chat page's address, signed in as u-1
  auren token --user me --scope ops --link            the operators' page
  auren token --user watch --hours 1 --scope readings,detokenize:care

It signs with tokens.secret, or with the secret that a development node keeps in tokens.secret_file. Where \
tokens.public_key_file or tokens.jwks is set, somebody else signs and this command cannot.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Who it is of: whose conversation, or a program's name.
    #[arg(long, value_name = "ID", value_parser = context::user)]
    user: UserId,
    /// What it allows, comma-separated: chat, readings, erase, ops, ops:content, detokenize:PURPOSE.
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', default_value = "chat", value_parser = scope)]
    scope: Vec<Scope>,
    /// How long it holds.
    #[arg(long, value_name = "N", default_value_t = 12)]
    hours: u32,
    /// Print the address of the chat page, or for the scope ops of the operators' page, with the token in it, which browsers
    /// do not send on.
    #[arg(long)]
    link: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let config = &context.config;
    let tokens =
        Tokens::open(&config.tokens, config.node.profile)?.context("there is no tokens.secret to sign with")?;
    let life = Duration::from_secs(u64::from(args.hours) * 3600);
    let scopes: Vec<_> = args.scope.iter().map(|scope| scope.name()).collect();
    let token = tokens.make(args.user.as_str(), &scopes.join(" "), life).context(
        "the node believes public keys (tokens.public_key_file, tokens.jwks); who has the private ones signs",
    )?;
    if args.link {
        let operates = args.scope.contains(&Scope::Ops) && !args.scope.contains(&Scope::Chat);
        let page = if operates { "ops" } else { "" };
        let (scheme, address) = (config.http.scheme(), &config.http.address);
        let link = format!("{scheme}://{address}/{page}#token={token}");
        context.console.line(link)?;
    } else {
        context.console.line(token)?;
    }
    Ok(Exit::Done)
}

/// A scope, as a flag takes it.
fn scope(text: &str) -> Result<Scope, String> {
    text.parse()
}
