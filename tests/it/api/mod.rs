//! The HTTP API, a file per resource.

mod access_requests;
mod audit;
mod clients;
pub mod imports;
mod operations;
mod previews;
mod reading;
mod reading_events;
mod reading_export;
mod reading_filters;
mod reading_queries;
mod reading_segments;
mod rules_http;
mod systems;
mod token;
mod user_data;
mod users;
mod ways;
