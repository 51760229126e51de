//! Which cryptography TLS uses, which its libraries leave open.

/// Chooses it for this process, before a client is made. A second call finds what the first one chose.
pub(crate) fn choose_provider() {
    // Whoever built AUREN into a program of their own may have chosen another one; it serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
