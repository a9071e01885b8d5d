//! Who stands before the door: the address that a request comes from, and the browser that it says it is.
//!
//! Knows nothing of accounts. Invariant: `X-Forwarded-For` counts as far as trusted proxies wrote it, and no further: what
//! a caller claims about itself moves no failure to another address.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, header};

use super::auth::Gate;
use crate::accounts::Visitor;

/// The header by which proxies name who called them.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The visitor behind a request.
pub(super) fn visitor(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpAddr]) -> Visitor {
    // Every connection has its peer's address; without one, all share the limits of one address, which errs on the safe side.
    let peer =
        extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Visitor { address: address(peer, headers, trusted), agent: agent.to_owned() }
}

/// The address of the first hop, seen from here, that is no trusted proxy.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|known| known.to_canonical() == *address);
    let mut nearest = peer.to_canonical();
    let values: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        if !is_trusted(&nearest) {
            break;
        }
        // What is no address was written by nobody to be trusted.
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

/// The visitor, for handlers that are open to all.
pub(crate) struct AtDoor(pub(crate) Visitor);

impl FromRequestParts<Gate> for AtDoor {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Infallible> {
        Ok(Self(gate.visitor(parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let inner: IpAddr = "10.0.0.2".parse().unwrap();
        let seen = |peer: &str, forwarded: &[&str], trusted: &[IpAddr]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            address(peer.parse().unwrap(), &headers, trusted).to_string()
        };
        assert_eq!(seen("203.0.113.9", &["1.1.1.1"], &[proxy]), "203.0.113.9", "a stranger's claim");
        assert_eq!(
            seen("10.0.0.1", &["1.1.1.1, 203.0.113.9"], &[proxy]),
            "203.0.113.9",
            "the last hop before the proxy"
        );
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.0.0.2"], &[proxy, inner]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9:80"], &[proxy]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::1]:80"], &[proxy]), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, unknown"], &[proxy]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[], &[proxy]), "10.0.0.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9"], &[proxy]), "203.0.113.9");
    }
}
