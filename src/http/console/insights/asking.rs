//! What is asked of Insights: the query of its address, read and written.

use axum::extract::RawQuery;
use form_urlencoded::Serializer;
use serde_json::Value as Json;

use crate::http::problem::{Kind, Problem};

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asking {
    /// A condition as JSON; empty: none.
    pub(super) condition: String,
    /// A rule; empty: none. Not beside a condition.
    pub(super) rule: String,
    /// The attributes that are columns; empty: some.
    pub(super) select: Vec<String>,
    /// The saved filter that this began as; empty: none.
    pub(super) filter: String,
    /// Where in the table; empty: at its start.
    pub(super) cursor: String,
    /// Whether values are drawn.
    pub(super) charts: bool,
    /// The form of an export.
    pub(super) form: String,
}

impl Asking {
    /// Reads it. What is not known is passed over.
    pub(super) fn read(RawQuery(query): &RawQuery) -> Self {
        let mut asking = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "where" => asking.condition = value,
                // Browsers send line ends of their own.
                "rule" => asking.rule = value.replace("\r\n", "\n"),
                "select" if !value.is_empty() && !asking.select.contains(&value) => asking.select.push(value),
                "filter" => asking.filter = value,
                "cursor" => asking.cursor = value,
                "charts" => asking.charts = true,
                "form" => asking.form = value,
                _ => {}
            }
        }
        if asking.rule.trim().is_empty() {
            asking.rule.clear();
        }
        asking
    }

    /// The address with the part of the table that begins at a cursor.
    pub(super) fn address(&self, path: &str, cursor: &str, more: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("where", &self.condition), ("rule", &self.rule), ("filter", &self.filter)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        for one in &self.select {
            query.append_pair("select", one);
        }
        if !cursor.is_empty() {
            query.append_pair("cursor", cursor);
        }
        for (name, value) in more {
            query.append_pair(name, value);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// The condition, if there is one; 400 for what is no JSON.
    pub(super) fn json(&self) -> Result<Option<Json>, Problem> {
        if self.condition.is_empty() {
            return Ok(None);
        }
        let json = serde_json::from_str(&self.condition);
        json.map(Some)
            .map_err(|error| Problem::new(Kind::Malformed, format!("the filter in the address is no JSON: {error}")))
    }

    /// The rule, if there is one.
    pub(super) fn rule(&self) -> Option<String> {
        Some(self.rule.clone()).filter(|rule| !rule.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Asking {
        Asking::read(&RawQuery(Some(query.to_owned())))
    }

    #[test]
    fn what_is_asked_survives_the_address() {
        let asking = read("where=%7B%22all%22%3A%5B%5D%7D&select=crm.A&select=crm.B&select=crm.A&x=1&cursor=abc");
        assert_eq!(asking.select, ["crm.A", "crm.B"]);
        assert_eq!(asking.json().unwrap().unwrap(), serde_json::json!({ "all": [] }));
        let again = read(asking.address("/i", "abc", &[]).split_once('?').unwrap().1);
        assert_eq!(again, asking);
        assert_eq!(Asking::default().address("/i", "", &[]), "/i");
        assert_eq!(read("rule=%20%0D%0A").rule(), None);
        assert!(read("where=x").json().is_err());
    }
}
