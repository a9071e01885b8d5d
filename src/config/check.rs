//! What a single value must look like: addresses, URLs, names.
//!
//! Owns the grammar of values and the words for a value that fails it. Knows neither keys nor places.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

/// What is wrong with a value, and how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// A value, or what is wrong with it.
pub(super) type Judged<T> = Result<T, Wrong>;

pub(super) fn wrong<T>(message: impl Into<String>, hint: impl Into<Option<String>>) -> Judged<T> {
    Err(Wrong { message: message.into(), hint: hint.into() })
}

/// An IP address and a port.
pub(super) fn address(text: &str) -> Judged<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let meant = match text.rsplit_once(':') {
        Some(("localhost", port)) => Some(format!("127.0.0.1:{port}")),
        Some(("" | "*", port)) => Some(format!("0.0.0.0:{port}")),
        None if text.parse::<u16>().is_ok() => Some(format!("127.0.0.1:{text}")),
        None if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => Some(format!("{text}:8080")),
        _ => None,
    };
    let hint = match meant.filter(|m| m.parse::<SocketAddr>().is_ok()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "write an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:80` or `[::1]:8080`".to_owned(),
    };
    wrong(format!("`{text}` is no address and port"), hint)
}

/// One IP address.
pub(super) fn ip(text: &str) -> Judged<IpAddr> {
    let hint = match text.split_once('/') {
        Some((start, _)) if start.parse::<IpAddr>().is_ok() => "ranges are not known here: list each address",
        _ => "write an IP address, such as `10.0.0.7` or `::1`",
    };
    text.parse().or_else(|_| wrong(format!("`{text}` is no IP address"), hint.to_owned()))
}

/// Scheme, host and port of an `http` or `https` URL, as a browser sends them in `Origin`.
///
/// A path is refused on purpose: links are made by adding to this text, and it is compared with `Origin`.
pub(super) fn origin(text: &str, trailing_slash: bool) -> Judged<String> {
    let Ok(url) = Url::parse(text) else {
        let meant = format!("https://{text}");
        let hint = match Url::parse(&meant) {
            Ok(url) if !text.contains("://") && !text.contains('*') && url.has_host() => {
                format!("did you mean `{}`?", url.origin().ascii_serialization())
            }
            _ => "write scheme and host, such as `https://app.example`".to_owned(),
        };
        return wrong(format!("`{text}` is no URL"), hint);
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong(format!("`{text}` is neither an http nor an https URL"), None);
    }
    if url.port() == Some(0) {
        return wrong(format!("`{text}` has port 0"), "name the port that callers use".to_owned());
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return wrong(format!("`{text}` has a wildcard"), "list each origin".to_owned());
    }
    let origin = url.origin().ascii_serialization();
    let given = if trailing_slash { text.strip_suffix('/').unwrap_or(text) } else { text };
    if given == origin {
        return Ok(origin);
    }
    wrong(
        format!("`{text}` is more than scheme, host and port, or not in their plain form"),
        format!("write `{origin}`"),
    )
}

/// An origin whose pages may ask, or `*` for any: a page proves by more than its origin whom it asks about.
pub(super) fn page_origin(text: &str) -> Judged<String> {
    if text == "*" { Ok(text.to_owned()) } else { origin(text, false) }
}

/// An `https` URL (or `http`, for a provider on the same machine) without query and fragment.
pub(super) fn issuer(text: &str) -> Judged<String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none() => {
            Ok(text.to_owned())
        }
        _ => wrong(
            format!("`{text}` is no issuer URL"),
            "write it as the provider shows it, such as `https://idp.example`, without `?` and `#`".to_owned(),
        ),
    }
}

/// One segment of a URL's path.
pub(super) fn path_segment(text: &str) -> Judged<String> {
    let good = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !matches!(text, "." | "..");
    if good {
        return Ok(text.to_owned());
    }
    wrong(
        format!("`{text}` can't be a part of a URL's path"),
        "use 1 to 64 letters, digits, `-`, `_` or `.`".to_owned(),
    )
}

/// The name of an environment variable.
pub(super) fn variable_name(text: &str) -> Judged<String> {
    let good = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        return Ok(text.to_owned());
    }
    // The text is not shown: what stands here by mistake is most likely the secret itself.
    wrong(
        "this is no name of an environment variable",
        "put the secret into a variable, and the variable's name here, such as `ROLLCALL_SSO_SECRET`".to_owned(),
    )
}

