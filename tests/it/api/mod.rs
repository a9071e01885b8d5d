//! The HTTP API, a file per resource.

mod access_requests;
mod audit;
mod clients;
pub mod imports;
mod operations;
mod reading;
mod rules_http;
mod systems;
mod token;
mod user_data;
mod users;
