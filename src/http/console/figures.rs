//! Figures on a page: counts in words of digits, and what is better drawn, as SVG made here.
//!
//! Knows nothing of what is counted. Invariant: a drawing is of numbers and dates alone, sizes itself, needs no style of
//! its own, and what it shows also stands beside it as text or in its titles.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::model::Timestamp;

/// A count with its thousands apart: `1,234,567`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 record`, `2 records`.
pub(super) fn of(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A share of a whole, in percent of one decimal.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    format!("{:.1} %", 100.0 * ratio(part, whole))
}

#[expect(clippy::cast_precision_loss, reason = "a drawing has fewer places than a double")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Every n-th of the points, so that not many more than `most` are left; always the last, which is what is so now.
fn thinned(counts: &[(Timestamp, u64)], most: usize) -> Vec<(Timestamp, u64)> {
    let step = counts.len().div_ceil(most).max(1);
    let mut thin: Vec<_> = counts.iter().rev().step_by(step).copied().collect();
    thin.reverse();
    thin
}

/// A count over time as a small line.
pub(super) struct Spark(Vec<(Timestamp, u64)>);

impl Spark {
    const WIDTH: f64 = 96.0;
    const HEIGHT: f64 = 26.0;

    /// Most points of a line this small.
    const POINTS: usize = 60;

    /// Of counts, the oldest first.
    pub(super) fn new(counts: impl AsRef<[(Timestamp, u64)]>) -> Self {
        Self(thinned(counts.as_ref(), Self::POINTS))
    }

    /// Whether there is anything to draw.
    pub(super) fn is_drawn(&self) -> bool {
        self.0.len() > 1
    }

    fn points(&self, width: f64, height: f64) -> String {
        let counts = self.0.iter().map(|(_, count)| *count);
        let (low, high) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
        let (first, last) = (self.0.first(), self.0.last());
        let since = first.map_or(0, |(at, _)| at.as_millis());
        let span = last.map_or(0, |(at, _)| at.as_millis()) - since;
        let mut points = String::new();
        for (at, count) in &self.0 {
            let across = ratio(u64::try_from(at.as_millis() - since).unwrap_or(0), u64::try_from(span).unwrap_or(0));
            // What never changes is a line in the middle.
            let up = if low == high { 0.5 } else { ratio(count - low, high - low) };
            let mark = if points.is_empty() { 'M' } else { 'L' };
            let (x, y) = (across * width, (1.0 - up) * (height - 4.0) + 2.0);
            points.push_str(&format!("{mark}{x:.1} {y:.1}"));
        }
        points
    }
}

impl fmt::Display for Spark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_drawn() {
            return Ok(());
        }
        let (width, height) = (Self::WIDTH, Self::HEIGHT);
        let points = self.points(width, height);
        write!(
            f,
            "<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <path class=\"under\" d=\"{points}L{width} {height}L0 {height}Z\"/><path d=\"{points}\"/></svg>"
        )
    }
}

/// A count over time with its ends told, for a page of its own.
pub(super) struct Course {
    spark: Spark,
}

impl Course {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 120.0;
    const POINTS: usize = 300;

    /// Of counts, the oldest first.
    pub(super) fn new(counts: &[(Timestamp, u64)]) -> Self {
        Self { spark: Spark(thinned(counts, Self::POINTS)) }
    }

    /// Whether there is anything to draw.
    pub(super) fn is_drawn(&self) -> bool {
        self.spark.is_drawn()
    }

    /// The smallest and the largest count.
    pub(super) fn ends(&self) -> (String, String) {
        let counts = self.spark.0.iter().map(|(_, count)| *count);
        (grouped(counts.clone().min().unwrap_or(0)), grouped(counts.max().unwrap_or(0)))
    }

