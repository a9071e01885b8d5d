//! HTTP: the API as callers meet it.
//!
//! | file | owns |
//! | --- | --- |
//! | `router` | the whole route table, and the OpenAPI document that follows from it |
//! | `direct` | the short way past the router for page loads and updates |
//! | `server` | connections: accepting, limits, deadlines, the graceful stop |
//! | `tls`, `socket`, `timer` | certificate and key, and again when they change; a stream that does not wait for ever; its timer |
//! | `edge` | what every request goes through: id, deadline, panics, headers, metrics, access log |
//! | `auth` | who asks and whether they may; no handler reaches a service but through it |
//! | `cookie` | how a cookie is set and read |
//! | `cors` | which page may read an answer |
//! | `address`, `visitor` | where a request comes from; the browser that it says it is |
//! | `body`, `page`, `rate` | request bodies, paging, `updates_per_second` |
//! | `turns` | long work: off the threads that answer, and not too much of it at once |
//! | `problem` | errors as `application/problem+json`; the only file that knows which error is which status |
//! | `console` | pages for people |
//! | `api` | one file a resource: a handler extracts, calls one service method, converts |
//! | `sdk` | the script that pages load |
//!
//! Refuses to know of the store, of Rhai and of how a value is coerced. Only this room knows status codes.

mod address;
mod api;
mod auth;
mod body;
mod console;
mod cookie;
mod cors;
mod direct;
mod edge;
mod page;
mod problem;
mod rate;
pub mod router;
pub mod server;
mod socket;
mod state;
mod timer;
mod tls;
mod turns;
mod visitor;

pub(crate) use api::tokens::read_nonsense as read_token_request;
pub use direct::Ways;
pub use router::router;
pub use server::serve;
pub use state::{AppState, Services};
pub use tls::{Tls, TlsError, check_tls};
