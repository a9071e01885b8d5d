//! A difference in words: a table for people, Markdown for a pull request, mistakes with their lines.
//!
//! Compares nothing. Invariant: Markdown shows every name as it is, and names no end user.

use std::fmt::Write as _;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use super::{SegmentDiff, State, SystemDiff};
use crate::ruleset::FileChange;

/// Each mistake on a line that editors can jump from, its hint below it.
pub(super) fn findings(root: &Path, systems: &[SystemDiff]) -> String {
    let mut text = String::new();
    for found in systems.iter().flat_map(|system| &system.errors) {
        let (line, column) = (found.line.max(1), found.column.max(1));
        let _ = writeln!(text, "{}:{line}:{column}: {}", root.join(&found.file).display(), found.message);
        if let Some(hint) = &found.hint {
            let _ = writeln!(text, "    {}", hint.replace('\n', "\n    "));
        }
    }
    text
}

/// What a system comes to, in words.
fn in_words(system: &SystemDiff) -> String {
    let files = match system.files.len() {
        1 => "1 file differs".to_owned(),
        count => format!("{count} files differ"),
    };
    match system.state {
        _ if !system.errors.is_empty() => {
            let count = system.errors.len();
            format!("does not load: {count} error{}", if count == 1 { "" } else { "s" })
        }
        State::Same => "no difference".to_owned(),
        State::New => "not on the server yet".to_owned(),
        State::Gone => "would be gone: the rules folder lacks it".to_owned(),
        State::Changed if system.segments.is_empty() => format!("{files}, nobody would enter or leave a segment"),
        State::Changed => files,
    }
}

/// The cells of a segment: id, before, after, enters, leaves, moved.
fn cells(segment: &SegmentDiff) -> [String; 6] {
    let count = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
    let moved = match segment.moved {
        None => "new".to_owned(),
        Some(f64::MAX) => "from none".to_owned(),
        Some(moved) => format!("{moved:.1}%"),
    };
    [
        segment.id.clone(),
        count(segment.before),
        count(segment.after),
        format!("+{}", segment.enters),
        format!("-{}", segment.leaves),
        if segment.over { format!("{moved} !") } else { moved },
    ]
}

const HEADER: [&str; 6] = ["Segment", "Before", "After", "Enter", "Leave", "Moved"];

pub(super) fn human(systems: &[SystemDiff], fail_over: Option<f64>) -> String {
    let mut text = String::new();
    for system in systems {
        let _ = writeln!(text, "{}: {}", system.system, in_words(system));
        if system.segments.is_empty() {
            continue;
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(HEADER);
        system.segments.iter().for_each(|segment| {
            table.add_row(cells(segment));
        });
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(text, "{}", table.trim_fmt());
        for segment in &system.segments {
            for (who, ids) in [("enter", &segment.sample_enters), ("leave", &segment.sample_leaves)] {
                if !ids.is_empty() {
                    let _ = writeln!(text, "  would {who} {}: {}", segment.id, ids.join(", "));
                }
            }
            if let Some(errors) = segment.errors.filter(|errors| *errors > 0) {
                let _ = writeln!(text, "  {}: the rule fails for {errors} end users", segment.id);
            }
        }
    }
    if let (Some(limit), Some(over)) = (fail_over, over(systems)) {
        let _ = writeln!(text, "over the limit of {limit}%: {over}");
    }
    text
}

/// The segments that are over the limit, listed.
fn over(systems: &[SystemDiff]) -> Option<String> {
    let over = systems.iter().flat_map(|system| {
        system.segments.iter().filter(|segment| segment.over).map(|segment| format!("{}/{}", system.system, segment.id))
    });
    let over: Vec<String> = over.collect();
    (!over.is_empty()).then(|| over.join(", "))
}

pub(super) fn markdown(root: &Path, systems: &[SystemDiff], fail_over: Option<f64>) -> String {
    let mut text = "## What these rules would change\n".to_owned();
    if let (Some(limit), Some(over)) = (fail_over, over(systems)) {
        let _ = writeln!(text, "\n> **Over the limit of {limit}%:** {}", escaped(&over));
    }
    for system in systems {
        let _ = writeln!(text, "\n### `{}`\n\n{}", system.system, in_words(system));
        for found in &system.errors {
            let place = format!("{}:{}:{}", root.join(&found.file).display(), found.line.max(1), found.column.max(1));
            let hint = found.hint.as_ref().map(|hint| format!(" ({})", escaped(hint))).unwrap_or_default();
            let _ = write!(text, "\n- `{place}` {}{hint}", escaped(&found.message));
        }
        if !system.segments.is_empty() {
            let _ = writeln!(text, "\n| {} |\n| --- | ---: | ---: | ---: | ---: | ---: |", HEADER.join(" | "));
        }
        for segment in &system.segments {
            let cells = cells(segment).map(|cell| escaped(&cell));
            let row = cells.join(" | ");
            let _ = writeln!(text, "| {} |", if segment.over { row.replace(" !", " **!**") } else { row });
        }
        if !system.files.is_empty() {
            let _ = writeln!(text, "\n<details><summary>Files</summary>\n");
            for (path, change) in &system.files {
                let what = match change {
                    FileChange::Added => "added",
                    FileChange::Changed => "changed",
                    FileChange::Removed => "removed",
                };
                let _ = writeln!(text, "- `{path}` {what}");
            }
            let _ = writeln!(text, "\n</details>");
        } else if !system.errors.is_empty() {
            text.push('\n');
        }
    }
    text
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '_' | '[' | ']' | '\\' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Finding;
    use super::super::tests::segment;
    use super::*;

    fn systems() -> Vec<SystemDiff> {
        let mut changed = SystemDiff::new(
            "default",
            State::Changed,
            BTreeMap::from([("segments/a.rhai".to_owned(), FileChange::Changed)]),
        );
        changed.segments = vec![segment("premium", Some(100), Some(90), 2, 12), segment("new", None, Some(3), 3, 0)];
        let mut broken = SystemDiff::new("other", State::Changed, BTreeMap::new());
        broken.errors.push(Finding {
            file: "other/segments/b.rhai".to_owned(),
            line: 3,
            column: 0,
            message: "no | <b>".to_owned(),
            hint: None,
        });
        vec![changed, broken, SystemDiff::new("old", State::Gone, BTreeMap::new())]
    }

    #[test]
    fn people_get_a_table_and_the_mistakes() {
        let text = human(&systems(), Some(5.0));
        assert!(text.starts_with("default: 1 file differs\n"), "{text}");
        let row = text.lines().find(|line| line.starts_with(" premium")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["premium", "100", "90", "+2", "-12", "14.0%", "!"]);
        assert!(
            text.contains("would enter premium: ann") && text.contains("other: does not load: 1 error\n"),
            "{text}"
        );
        assert!(text.ends_with("over the limit of 5%: default/premium\n"), "{text}");
        assert_eq!(findings(Path::new("r"), &systems()), "r/other/segments/b.rhai:3:1: no | <b>\n");
    }

    #[test]
    fn markdown_is_a_table_and_escaped() {
        let text = markdown(Path::new("r"), &systems(), Some(5.0));
        assert!(
            text.contains("| premium | 100 | 90 | +2 | -12 | 14.0% **!** |\n| new | – | 3 | +3 | -0 | new |"),
            "{text}"
        );
        assert!(text.contains("- `r/other/segments/b.rhai:3:1` no \\| &lt;b&gt;"), "{text}");
        assert!(text.contains("> **Over the limit of 5%:** default/premium"), "{text}");
        assert!(!text.contains("ann"), "nobody is named: {text}");
    }
}
