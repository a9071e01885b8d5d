//! Points in time on a page.
//!
//! The server shows them in UTC; with scripts, the browser shows them in the reader's zone.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::model::Timestamp;

/// A point in time, as HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Moment(Timestamp);

impl Moment {
    /// That point in time.
    pub(in crate::http) fn of(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `2026-05-01T12:34:56.789Z`
        let iso = self.0.to_string();
        let (day, time) = iso.split_once('T').unwrap_or((&iso, ""));
        let minutes = time.get(..5).unwrap_or_default();
        write!(f, "<time datetime=\"{iso}\">{day} {minutes} UTC</time>")
    }
}

// Digits and punctuation alone.
impl HtmlSafe for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_minute_and_kept_exact() {
        assert_eq!(
            Moment::of(Timestamp::from_millis(1_559_687_258_417)).to_string(),
            "<time datetime=\"2019-06-04T22:27:38.417Z\">2019-06-04 22:27 UTC</time>"
        );
    }
}