/// Text that is there and fits on a line.
pub(super) fn line(text: &str) -> Judged<String> {
    if text.trim().is_empty() {
        return wrong("is empty", None);
    }
    if text.chars().any(char::is_control) {
        return wrong("has a line break or another control character", None);
    }
    Ok(text.to_owned())
}

/// A mail server's name or address.
pub(super) fn host(text: &str) -> Judged<String> {
    let good = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'_'));
    let with_port = text.matches(':').count() == 1;
    match good {
        true if with_port => wrong(format!("`{text}` has a port"), "set the port with `port`".to_owned()),
        true => Ok(text.to_owned()),
        false => wrong(format!("`{text}` is no host name"), "such as `smtp.example`".to_owned()),
    }
}

/// A sender: `name@host`, or `Name <name@host>`.
pub(super) fn mailbox(text: &str) -> Judged<String> {
    let address = match text.trim_end().strip_suffix('>') {
        Some(start) => start.rsplit_once('<').map_or("", |(_, address)| address),
        None => text,
    };
    let good = line(text).is_ok()
        && address
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !address.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';'));
    if good {
        return Ok(text.to_owned());
    }
    wrong(format!("`{text}` is no sender"), "write `Rollcall <rollcall@example.org>`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint<T: std::fmt::Debug>(judged: Judged<T>) -> String {
        judged.unwrap_err().hint.unwrap_or_default()
    }

    #[test]
    fn near_misses_of_an_address_are_put_right() {
        assert_eq!(hint(address("localhost:9000")), "did you mean `127.0.0.1:9000`?");
        assert_eq!(hint(address(":80")), "did you mean `0.0.0.0:80`?");
        assert_eq!(hint(address("8080")), "did you mean `127.0.0.1:8080`?");
        assert_eq!(hint(address("10.0.0.1")), "did you mean `10.0.0.1:8080`?");
        assert!(hint(address("localhost:99999")).starts_with("write an IP address"));
        assert!(address("[::1]:8080").is_ok());
    }

    #[test]
    fn origin_is_scheme_host_and_port_alone() {
        assert_eq!(origin("https://app.example", false).unwrap(), "https://app.example");
        assert_eq!(origin("http://127.0.0.1:8080/", true).unwrap(), "http://127.0.0.1:8080");
        assert_eq!(hint(origin("http://127.0.0.1:8080/", false)), "write `http://127.0.0.1:8080`");
        assert_eq!(hint(origin("https://App.example:443/x?y", true)), "write `https://app.example`");
        assert_eq!(hint(origin("app.example", true)), "did you mean `https://app.example`?");
        assert_eq!(hint(origin("https://*.example", true)), "list each origin");
        assert!(hint(origin("*", true)).starts_with("write scheme and host"));
        assert_eq!(page_origin("*").unwrap(), "*");
        assert_eq!(hint(page_origin("https://*.example")), "list each origin");
        assert_eq!(hint(page_origin("https://a.example/")), "write `https://a.example`");
        for bad in ["ftp://a.example", "http://a.example:0", "", "http://user@a.example"] {
            assert!(origin(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn range_of_proxies_is_refused_with_a_reason() {
        assert!(hint(ip("10.0.0.0/8")).starts_with("ranges"));
        assert!(hint(ip("proxy")).starts_with("write an IP"));
    }

    #[test]
    fn secret_in_place_of_a_variable_name_is_not_repeated() {
        let wrong = variable_name("s3cret-p4ss!").unwrap_err();
        assert!(!format!("{wrong:?}").contains("s3cret"));
        assert!(variable_name("SMTP_PASSWORD").is_ok());
    }

    #[test]
    fn sender_has_one_address() {
        for good in ["a@b", "Rollcall <rollcall@localhost>"] {
            assert!(mailbox(good).is_ok(), "{good}");
        }
        for bad in ["", "rollcall", "Rollcall <rollcall>", "a@b\r\nBcc: c@d", "a@b, c@d", "@b", "a@"] {
            assert!(mailbox(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn mail_host_has_no_port_and_no_scheme() {
        assert!(host("smtp.example").is_ok());
        assert!(host("::1").is_ok());
        assert_eq!(hint(host("smtp.example:25")), "set the port with `port`");
        assert!(host("smtp://x").is_err());
        assert!(host("").is_err());
    }
}
