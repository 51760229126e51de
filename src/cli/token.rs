//! `auren token`: a token for chat, signed with the node's own secret.

use std::time::Duration;

use anyhow::Context as _;
use auren::gateway::Tokens;
use auren_agents::UserId;

use super::{Context, Exit, context};

const EXAMPLES: &str = "\
Examples:
  auren token --user u-1                              for Authorization: Bearer
  auren token --user u-1 --link                       the chat page's address, signed in as u-1
  auren token --user u-1 --hours 1 --scope chat

It signs with chat.secret, or with the secret that a development node keeps in chat.secret_file. Where \
chat.public_key_file is set, somebody else signs and this command cannot.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Whose conversation.
    #[arg(long, value_name = "ID", value_parser = context::user)]
    user: UserId,
    /// What it allows.
    #[arg(long, default_value = "chat")]
    scope: String,
    /// How long it holds.
    #[arg(long, value_name = "N", default_value_t = 12)]
    hours: u32,
    /// Print the address of the chat page with the token in it, which browsers do not send on.
    #[arg(long)]
    link: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let config = &context.config;
    let tokens = Tokens::open(&config.chat, config.node.profile)?.context("there is no chat.secret to sign with")?;
    let life = Duration::from_secs(u64::from(args.hours) * 3600);
    let token = tokens
        .make(&args.user, &args.scope, life)
        .context("the node believes a public key (chat.public_key_file); who has the private one signs")?;
    if args.link {
        context.console.line(format_args!("http://{}/#token={token}", context.config.http.address))?;
    } else {
        context.console.line(token)?;
    }
    Ok(Exit::Done)
}
