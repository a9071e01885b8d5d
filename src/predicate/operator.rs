//! Operators: the names by which filters test an attribute, and the test that each becomes.
//!
//! | type | operators |
//! | --- | --- |
//! | String | `is` `is_not` `contains` `does_not_contain` `starts_with` `ends_with` `is_one_of` `is_not_one_of` `matches` |
//! | Number | `equals` `not_equals` `greater_than` `at_least` `less_than` `at_most` `between` `is_one_of` `is_not_one_of` |
//! | Date | `on` `not_on` `before` `after` `on_or_before` `on_or_after` `between` `in_last_days` `in_next_days` `more_than_days_ago` |
//! | all | `is_set` `is_not_set` |
//!
//! A negative operator is the exact negation of its positive, so it is true for a missing value. Refuses to know what
//! the values are: `where_json` reads them. Invariant: an operator has one name and takes one form of value for every
//! type that has it.

use crate::model::AttributeType;

macro_rules! operators {
    ($($name:ident = $text:literal [$($kind:ident)+] $shape:ident $(not $positive:ident)?,)+) => {
        /// An operator of a filter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the table above says what each means")]
        pub enum Operator { $($name,)+ }

        impl Operator {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in a filter.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Whether attributes of the type have it.
            #[must_use]
            pub fn is_of(self, kind: AttributeType) -> bool {
                match self { $(Self::$name => [$(AttributeType::$kind),+].contains(&kind),)+ }
            }

            /// The operator that it negates.
            #[must_use]
            pub fn positive(self) -> Option<Self> {
                match self { $(Self::$name => operators!(@positive $($positive)?),)+ }
            }

            /// What values it takes.
            #[must_use]
            pub fn operands(self) -> Operands {
                match self { $(Self::$name => Operands::$shape,)+ }
            }
        }
    };
    (@positive) => { None };
    (@positive $positive:ident) => { Some(Self::$positive) };
}

/// What values an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// No value.
    None,
    /// One value of the attribute's type.
    One,
    /// The first and the last value, both in.
    Two,
    /// A list of values.
    List,
    /// A whole number of days, 0 or more.
    Days,
}

operators! {
    Is = "is" [String] One,
    IsNot = "is_not" [String] One not Is,
    Contains = "contains" [String] One,
    DoesNotContain = "does_not_contain" [String] One not Contains,
    StartsWith = "starts_with" [String] One,
    EndsWith = "ends_with" [String] One,
    Matches = "matches" [String] One,
    Equals = "equals" [Number] One,
    NotEquals = "not_equals" [Number] One not Equals,
    GreaterThan = "greater_than" [Number] One,
    AtLeast = "at_least" [Number] One,
    LessThan = "less_than" [Number] One,
    AtMost = "at_most" [Number] One,
    On = "on" [Date] One,
    NotOn = "not_on" [Date] One not On,
    Before = "before" [Date] One,
    After = "after" [Date] One,
    OnOrBefore = "on_or_before" [Date] One,
    OnOrAfter = "on_or_after" [Date] One,
    Between = "between" [Number Date] Two,
    IsOneOf = "is_one_of" [String Number] List,
    IsNotOneOf = "is_not_one_of" [String Number] List not IsOneOf,
    InLastDays = "in_last_days" [Date] Days,
    InNextDays = "in_next_days" [Date] Days,
    MoreThanDaysAgo = "more_than_days_ago" [Date] Days,
    IsSet = "is_set" [String Number Date] None,
    IsNotSet = "is_not_set" [String Number Date] None not IsSet,
}

/// The operators of a type, in the order in which they are offered.
pub fn operators_of(kind: AttributeType) -> impl Iterator<Item = Operator> {
    Operator::ALL.iter().copied().filter(move |operator| operator.is_of(kind))
}

impl Operator {
    /// The operator of that name, of whatever type.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operator| operator.as_str() == name)
    }

    /// The operator that says the same of another type, such as `is` for `equals`.
    #[must_use]
    pub fn counterpart(self, kind: AttributeType) -> Option<Self> {
        const SAME: [&[Operator]; 6] = [
            &[Operator::Is, Operator::Equals, Operator::On],
            &[Operator::IsNot, Operator::NotEquals, Operator::NotOn],
            &[Operator::GreaterThan, Operator::After],
            &[Operator::AtLeast, Operator::OnOrAfter],
            &[Operator::LessThan, Operator::Before],
            &[Operator::AtMost, Operator::OnOrBefore],
        ];
        let same = SAME.into_iter().find(|same| same.contains(&self))?;
        same.iter().copied().find(|operator| operator.is_of(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_the_operators_of_the_table() {
        let names = |kind| operators_of(kind).map(Operator::as_str).collect::<std::collections::BTreeSet<_>>();
        let table = include_str!("operator.rs");
        for (kind, word) in
            [(AttributeType::String, "String"), (AttributeType::Number, "Number"), (AttributeType::Date, "Date")]
        {
            let row = |word: &str| {
                let start = format!("//! | {word} |");
                let line = table.lines().find(|line| line.starts_with(&start)).unwrap();
                line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
            };
            let expected: std::collections::BTreeSet<String> = row(word).into_iter().chain(row("all")).collect();
            assert_eq!(names(kind).into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn a_negative_takes_what_its_positive_takes_for_the_same_types() {
        for operator in Operator::ALL {
            assert_eq!(Operator::named(operator.as_str()), Some(*operator));
            let Some(positive) = operator.positive() else { continue };
            assert_eq!(positive.positive(), None, "{operator:?}");
            assert_eq!(positive.operands(), operator.operands(), "{operator:?}");
            for kind in [AttributeType::String, AttributeType::Number, AttributeType::Date] {
                assert_eq!(positive.is_of(kind), operator.is_of(kind), "{operator:?} of {kind}");
            }
        }
    }

    #[test]
    fn an_operator_of_another_type_has_its_counterpart() {
        assert_eq!(Operator::Equals.counterpart(AttributeType::String), Some(Operator::Is));
        assert_eq!(Operator::GreaterThan.counterpart(AttributeType::Date), Some(Operator::After));
        assert_eq!(Operator::Contains.counterpart(AttributeType::Number), None);
        assert_eq!(Operator::AtMost.counterpart(AttributeType::String), None);
    }
}
