//! The HTTP API, a file per resource.

mod operations;
mod reading;
mod rules_http;
mod token;
mod user_data;
