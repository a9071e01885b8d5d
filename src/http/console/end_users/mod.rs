//! `/console/systems/{s}/end-users…`: one end user, and how to find one.
//!
//! | file | owns |
//! | --- | --- |
//! | `list` | finding one by identifier, or looking through them |
//! | `detail` | attributes by integration, segments with why and why not; unsetting and deleting |

pub(super) mod detail;
pub(super) mod list;

/// Where an end user's page is, below the path of the list. An identifier may hold anything.
pub(super) fn path_of(base: &str, id: &str) -> String {
    const PLAIN: &[u8] = b"-_.~@+:";
    let mut path = format!("{base}/");
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    // These two would be steps of the path.
    match id {
        "." | ".." => format!("{base}/{}", id.replace('.', "%2E")),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn an_identifier_is_one_step_of_a_path() {
        assert_eq!(path_of("/e", "ann@x.example"), "/e/ann@x.example");
        assert_eq!(path_of("/e", "a/b?c#d é%"), "/e/a%2Fb%3Fc%23d%20%C3%A9%25");
        assert_eq!(path_of("/e", ".."), "/e/%2E%2E");
    }
}
