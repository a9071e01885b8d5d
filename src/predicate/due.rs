//! Who is due when the day turns: whose answer could change though nothing about them did.
//!
//! Only comparisons with days relative to today can. Each moves with the day, and what it passes over is a span of
//! stored days; whoever has no such day keeps the answer. Knows no clock.

use super::{AttributeTest, Condition, DateBound, DateTest, Test};
use crate::model::Date;

impl Condition {
    /// A condition over stored dates, the same on every day, that holds for every end user whose answer on one of the
    /// two days could differ from that on the other; `None` when nobody's can. The segments that it asks for are taken
    /// as unchanged: whose answer in them changes is due as well.
    #[must_use]
    pub fn due(&self, from: Date, to: Date) -> Option<Self> {
        let (first, last) = (from.days().min(to.days()), from.days().max(to.days()));
        let (first, last) = (i64::from(first), i64::from(last));
        if first == last {
            return None;
        }
        let mut due: Vec<Self> = Vec::new();
        for test in self.tests() {
            let Test::Date(date) = &test.test else { continue };
            for passed in passed_over(date, first, last) {
                let test = AttributeTest { test: Test::Date(passed), ..test.clone() };
                let condition = Self::Attribute(test);
                if !due.contains(&condition) {
                    due.push(condition);
                }
            }
        }
        (!due.is_empty()).then(|| Self::Any(due).simplified())
    }
}

/// The days that pass a test on one of the two days and fail it on the other, or more.
fn passed_over(test: &DateTest, first: i64, last: i64) -> Vec<DateTest> {
    let span = |low: i64, high: i64| DateTest::Within(Some(DateBound::Day(low)), Some(DateBound::Day(high)));
    let on = |day: i64, offset: i64| day.saturating_add(offset);
    match test {
        DateTest::Within(low, high) => {
            let low = match low {
                // From `first + n` on, later from `last + n` on.
                Some(DateBound::Today(n)) => Some(span(on(first, *n), on(last, *n).saturating_sub(1))),
                _ => None,
            };
            let high = match high {
                Some(DateBound::Today(n)) => Some(span(on(first, *n).saturating_add(1), on(last, *n))),
                _ => None,
            };
            low.into_iter().chain(high).collect()
        }
        DateTest::OneOf(days) => {
            let moving = days.iter().filter_map(|day| if let DateBound::Today(n) = day { Some(*n) } else { None });
            let days: Vec<DateBound> = moving.flat_map(|n| [on(first, n), on(last, n)]).map(DateBound::Day).collect();
            (!days.is_empty()).then_some(DateTest::OneOf(days)).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::predicate::made;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn who_is_due_has_a_day_that_the_bound_passed() {
        let signup = |test: DateTest| made::test("crm.Signup", Test::Date(test));
        let days = |low: &str, high: &str| {
            let day = |text: &str| Some(DateBound::Day(i64::from(date(text).days())));
            signup(DateTest::Within(day(low), day(high)))
        };
        let (from, to) = (date("2024-03-01"), date("2024-03-02"));
        // Signed up in the last 30 days: tomorrow those of 30 days ago have not, and those of tomorrow have.
        let last = signup(DateTest::Within(Some(DateBound::Today(-30)), Some(DateBound::Today(0))));
        let expected = Condition::Any(vec![days("2024-01-31", "2024-01-31"), days("2024-03-02", "2024-03-02")]);
        assert_eq!(last.due(from, to), Some(expected.clone()));
        assert_eq!(Condition::Not(Box::new(last.clone())).due(to, from), Some(expected), "in either order");
        assert_eq!(last.due(from, from), None);
        assert_eq!(days("2024-01-31", "2024-03-02").due(from, to), None, "fixed days stay");
        assert_eq!(made::test("crm.Signup", Test::IsSet).due(from, to), None);
        let open = signup(DateTest::Within(None, Some(DateBound::Today(-1))));
        assert_eq!(open.due(from, date("2024-03-11")), Some(days("2024-03-01", "2024-03-10")), "many days at once");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
        #[test]
        fn whose_answer_differs_between_two_days_is_due(
            condition in made::condition(),
            end_users in prop::collection::vec(made::end_user(), 20),
            (from, to) in (-40_i32..40, -40_i32..40),
        ) {
            let day = |offset: i32| Date::from_days(made::TODAY + offset).unwrap();
            let (from, to) = (day(from), day(to));
            let due = condition.due(from, to);
            for end_user in &end_users {
                if end_user.passes(&condition, from) != end_user.passes(&condition, to) {
                    let due = due.as_ref().expect("somebody is due");
                    prop_assert!(end_user.passes(due, from), "{:?} is not due by {:?}", end_user, due);
                    prop_assert!(end_user.passes(due, day(100)), "on whatever day it is asked");
                }
            }
        }
    }
}
