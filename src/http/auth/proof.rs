//! Who sent a request, by what it shows: an access token, or the cookie of a session; and whether it comes from here.
//!
//! Knows nothing of what they may do. Invariant: a session's cookie changes nothing but from a page of this server.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::super::address::{FORWARDED_FOR, client_address};
use super::super::cookie;
use super::super::problem::{Kind, Problem};
use super::super::state::AppState;
use crate::accounts::{Actor, Principal, SignedIn};

/// Whether the request comes from this machine. Behind a proxy it does only when the proxy is trusted and says so:
/// a proxy on this machine must not make the whole world local.
pub(super) fn is_local(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> bool {
    let Some(peer) = peer.map(|ip| ip.to_canonical()) else { return false };
    if headers.contains_key(header::FORWARDED) {
        return false;
    }
    let mut forwarded = headers.get_all(FORWARDED_FOR).iter().peekable();
    if forwarded.peek().is_none() {
        return peer.is_loopback();
    }
    // Every hop that is named must be local: the first is what the client claims, the others are what proxies saw.
    trusted.contains(&peer)
        && forwarded.all(|value| {
            let hops = value.to_str().unwrap_or_default().split(',');
            hops.map(|hop| hop.trim().parse::<IpAddr>()).all(|hop| hop.is_ok_and(|ip| ip.to_canonical().is_loopback()))
        })
}

/// The token of `Authorization: Bearer`, if that is what was sent.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    let token = std::str::from_utf8(token).ok()?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim())
}

/// Who sends the request, and from where; 401 for who can't be told.
pub(super) fn identify(parts: &Parts, state: &AppState) -> Result<Actor, Problem> {
    let principal = authenticate(&parts.method, &parts.headers, state)?;
    Ok(Actor { principal, address: client_address(parts, &state.config.server.trusted_proxies) })
}

/// Who sent the request: the bearer of its access token, else the operator in whose session it is; 401 without either.
pub(super) fn authenticate(method: &Method, headers: &HeaderMap, state: &AppState) -> Result<Arc<Principal>, Problem> {
    if headers.contains_key(header::AUTHORIZATION) {
        return bearer(headers, state);
    }
    let signed_in = session(method, headers, state)?.ok_or_else(|| match session_id(headers, state) {
        Some(_) => Problem::logged_out(),
        None => Problem::unauthenticated(false),
    })?;
    if signed_in.lacks_second_factor {
        return Err(Problem::new(
            Kind::Forbidden,
            "every account here must have a second factor: set yours up first (POST /accounts/me/totp)",
        ));
    }
    Ok(signed_in.principal)
}

/// The bearer of the request's access token; 401 without a good one.
fn bearer(headers: &HeaderMap, state: &AppState) -> Result<Arc<Principal>, Problem> {
    let token = bearer_token(headers).ok_or_else(|| Problem::unauthenticated(false))?;
    state.accounts.authenticate(token).ok_or_else(|| {
        // The form of an integration token: the two are easily swapped.
        if token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Problem::unauthenticated(true).with_detail(
                "this is no access token; it looks like an integration token, which goes into the body as `token`",
            );
        }
        Problem::unauthenticated(true)
    })
}

fn session_id<'a>(headers: &'a HeaderMap, state: &AppState) -> Option<&'a str> {
    cookie::SESSION.read(headers, state.is_secure())
}

/// The session that the request's cookie stands for, if any. With one, a method that changes something is refused (403)
/// unless the page that sent it is one of ours.
pub(super) fn session(method: &Method, headers: &HeaderMap, state: &AppState) -> Result<Option<SignedIn>, Problem> {
    let Some(id) = session_id(headers, state) else { return Ok(None) };
    let Some(signed_in) = state.accounts.signed_in(id, &state.rules.live()) else { return Ok(None) };
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_safe && !is_own_origin(headers, &state.config.server.public_url) {
        return Err(Problem::foreign_origin());
    }
    Ok(Some(signed_in))
}

/// Whether the request says that it comes from a page of this server.
pub(in crate::http) fn is_own_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.next().is_some_and(|origin| origin.as_bytes() == public_url.as_bytes()) && origins.next().is_none()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_a_bearer_token_is_taken() {
        assert_eq!(bearer_token(&with("authorization", "Bearer abc")), Some("abc"));
        assert_eq!(bearer_token(&with("authorization", "bearer  abc ")), Some("abc"));
        assert_eq!(bearer_token(&with("authorization", "Basic abc")), None);
        assert_eq!(bearer_token(&with("authorization", "Bearer")), None);
        assert_eq!(bearer_token(&with("authorization", "Bearerabc")), None);
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }

    #[test]
    fn a_proxy_on_this_machine_does_not_make_the_world_local() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let remote: IpAddr = "203.0.113.9".parse().unwrap();
        let none = HeaderMap::new();
        assert!(is_local(Some(local), &none, &[]));
        assert!(is_local(Some("::ffff:127.0.0.1".parse().unwrap()), &none, &[]));
        assert!(is_local(Some("::1".parse().unwrap()), &none, &[]));
        assert!(!is_local(Some(remote), &none, &[]));
        assert!(!is_local(None, &none, &[]));
        let outside = with("x-forwarded-for", "203.0.113.9");
        assert!(!is_local(Some(local), &outside, &[]));
        assert!(!is_local(Some(local), &outside, &[local]));
        assert!(!is_local(Some(local), &with("x-forwarded-for", "127.0.0.1, 203.0.113.9"), &[local]));
        assert!(!is_local(Some(local), &with("forwarded", "for=127.0.0.1"), &[local]));
        let inside = with("x-forwarded-for", "127.0.0.1");
        assert!(is_local(Some(local), &inside, &[local]));
        assert!(!is_local(Some(local), &inside, &[]));
        assert!(!is_local(Some(remote), &inside, &[]));
    }

    #[test]
    fn only_ones_own_origin_is_ones_own() {
        let own = |origin: &str| is_own_origin(&with("origin", origin), "https://rollcall.example");
        assert!(own("https://rollcall.example"));
        for foreign in [
            "https://rollcall.example.evil",
            "https://rollcall.example:443",
            "http://rollcall.example",
            "https://rollcall.example/",
            "null",
            "",
        ] {
            assert!(!own(foreign), "{foreign}");
        }
        assert!(!is_own_origin(&HeaderMap::new(), "https://rollcall.example"));
        let mut twice = with("origin", "https://rollcall.example");
        twice.append("origin", HeaderValue::from_static("https://evil.example"));
        assert!(!is_own_origin(&twice, "https://rollcall.example"));
    }
}
