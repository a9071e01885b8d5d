//! What one value costs on its way in: the coercion table, over the values of the data set.
//!
//! `cargo bench --bench coercion`

mod timing;

use std::io;

use rollcall::cli::bench::dataset::{Cell, Column, EndUser, SEED};
use rollcall::model::{AttributeType, Input, Limits, Value};

/// End users whose values are coerced.
const ROWS: u64 = 1000;
/// The default limits.
const LIMITS: Limits = Limits { string_bytes: 1024 };

/// The texts of a column that are there.
fn texts(column: Column) -> Vec<String> {
    (0..ROWS)
        .map(|row| EndUser::new(SEED, row).cell(column))
        .filter(|cell| *cell != Cell::Missing)
        .map(|cell| cell.to_string())
        .collect()
}

/// The sum of what the values say, so that the work can't be left out and its result can be checked.
fn sum<'a>(inputs: impl Iterator<Item = Input<'a>>, kind: AttributeType) -> f64 {
    inputs
        .map(|input| match input.coerce(kind, LIMITS) {
            Ok(Value::Number(number)) => number,
            Ok(Value::Date(date)) => f64::from(date.days()),
            Ok(Value::String(text)) => text.len() as f64,
            Err(_) => f64::NAN,
        })
        .sum()
}

fn main() -> io::Result<()> {
    let cases = [
        ("a text to a string", Column::Company, false),
        ("a text to a number", Column::Mrr, false),
        ("a JSON number to a number", Column::Mrr, true),
        ("a timestamp to a date", Column::Signup, false),
    ];
    for (name, column, number) in cases {
        let (texts, kind) = (texts(column), column.kind());
        let inputs = || texts.iter().map(|text| if number { Input::Number(text) } else { Input::Text(text) });
        assert!(sum(inputs(), kind) > 0.0, "{name}: every value coerces");
        timing::measure(name, u32::try_from(texts.len()).unwrap_or(u32::MAX), || sum(inputs(), kind))?;
    }
    let texts = texts(Column::Mrr);
    let inputs = || texts.iter().map(|text| Input::Number(text));
    assert!(sum(inputs(), AttributeType::String) > 0.0, "every number has a text");
    timing::measure("a JSON number to a string", u32::try_from(texts.len()).unwrap_or(u32::MAX), || {
        sum(inputs(), AttributeType::String)
    })
}
