//! Forms: what a page of this server sends.
//!
//! Owns how fields are read. Knows nothing of what they mean, and of who sends them. Invariant: a form of another site's
//! page is never read.

use axum::extract::Request;

use super::super::auth::is_own_origin;
use super::super::body::{self, ADMIN_LIMIT};
use super::super::problem::Problem;

/// The field that says for which session a form was made.
pub(super) const TOKEN: &str = "form_token";

/// A form that was sent from one of our pages.
pub(in crate::http) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads it: 403 when another site's page sent it.
    pub(in crate::http) async fn read(request: Request, public_url: &str) -> Result<Self, Problem> {
        if !is_own_origin(request.headers(), public_url) {
            return Err(Problem::foreign_origin());
        }
        Ok(Self::parse(&body::read(request, ADMIN_LIMIT).await?))
    }

    /// Fields as forms send them.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Every field, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's text, without blanks around it; empty when there is none.
    pub(in crate::http) fn field(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field's text as it was sent: a password may begin with a blank.
    pub(in crate::http) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Every text that was sent under a name, in order: check boxes, rows of fields.
    pub(in crate::http) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field's text, if it has one.
    pub(in crate::http) fn some(&self, name: &str) -> Option<String> {
        Some(self.field(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Whether a check box was ticked.
    pub(in crate::http) fn ticked(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

#[cfg(test)]
impl Form {
    /// A form of these fields.
    pub(in crate::http::console) fn of(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}
