//! The five filters `a` to `e`: by one text, a range, a date, all three kinds together, and a tree.
//!
//! Owns their definition, and how many of the first million end users each finds.

use super::condition::Condition;
use super::dataset::Column;
use super::segments::Segment;

/// A question who fulfils a condition, and how many they are.
#[derive(Debug, Clone)]
pub struct Filter {
    /// `a` to `e`.
    pub letter: char,
    /// Who is asked for.
    pub condition: Condition,
    /// How many of the first 1,000,000 end users it finds: four databases agree.
    pub of_a_million: u64,
}

impl Filter {
    /// A segment of the same condition.
    #[must_use]
    pub fn segment(&self) -> Segment {
        Segment { id: format!("filter_{}", self.letter), condition: self.condition.clone() }
    }
}

/// The five.
#[must_use]
pub fn filters() -> [Filter; 5] {
    let is = |column, word| Condition::OneOf(column, vec![word]);
    let paying = || is(Column::Type, "paying");
    let last_month = || Condition::OnOrAfter(Column::LastSeen, (2025, 12, 2));
    let range = vec![Condition::AtLeast(Column::Logins, 1000), Condition::Below(Column::Logins, 2000)];
    let tree = vec![
        Condition::Any(vec![Condition::OneOf(Column::Tier, vec!["gold", "platinum"]), is(Column::Country, "DE")]),
        Condition::Not(Box::new(Condition::Any(vec![is(Column::Plan, "free"), is(Column::Plan, "hobby")]))),
    ];
    let filter = |letter, of_a_million, condition| Filter { letter, condition, of_a_million };
    [
        filter('a', 99_662, paying()),
        filter('b', 100_103, Condition::All(range)),
        filter('c', 81_850, last_month()),
        filter('d', 4071, Condition::All(vec![paying(), Condition::Above(Column::Seats, 250), last_month()])),
        filter('e', 300_907, Condition::All(tree)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::dataset::{EndUser, SEED};
    use super::*;

    /// The counts are another implementation's, over the same 10,000 end users.
    #[test]
    fn the_first_rows_give_the_published_counts() {
        let count =
            |filter: &Filter| (0..10_000).filter(|row| filter.condition.holds(&EndUser::new(SEED, *row))).count();
        assert_eq!(filters().each_ref().map(count), [1016, 981, 781, 30, 3013]);
    }

    #[test]
    fn each_is_written_as_rhai() {
        let rhai = [
            r#"app.Type == "paying""#,
            "(app.Logins >= 1000 && app.Logins < 2000)",
            r#"app.Last_seen >= "2025-12-02""#,
            r#"(app.Type == "paying" && app.Seats > 250 && app.Last_seen >= "2025-12-02")"#,
            r#"((app.Tier in ["gold", "platinum"] || app.Country == "DE") && !((app.Plan == "free" || app.Plan == "hobby")))"#,
        ];
        assert_eq!(filters().each_ref().map(|filter| filter.condition.rhai()), rhai);
    }
}
