//! How much one address may have at a time, and how often somebody was refused because of a limit.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What a connection or a request may run into before a route has seen it, or at a route's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Connections of one address.
    ConnectionsOfAddress,
    /// The time for TLS's handshake, or one that fails.
    TlsHandshake,
    /// The time for a request's head that has begun.
    Head,
    /// The time in which nothing came or went.
    Idle,
    /// Sockets and streams of the node.
    Sockets,
    /// Sockets and streams of one address.
    SocketsOfAddress,
}

impl Limit {
    const ALL: [Self; 6] =
        [Self::ConnectionsOfAddress, Self::TlsHandshake, Self::Head, Self::Idle, Self::Sockets, Self::SocketsOfAddress];

    /// As a metric's label names it.
    fn name(self) -> &'static str {
        match self {
            Self::ConnectionsOfAddress => "connections_per_address",
            Self::TlsHandshake => "tls_handshake",
            Self::Head => "head",
            Self::Idle => "idle",
            Self::Sockets => "sockets",
            Self::SocketsOfAddress => "sockets_per_address",
        }
    }
}

/// How often each limit was met.
#[derive(Debug, Default)]
pub(crate) struct Refusals([AtomicU64; Limit::ALL.len()]);

impl Refusals {
    pub(super) fn count(&self, limit: Limit) {
        if let Some(index) = Limit::ALL.iter().position(|one| *one == limit) {
            self.0[index].fetch_add(1, Relaxed);
        }
    }

    /// By name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Limit::ALL.iter().zip(&self.0).map(|(limit, count)| (limit.name(), count.load(Relaxed)))
    }
}

/// Places that an address may take, so many at a time.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// None where it is under no limit.
    address: Option<IpAddr>,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place for an address; none where it has all that it may. Who has no address is under no limit.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(network);
        if let Some(address) = address {
            let mut taken = self.taken();
            let own = taken.entry(address).or_default();
            if *own >= self.most {
                return None;
            }
            *own += 1;
        }
        Some(Place { places: Arc::clone(self), address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().expect("nobody panics while counting places")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&address);
            }
        }
    }
}

/// An address as limits know it: whoever has one IPv6 address has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let places = Places::new(2);
        let take = |address: &str| places.take(Some(address.parse().unwrap()));
        let (first, _second) = (take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").unwrap();
        drop(first);
        take("192.0.2.1").unwrap();
        let network = [take("2001:db8::1").unwrap(), take("2001:db8::2").unwrap()];
        assert!(take("2001:db8::3").is_none());
        take("2001:db8:0:1::3").unwrap();
        for _ in 0..10 {
            places.take(None).unwrap();
        }
        drop(network);
        assert_eq!(places.taken().len(), 2);
    }
}
