//! Cookies: how one is set, read and taken back.
//!
//! Knows nothing of what is in them. Invariant: every cookie is `HttpOnly` and `SameSite=Lax`; with an `https` public
//! address it is `Secure` too, and its name begins with `__Host-` (or `__Secure-`, where it has a path of its own), so that
//! no neighbouring site can plant one.

use axum::http::{HeaderMap, HeaderValue, header};

/// One kind of cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookie {
    name: &'static str,
    path: &'static str,
}

/// Holds a session's id.
pub(crate) const SESSION: Cookie = Cookie { name: "rollcall_session", path: "/" };

impl Cookie {
    /// A cookie of this name for the paths below `path`.
    pub(crate) const fn new(name: &'static str, path: &'static str) -> Self {
        Self { name, path }
    }

    fn full_name(self, secure: bool) -> String {
        let prefix = match (secure, self.path) {
            (false, _) => "",
            (true, "/") => "__Host-",
            (true, _) => "__Secure-",
        };
        format!("{prefix}{}", self.name)
    }

    /// The `Set-Cookie` that sets it for some seconds; `value` must be made of letters, digits, `-`, `_` and `.`.
    pub(crate) fn set(self, value: &str, seconds: i64, secure: bool) -> HeaderValue {
        let name = self.full_name(secure);
        let attributes = format!("Path={}; Max-Age={seconds}; HttpOnly; SameSite=Lax", self.path);
        let text = format!("{name}={value}; {attributes}{}", if secure { "; Secure" } else { "" });
        // Such a value always makes a header; an empty one sets nothing.
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }

    /// The `Set-Cookie` that takes it back.
    pub(crate) fn clear(self, secure: bool) -> HeaderValue {
        self.set("", 0, secure)
    }

    /// Its value in a request.
    pub(crate) fn read(self, headers: &HeaderMap, secure: bool) -> Option<&str> {
        let name = self.full_name(secure);
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        all.flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, value)| *key == name && !value.is_empty())
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_set_with_its_flags_and_read_back() {
        assert_eq!(SESSION.set("abc", 60, false), "rollcall_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(
            SESSION.set("abc", 60, true),
            "__Host-rollcall_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        assert!(SESSION.clear(false).to_str().unwrap().starts_with("rollcall_session=; Path=/; Max-Age=0;"));
        let sent = |text: &str| HeaderMap::from_iter([(header::COOKIE, text.parse().unwrap())]);
        assert_eq!(SESSION.read(&sent("a=b; rollcall_session=abc; c=d"), false), Some("abc"));
        assert_eq!(SESSION.read(&sent("rollcall_session=abc"), true), None, "a cookie without the prefix was planted");
        assert_eq!(SESSION.read(&sent("__Host-rollcall_session=abc"), true), Some("abc"));
        assert_eq!(SESSION.read(&sent("xrollcall_session=abc; rollcall_session="), false), None);
        assert_eq!(
            Cookie::new("x", "/sso").set("a", 1, true),
            "__Secure-x=a; Path=/sso; Max-Age=1; HttpOnly; SameSite=Lax; Secure"
        );
    }
}
