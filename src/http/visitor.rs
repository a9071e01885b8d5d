//! Who stands before the door: the address that a request comes from, and the browser that it says it is.
//!
//! Knows nothing of accounts, nor of how an address is found out.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::address::client_address;
use super::auth::Gate;
use crate::accounts::Visitor;

/// The visitor behind a request.
pub(super) fn visitor(parts: &Parts, trusted: &[IpAddr]) -> Visitor {
    // Every connection has its peer's address; without one, all share the limits of one address, which errs on the safe side.
    let address = client_address(parts, trusted).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Visitor { address, agent: agent.to_owned() }
}

/// The visitor, for handlers that are open to all.
pub(crate) struct AtDoor(pub(crate) Visitor);

impl FromRequestParts<Gate> for AtDoor {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Infallible> {
        Ok(Self(gate.visitor(parts)))
    }
}
