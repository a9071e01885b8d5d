//! The header of a rule file: its first comment line is the segment's name, further ones the description.
//!
//! Only the leading run of `//` lines counts; blank lines may stand before it. Knows nothing of the rule itself.

/// The name and the description; no name when the file begins without a comment.
pub(super) fn read(text: &str) -> (Option<String>, String) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .skip_while(|line| line.trim().is_empty())
        .map_while(|line| line.trim_start().strip_prefix("//"))
        .map(|line| line.trim_start_matches('/').trim())
        .fuse();
    let name = lines.next().filter(|name| !name.is_empty()).map(str::to_owned);
    let description = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
    (name, description)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_first_comment_line_names_and_the_rest_describe() {
        let (name, description) = read("\n// Premium customers\n//  Paying,\n// with many seats.\n\n// no more\ntrue");
        assert_eq!(name.as_deref(), Some("Premium customers"));
        assert_eq!(description, "Paying,\nwith many seats.");
        assert_eq!(read("true // not a header\n// nor this"), (None, String::new()));
        assert_eq!(read("//\n// text\ntrue"), (None, "text".to_owned()));
        assert_eq!(read(""), (None, String::new()));
    }
}
