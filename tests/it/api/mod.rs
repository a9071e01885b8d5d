//! The HTTP API, a file per resource.

pub mod imports;
mod operations;
mod reading;
mod rules_http;
mod token;
mod user_data;
