//! The first rows of a pasted CSV text, read as a file would be.

use super::cells::Splitter;
use super::rows::{Block, Rows};

/// Most rows that are looked at, the header among them.
const MOST: usize = 1_000;

/// The rows' cells, the header's first; wholly empty rows are left out.
///
/// # Errors
/// What is wrong, and how to mend it.
pub(crate) fn sample(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Rows::from_start(text.as_bytes()).map_err(|error| error.to_string())?;
    let (mut block, mut splitter, mut found) = (Block::default(), Splitter::default(), Vec::new());
    while found.len() < MOST && rows.fill(&mut block).map_err(|error| error.to_string())? {
        for row in block.rows().take(MOST - found.len()) {
            let line = row.bytes.and_then(|bytes| str::from_utf8(bytes).ok());
            let line = line.ok_or_else(|| format!("row {} is too long", row.number))?;
            // What is copied from a spreadsheet has tabs.
            let cells: Vec<String> = if line.contains('\t') && !line.contains(',') {
                line.split('\t').map(str::to_owned).collect()
            } else {
                let bad = |at: usize| format!("row {}: a quote is misplaced in column {}", row.number, at + 1);
                splitter.split(line).map_err(|wrong| bad(wrong.0))?.iter().map(str::to_owned).collect()
            };
            if cells.iter().any(|cell| !cell.is_empty()) {
                found.push(cells);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::sample;

    #[test]
    fn rows_are_read_as_a_file_is() {
        let read = sample("\u{feff}Email,\"Full, name\"\r\na@b.c,\"Ann \"\"A\"\"\"\n,\n\nx,y\n").unwrap();
        assert_eq!(read, [["Email", "Full, name"], ["a@b.c", "Ann \"A\""], ["x", "y"]]);
        assert_eq!(sample("Email\tSeats\na\t5").unwrap(), [["Email", "Seats"], ["a", "5"]]);
        assert!(sample("a,b\n\"x,y").unwrap_err().contains("never closed"));
        assert!(sample("a,b\nx\"y\",z").unwrap_err().contains("row 2: a quote is misplaced in column 1"));
        assert_eq!(sample("").unwrap(), Vec::<Vec<String>>::new());
    }
}
