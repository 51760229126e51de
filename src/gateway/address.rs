//! Whose request it is, where a proxy passes it on: proxies that the configuration names are believed about who asked them,
//! and nobody else is.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

use crate::config::{ForwardedBy, HttpSection};

/// Most hops that are followed back.
const HOPS_MAX: usize = 16;

/// The address that a request comes from. None where it comes from a trusted proxy, which does not say from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker(pub(super) Option<IpAddr>);

/// Who is believed about it.
#[derive(Debug)]
pub(super) struct Proxies {
    trusted: Vec<IpNet>,
    header: HeaderName,
}

impl Proxies {
    pub(super) fn new(http: &HttpSection) -> Self {
        let header = match http.forwarded_by {
            ForwardedBy::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedBy::Forwarded => FORWARDED,
        };
        Self { trusted: http.proxies(), header }
    }

    /// The other side of a connection, where it is no proxy.
    pub(super) fn unless_proxy(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let trusted = self.trusted.iter().any(|network| network.contains(&peer));
        (!trusted).then_some(peer)
    }

    /// Whose request it is that came over a connection from there. Hops are followed from the last one back: what stands
    /// before the first that is no trusted proxy was written by whoever sent it.
    pub(super) fn asker(&self, peer: IpAddr, headers: &HeaderMap) -> Asker {
        if let Some(peer) = self.unless_proxy(peer) {
            return Asker(Some(peer));
        }
        let lines = headers.get_all(&self.header).iter().filter_map(|line| line.to_str().ok()).collect::<Vec<_>>();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS_MAX);
        for hop in hops {
            let Some(address) = self.address(hop.trim()) else { return Asker(None) };
            if let Some(address) = self.unless_proxy(address) {
                return Asker(Some(address));
            }
        }
        Asker(None)
    }

    fn address(&self, hop: &str) -> Option<IpAddr> {
        let node = if self.header == FORWARDED {
            let pairs = hop.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?.1.trim_matches('"')
        } else {
            hop
        };
        let bare = node.trim_matches(['[', ']']).parse().ok();
        bare.or_else(|| node.parse::<SocketAddr>().ok().map(|place| place.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(by: ForwardedBy, peer: &str, lines: &[&str]) -> Option<String> {
        let trusted_proxies = vec!["10.0.0.0/8".to_owned(), "2001:db8::1".to_owned()];
        let proxies = Proxies::new(&HttpSection { trusted_proxies, forwarded_by: by, ..HttpSection::default() });
        let mut headers = HeaderMap::new();
        let other = if by == ForwardedBy::Forwarded { "x-forwarded-for" } else { "forwarded" };
        headers.append(other, "for=203.0.113.99".parse().unwrap());
        for line in lines {
            headers.append(&proxies.header, line.parse().unwrap());
        }
        proxies.asker(peer.parse().unwrap(), &headers).0.map(|address| address.to_string())
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_about_the_hop_before_them() {
        let of = |peer: &str, lines: &[&str]| asker(ForwardedBy::XForwardedFor, peer, lines);
        let some = |address: &str| Some(address.to_owned());
        assert_eq!(of("192.0.2.7", &["203.0.113.1"]), some("192.0.2.7"));
        assert_eq!(of("::ffff:192.0.2.7", &[]), some("192.0.2.7"));
        assert_eq!(of("10.0.0.1", &["203.0.113.1"]), some("203.0.113.1"));
        assert_eq!(of("2001:db8::1", &["203.0.113.1:4711"]), some("203.0.113.1"));
        // What a client wrote itself stands further left.
        assert_eq!(of("10.0.0.1", &["198.51.100.1, 203.0.113.1", "10.0.0.2"]), some("203.0.113.1"));
        assert_eq!(of("10.0.0.1", &["203.0.113.1, nonsense"]), None);
        assert_eq!(of("10.0.0.1", &[]), None);
        assert_eq!(of("10.0.0.1", &["10.0.0.3"]), None);
        let hops = vec!["10.0.0.1"; 100].join(",");
        assert_eq!(of("10.0.0.1", &["203.0.113.1", &hops]), None);
    }

    #[test]
    fn rfc_7239_is_read_as_well() {
        let of = |line: &str| asker(ForwardedBy::Forwarded, "10.0.0.1", &[line]);
        assert_eq!(of("for=192.0.2.43;proto=https").as_deref(), Some("192.0.2.43"));
        assert_eq!(of("by=10.0.0.1;For=\"[2001:db8:cafe::17]:4711\"").as_deref(), Some("2001:db8:cafe::17"));
        assert_eq!(of("for=192.0.2.43, for=198.51.100.17;by=203.0.113.60").as_deref(), Some("198.51.100.17"));
        assert_eq!(of("for=_hidden"), None);
        assert_eq!(of("proto=https"), None);
    }
}
