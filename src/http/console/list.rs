//! Lists: what is asked of them in the address, and the pages that they are shown in.
//!
//! Knows nothing of what is listed. Everything that a list is asked for stands in its address, so that it can be kept as a
//! bookmark and works without scripts.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::super::auth::Gate;
use super::form::Form;

/// Items of one page.
pub(in crate::http) const PER_PAGE: usize = 50;

/// What stands behind the `?` of the address.
pub(in crate::http) struct Asked(Form);

impl FromRequestParts<Gate> for Asked {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &Gate) -> Result<Self, Infallible> {
        Ok(Self(Form::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

impl std::ops::Deref for Asked {
    type Target = Form;
    fn deref(&self) -> &Form {
        &self.0
    }
}

impl Asked {
    /// The query with some fields put in the place of those of the same name; an empty value leaves one out.
    pub(in crate::http) fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = self.0.pairs().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        for (name, value) in kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// One page of a list.
pub(in crate::http) struct Paged<T> {
    /// Its items.
    pub(in crate::http) items: Vec<T>,
    /// Where it stands in the list.
    pub(in crate::http) pager: Pager,
}

/// Where a page stands in its list; `pager.html` shows it.
pub(in crate::http) struct Pager {
    /// "51 to 100 of 312"
    pub(in crate::http) words: String,
    /// The query of the page before.
    pub(in crate::http) back: Option<String>,
    /// The query of the page behind.
    pub(in crate::http) next: Option<String>,
}

impl<T> Paged<T> {
    /// The page that `page=` asks for, from 1; the last one where there are not so many.
    pub(in crate::http) fn of(all: Vec<T>, asked: &Asked) -> Self {
        let total = all.len();
        let pages = total.div_ceil(PER_PAGE).max(1);
        let page = asked.field("page").parse::<usize>().unwrap_or(1).clamp(1, pages);
        let from = (page - 1) * PER_PAGE;
        let items: Vec<T> = all.into_iter().skip(from).take(PER_PAGE).collect();
        let words = match (total, pages) {
            (0, _) => String::new(),
            (1, _) => "1 in all".to_owned(),
            (_, 1) => format!("{total} in all"),
            _ => format!("{} to {} of {total}", from + 1, from + items.len()),
        };
        let query = |page: usize| asked.with(&[("page", &page.to_string())]);
        let pager =
            Pager { words, back: (page > 1).then(|| query(page - 1)), next: (page < pages).then(|| query(page + 1)) };
        Self { items, pager }
    }
}

/// One of several things to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Choice {
    /// What is sent.
    pub(in crate::http) value: String,
    /// What is shown.
    pub(in crate::http) text: String,
    /// Whether it is chosen.
    pub(in crate::http) chosen: bool,
}

impl Choice {
    /// A choice; chosen if `chosen` is its value.
    pub(in crate::http) fn new(value: impl Into<String>, text: impl Into<String>, chosen: &str) -> Self {
        let value = value.into();
        Self { chosen: value == chosen, text: text.into(), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Asked {
        Asked(Form::parse(query.as_bytes()))
    }

    #[test]
    fn every_item_is_on_one_page() {
        let mut seen = Vec::new();
        let mut query = Some("q=a%26b&page=1".to_owned());
        while let Some(text) = query {
            let paged = Paged::of((0..120).collect::<Vec<_>>(), &asked(&text));
            seen.extend(paged.items);
            query = paged.pager.next;
            assert!(query.as_ref().is_none_or(|query| query.starts_with("q=a%26b&page=")), "{query:?}");
        }
        assert_eq!(seen, (0..120).collect::<Vec<_>>());
    }

    #[test]
    fn a_page_that_there_is_not_is_the_nearest_one() {
        let words = |query: &str, count: usize| Paged::of(vec![(); count], &asked(query)).pager.words;
        assert_eq!(words("page=9", 120), "101 to 120 of 120");
        assert_eq!(words("page=0", 120), "1 to 50 of 120");
        assert_eq!(words("page=x", 7), "7 in all");
        assert_eq!((words("", 0), words("", 1)), (String::new(), "1 in all".to_owned()));
    }
}