    /// The first and the last day.
    pub(super) fn days(&self) -> (String, String) {
        let day = |at: Option<&(Timestamp, u64)>| {
            at.map(|(at, _)| at.to_string().chars().take(10).collect()).unwrap_or_default()
        };
        (day(self.spark.0.first()), day(self.spark.0.last()))
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = (Self::WIDTH, Self::HEIGHT);
        let points = self.spark.points(width, height);
        let ((low, high), (first, last)) = (self.ends(), self.days());
        write!(
            f,
            "<svg class=\"spark long\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"From {first} to {last}, between {low} and {high}\">\
             <path class=\"under\" d=\"{points}L{width} {height}L0 {height}Z\"/><path d=\"{points}\"/></svg>"
        )
    }
}

/// A part of a whole as a bar.
pub(super) struct Bar(f64);

impl Bar {
    /// That part of that whole.
    pub(super) fn new(part: u64, whole: u64) -> Self {
        Self(100.0 * ratio(part, whole))
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<svg class=\"meter\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
             <rect class=\"room\" width=\"100\" height=\"8\"/><rect width=\"{:.2}\" height=\"8\"/></svg>",
            self.0
        )
    }
}

/// Counts side by side.
pub(super) struct Histogram {
    /// What each is called, and its count.
    bars: Vec<(String, u64)>,
}

impl Histogram {
    const HEIGHT: f64 = 100.0;

    /// Of counts with what they are called; the words are made of numbers and dates alone.
    pub(super) fn new(bars: Vec<(String, u64)>) -> Self {
        Self { bars }
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.bars.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let width = self.bars.len() * 10;
        write!(
            f,
            "<svg class=\"histogram\" viewBox=\"0 0 {width} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
            Self::HEIGHT
        )?;
        for (at, (words, count)) in self.bars.iter().enumerate() {
            // Where there is anything, it can be seen.
            let tall = if *count == 0 { 0.0 } else { (ratio(*count, most) * Self::HEIGHT).max(1.5) };
            let (x, y) = (at * 10, Self::HEIGHT - tall);
            write!(f, "<rect x=\"{x}.5\" y=\"{y:.1}\" width=\"9\" height=\"{tall:.1}\"><title>")?;
            let Ok(words) = askama::filters::escape(words, askama::filters::Html);
            write!(f, "{words}: {}</title></rect>", grouped(*count))?;
        }
        f.write_str("</svg>")
    }
}

macro_rules! drawn {
    ($($name:ty),+) => {
        $(
            // Numbers, and words that are escaped.
            impl HtmlSafe for $name {}
            impl askama::FastWritable for $name {
                fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
                    Ok(write!(out, "{self}")?)
                }
            }
        )+
    };
}
drawn!(Spark, Course, Bar, Histogram);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_750_000_000_000 + hours * 3_600_000)
    }

    #[test]
    fn counts_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            (of(1, "record", "records"), of(2_000, "record", "records")),
            ("1 record".into(), "2,000 records".into())
        );
        assert_eq!((percent(1, 3), percent(1, 0)), ("33.3 %".to_owned(), String::new()));
    }

    #[test]
    fn a_line_goes_from_its_first_to_its_last_hour() {
        let spark = Spark::new([(at(0), 10), (at(1), 30), (at(4), 20)]);
        assert_eq!(spark.points(96.0, 26.0), "M0.0 24.0L24.0 2.0L96.0 13.0");
        assert_eq!(Spark::new([(at(0), 10), (at(1), 10)]).points(96.0, 26.0), "M0.0 13.0L96.0 13.0");
        assert_eq!(Spark::new([(at(0), 10)]).to_string(), "");
        assert_eq!(Course::new(&[(at(0), 10), (at(48), 3_000)]).ends(), ("10".to_owned(), "3,000".to_owned()));
    }

    #[test]
    fn what_there_is_can_be_seen() {
        let drawn =
            Histogram::new(vec![("<1>".to_owned(), 1), ("2".to_owned(), 1_000_000), ("3".to_owned(), 0)]).to_string();
        assert!(
            drawn.contains("height=\"1.5\"") && drawn.contains("height=\"100.0\"") && drawn.contains("height=\"0.0\"")
        );
        assert!(!drawn.contains("<1>"), "{drawn}");
    }
}
