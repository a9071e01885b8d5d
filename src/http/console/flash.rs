//! What is said on the next page after a form: "Saved."
//!
//! It travels in a cookie of the browser, so that the page after the redirect needs no memory of the server and a reload
//! says it no more. It is shown as text; nothing is done because of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::cookie::Cookie;

/// The cookie that holds it until the next page.
pub(super) const FLASH: Cookie = Cookie::new("rollcall_said", "/console");
/// Seconds until nobody wants to know any more.
pub(super) const FLASH_S: i64 = 60;
/// Most characters: a cookie is small.
const MAX: usize = 1_000;

/// How something went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Flash {
    /// Whether it was done.
    pub(super) good: bool,
    /// What is said.
    pub(super) text: String,
}

impl Flash {
    /// It was done.
    pub(in crate::http) fn good(text: impl Into<String>) -> Self {
        Self { good: true, text: text.into() }
    }
    /// It was not, or not all of it.
    pub(in crate::http) fn bad(text: impl Into<String>) -> Self {
        Self { good: false, text: text.into() }
    }

    pub(super) fn to_cookie(&self) -> String {
        let text: String = self.text.chars().take(MAX).collect();
        URL_SAFE_NO_PAD.encode(format!("{}{text}", if self.good { '+' } else { '-' }))
    }

    pub(super) fn from_cookie(value: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
        let good = text.starts_with('+');
        Some(Self { good, text: text.get(1..)?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_survives_the_cookie() {
        for flash in [Flash::good("Saved <b>é</b>; really."), Flash::bad("")] {
            let value = flash.to_cookie();
            assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{value}");
            assert_eq!(Flash::from_cookie(&value), Some(flash));
        }
        assert_eq!(Flash::from_cookie("é"), None);
        assert_eq!(Flash::from_cookie(""), None);
        assert!(Flash::good("ä".repeat(5000)).to_cookie().len() < 3_000);
    }
}
