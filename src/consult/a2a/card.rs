//! An A2A agent's own card: where it takes messages, and how. Pure.

use auren_agents::events;
use serde::Deserialize;

use crate::consult::ServiceError;

/// Where an agent takes messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) url: String,
    pub(super) tenant: String,
    /// Whether it sends its answer in parts.
    pub(super) streams: bool,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Card {
    supported_interfaces: Vec<Offered>,
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    streaming: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Offered {
    url: String,
    protocol_binding: String,
    protocol_version: String,
    tenant: String,
}

/// Where the card of an agent at this address is.
pub(super) fn address(url: &str) -> String {
    format!("{}/.well-known/agent-card.json", url.trim_end_matches('/'))
}

/// The first interface of a card that can be spoken to: JSON-RPC, version 1, at the address that was configured. A card does
/// not send what is told about people, or the token, to another host.
pub(super) fn interface(card: &[u8], configured: &str) -> Result<Interface, ServiceError> {
    let card: Card = events::parse(card).map_err(ServiceError::Unusable)?;
    let ours = |offered: &&Offered| {
        offered.protocol_binding.eq_ignore_ascii_case("JSONRPC")
            && (offered.protocol_version == "1" || offered.protocol_version.starts_with("1."))
    };
    let mut able = card.supported_interfaces.iter().filter(ours).peekable();
    if able.peek().is_none() {
        return Err(ServiceError::Settings("its card offers no JSON-RPC of A2A 1.0".to_owned()));
    }
    let here = origin(configured);
    let found = able.find(|offered| here.is_some() && origin(&offered.url) == here).ok_or_else(|| {
        let why =
            "its card names another host than the url that is configured for it; configure that one if it is trusted";
        ServiceError::Settings(why.to_owned())
    })?;
    let Offered { url, tenant, .. } = found;
    Ok(Interface { url: url.clone(), tenant: tenant.clone(), streams: card.capabilities.streaming })
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<(String, String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?.to_ascii_lowercase(), uri.host()?.to_ascii_lowercase());
    let port = uri.port_u16().or(match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    })?;
    Some((scheme, host, port))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn offered(binding: &str, version: &str, url: &str) -> Value {
        json!({ "url": url, "protocolBinding": binding, "protocolVersion": version })
    }

    fn found(interfaces: &[Value], configured: &str) -> Result<String, String> {
        let card = json!({ "name": "far", "supportedInterfaces": interfaces, "capabilities": { "streaming": true } });
        let found = interface(card.to_string().as_bytes(), configured);
        found.map(|found| found.url).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_interface_that_we_speak_is_taken() {
        let interfaces = [
            offered("GRPC", "1.0", "https://far.example/grpc"),
            offered("JSONRPC", "0.3", "https://far.example/old"),
            offered("JSONRPC", "1.0", "https://FAR.example:443/a2a"),
        ];
        assert_eq!(found(&interfaces, "https://far.example").as_deref(), Ok("https://FAR.example:443/a2a"));
        assert!(found(&interfaces[..2], "https://far.example").unwrap_err().contains("offers no JSON-RPC of A2A 1.0"));
        assert!(interface(b"[]", "https://far.example").is_err());
    }

    #[test]
    fn a_card_sends_nothing_to_another_host() {
        for elsewhere in ["https://evil.example/a2a", "http://far.example/a2a", "https://far.example:444/", "/a2a", ""]
        {
            let error = found(&[offered("JSONRPC", "1.0", elsewhere)], "https://far.example").unwrap_err();
            assert!(error.contains("another host"), "{elsewhere}: {error}");
        }
    }
}
