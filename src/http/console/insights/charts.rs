//! How the values of an attribute are spread over those who were found: bars for texts, a histogram for numbers and dates.

use super::super::figures::{Bar, Histogram, grouped, percent};
use crate::engine::{Found, Reader};
use crate::http::api::attributes::{AttributeItem, DistributionResponse, answer};

/// Texts that a chart names.
const NAMED: usize = 10;

/// One attribute's values.
pub(super) struct Chart {
    pub(super) name: String,
    pub(super) integration: String,
    /// Texts, the commonest first; none for numbers and dates.
    pub(super) bars: Vec<BarRow>,
    pub(super) histogram: Option<Drawn>,
    /// How many have none.
    pub(super) none: String,
    /// How many have a value that is not named, and how many such values there are.
    pub(super) other: Option<(String, String)>,
}

/// A text and who has it.
pub(super) struct BarRow {
    pub(super) value: String,
    pub(super) count: String,
    pub(super) share: String,
    pub(super) bar: Bar,
}

/// Numbers or dates.
pub(super) struct Drawn {
    pub(super) drawing: Histogram,
    pub(super) first: String,
    pub(super) last: String,
    /// Each bucket and its count, as text.
    pub(super) rows: Vec<(String, String)>,
}

fn text(edge: &serde_json::Value) -> String {
    match edge {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "…".to_owned(),
        other => other.to_string(),
    }
}

impl Chart {
    /// Of an attribute that the reader knows. Takes its time.
    pub(super) fn new(reader: &Reader, item: &AttributeItem, found: &Found) -> Option<Self> {
        let attribute = item.id.parse().ok()?;
        let mut chart = Self {
            name: item.name.clone(),
            integration: item.integration_name.clone(),
            bars: Vec::new(),
            histogram: None,
            none: String::new(),
            other: None,
        };
        match answer(reader, &attribute, item.kind, found, NAMED) {
            DistributionResponse::Values { values, other, distinct, none } => {
                let all = found.total().saturating_sub(none);
                let named = values.len() as u64;
                let row = |value: crate::http::api::attributes::ValueItem| BarRow {
                    count: grouped(value.count),
                    share: percent(value.count, all),
                    bar: Bar::new(value.count, all),
                    value: value.value,
                };
                chart.bars = values.into_iter().map(row).collect();
                chart.none = grouped(none);
                chart.other = (other > 0).then(|| (grouped(other), grouped(distinct.saturating_sub(named))));
            }
            DistributionResponse::Buckets { buckets, none } => {
                let name = |from, to| format!("{} to {}", text(from), text(to));
                let bars: Vec<_> = buckets.iter().map(|one| (name(&one.from, &one.to), one.count)).collect();
                chart.histogram = (!bars.is_empty()).then(|| Drawn {
                    first: buckets.first().map(|one| text(&one.from)).unwrap_or_default(),
                    last: buckets.last().map(|one| text(&one.to)).unwrap_or_default(),
                    rows: bars.iter().map(|(name, count)| (name.clone(), grouped(*count))).collect(),
                    drawing: Histogram::new(bars),
                });
                chart.none = grouped(none);
            }
        }
        Some(chart)
    }
}
