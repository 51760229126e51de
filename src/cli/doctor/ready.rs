//! Asks the node that runs here whether it is ready, for health checks where there is no curl.

use anyhow::ensure;

use crate::cli::{Context, Exit, node};

pub(super) async fn run(quiet: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let address = context.config.http.address.clone();
    ensure!(!address.is_empty(), "http.address is empty: the node has no HTTP server that could be asked");
    ensure!(!address.ends_with(":0"), "http.address names no port: where the node listens stands in its log");
    let answer = node::get(&address, &context.config.http.tls, "/readyz").await?;
    if !quiet {
        context.console.line(answer.body.trim_end())?;
    }
    Ok(if answer.status == 200 { Exit::Done } else { Exit::Failed })
}
