//! Where a request comes from, behind proxies that are trusted.
//!
//! Knows nothing of who asks. Invariant: an address is taken from `X-Forwarded-For` only as far as trusted proxies vouch
//! for it: nobody chooses their own.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

/// The header in which proxies put down whom they were called by, the nearest last.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of whoever sent the request; `None` where not even the connection's is known.
pub(crate) fn client_address(parts: &Parts, trusted: &[IpAddr]) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip();
    Some(behind_proxies(peer.to_canonical(), &parts.headers, trusted))
}

/// The nearest hop that is no trusted proxy.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let named: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().flat_map(|value| value.to_str().unwrap_or("").split(',')).collect();
    let mut nearest = peer;
    for hop in named.into_iter().rev() {
        if !trusted.iter().any(|proxy| proxy.to_canonical() == nearest) {
            break;
        }
        // What is no address was not put there by a proxy.
        let Some(address) = hop_address(hop.trim()) else { break };
        nearest = address;
    }
    nearest
}

/// `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse::<IpAddr>().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    bare.or_else(|| hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok()).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap())).collect();
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        behind_proxies(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn an_address_is_believed_as_far_as_trusted_proxies_vouch_for_it() {
        assert_eq!(told("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9", "nobody is trusted");
        assert_eq!(told("10.0.0.1", &["198.51.100.1"], &["10.0.0.1"]), "198.51.100.1");
        assert_eq!(told("10.0.0.1", &["1.1.1.1, 198.51.100.1"], &["10.0.0.1"]), "198.51.100.1", "the first is a claim");
        let two = ["10.0.0.1", "10.0.0.2"];
        assert_eq!(told("10.0.0.1", &["198.51.100.1, 10.0.0.2"], &two), "198.51.100.1");
        assert_eq!(told("10.0.0.1", &["198.51.100.1", "10.0.0.2"], &two), "198.51.100.1", "over two header lines");
        assert_eq!(told("10.0.0.1", &[], &two), "10.0.0.1");
        assert_eq!(told("10.0.0.1", &["unknown"], &two), "10.0.0.1");
        assert_eq!(told("10.0.0.1", &["198.51.100.1, unknown"], &two), "10.0.0.1");
        assert_eq!(told("10.0.0.1", &["198.51.100.1:80"], &two), "198.51.100.1");
        assert_eq!(told("10.0.0.1", &["[2001:db8::1]:80"], &two), "2001:db8::1");
    }
}
