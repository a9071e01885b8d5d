//! `POST /public/v1/user/data`, the End User Update API.

mod coercion;
mod idempotency;
mod identifiers;
mod integration_tokens;
mod limits;
mod merge_and_replace;
mod paths;
mod payloads;
mod refusals;
