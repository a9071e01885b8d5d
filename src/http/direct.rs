//! The direct way: page loads and updates, which come by the thousand a second, are answered without the router.
//!
//! The router's boxes and extensions cost such a request about as much as its answer. So a request whose method and path
//! are plainly one of the two goes straight to the guard, the handler and the edge that it would meet behind the router.
//! All else takes the router, and so does whatever is unusual about the two, such as an escaped path.
//!
//! Knows nothing of what the two do. Invariant: both ways give the same answer, byte for byte (`tests/it/api/ways.rs`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use hyper::Request;

use super::api::{end_users, user_data};
use super::auth::{Gate, needs};
use super::edge::{Meter, Passage, RequestId};
use super::problem::Problem;
use super::server::{Front, ReadOn};
use super::state::AppState;

/// The update call's route.
const UPDATE: &str = "/public/v1/user/data";
/// The page load's route, as it is documented, counted and logged.
const PAGE_LOAD: &str = "/public/v1/systems/{s}/end-users/{id}/segments";

/// The whole server: both ways.
#[derive(Clone)]
pub struct Ways(Arc<Inner>);

struct Inner {
    gate: Gate,
    secure: bool,
    update: OnceLock<Meter>,
    page_load: OnceLock<Meter>,
    router: Router,
}

/// A request that goes the direct way.
#[derive(Debug, PartialEq, Eq)]
enum Direct<'a> {
    Update,
    PageLoad { system: &'a str, id: &'a str },
}

impl<'a> Direct<'a> {
    /// `None`: through the router.
    fn of(method: &Method, uri: &'a Uri) -> Option<Self> {
        let path = uri.path();
        match *method {
            // A request to a proxy.
            _ if uri.authority().is_some() => None,
            Method::POST => (path == UPDATE).then_some(Self::Update),
            Method::GET => {
                let (system, rest) = path.strip_prefix("/public/v1/systems/")?.split_once('/')?;
                let id = rest.strip_prefix("end-users/")?.strip_suffix("/segments")?;
                let plain = |part: &str| !part.is_empty() && !part.bytes().any(|byte| matches!(byte, b'/' | b'%'));
                (plain(system) && plain(id)).then_some(Self::PageLoad { system, id })
            }
            _ => None,
        }
    }
}

impl Ways {
    /// Both ways to these services.
    #[must_use]
    pub fn new(state: AppState) -> Self {
        let router = super::router(state.clone());
        let (secure, gate) = (state.is_secure(), Gate::new(state));
        let inner = Inner { gate, secure, update: OnceLock::new(), page_load: OnceLock::new(), router };
        Self(Arc::new(inner))
    }
}

impl Front for Ways {
    async fn answer(&self, request: Request<ReadOn>, peer: SocketAddr) -> Result<Response, Infallible> {
        let Inner { gate, secure, update, page_load, router } = &*self.0;
        let (parts, body) = request.into_parts();
        let (method, headers) = (&parts.method, &parts.headers);
        match Direct::of(method, &parts.uri) {
            Some(Direct::PageLoad { system, id }) => {
                let handler = pin!(async { answer_page_load(gate, headers, system, id).into_response() });
                Ok(Passage::begin(method, headers, *secure).through(PAGE_LOAD, page_load, handler).await)
            }
            Some(Direct::Update) => {
                let passage = Passage::begin(method, headers, *secure);
                let handler = pin!(async { answer_update(gate, headers, passage.id(), body).await.into_response() });
                Ok(passage.through(UPDATE, update, handler).await)
            }
            // In a box, so that a connection's future has no room for a router's.
            None => Box::pin(router.answer(Request::from_parts(parts, body), peer)).await,
        }
    }
}

fn answer_page_load(gate: &Gate, headers: &HeaderMap, system: &str, id: &str) -> Result<Response, Problem> {
    let (_, principal) = gate.caller(&Method::GET, headers)?;
    let (reader, rules) = gate.reader::<needs::EndUsersAndSegmentsRead>(&principal, system)?;
    end_users::page_load(&reader, &rules, id)
}

async fn answer_update(
    gate: &Gate,
    headers: &HeaderMap,
    id: &RequestId,
    body: ReadOn,
) -> Result<user_data::UpdateResponse, Problem> {
    let (state, principal) = gate.caller(&Method::POST, headers)?;
    user_data::receive(state, &principal, (headers, id.as_str()), body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plainly_one_of_the_two_goes_the_direct_way() {
        let load = |system, id| Some(Direct::PageLoad { system, id });
        for (method, path, way) in [
            (Method::POST, "/public/v1/user/data", Some(Direct::Update)),
            (Method::POST, "/public/v1/user/data?page=1", Some(Direct::Update)),
            (Method::POST, "http://here/public/v1/user/data", None),
            (Method::GET, "/public/v1/systems/shop/end-users/ann/segments", load("shop", "ann")),
            (Method::GET, "/public/v1/systems/x/end-users/end-users/segments", load("x", "end-users")),
            (Method::GET, "/public/v1/user/data", None),
            (Method::POST, "/public/v1/user/data/", None),
            (Method::HEAD, "/public/v1/systems/shop/end-users/ann/segments", None),
            (Method::GET, "/public/v1/systems/shop/end-users/a%20b/segments", None),
            (Method::GET, "/public/v1/systems/shop/end-users/a/b/segments", None),
            (Method::GET, "/public/v1/systems/a/b/end-users/ann/segments", None),
            (Method::GET, "/public/v1/systems//end-users/ann/segments", None),
            (Method::GET, "/public/v1/systems/shop/end-users//segments", None),
            (Method::GET, "/public/v1/systems/shop/end-users/segments", None),
            (Method::GET, "/public/v1/systems/shop/end-users/ann/segments/", None),
        ] {
            assert_eq!(Direct::of(&method, &path.parse().unwrap()), way, "{method} {path}");
        }
    }

    #[test]
    fn both_routes_are_in_the_document() {
        let document: serde_json::Value = serde_json::from_slice(&crate::http::router::document(false)).unwrap();
        assert!(document["paths"][UPDATE]["post"].is_object());
        assert!(document["paths"][PAGE_LOAD]["get"].is_object());
    }
}
