//! Edges that people would choose: round numbers, and beginnings of days, weeks, months and years.
//!
//! Knows nothing of who has the values. Invariants: edges rise; the first is at or below the lowest value, the last above
//! the highest; there are at most [`MOST`] buckets.

use crate::model::Date;

/// Most buckets: what a chart shows well.
const MOST: usize = 24;
/// The first day after the last that a date can hold.
const BEYOND: f64 = 2_932_897.0;

/// The edges between buckets, rising: a bucket is from one (in) to the next (out).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edges(Vec<f64>);

impl Edges {
    /// Round edges around numbers from `low` to `high`, both finite; whole ones where all numbers are `whole`.
    pub(crate) fn of_numbers(low: f64, high: f64, whole: bool) -> Self {
        let least = if whole { 1.0 } else { 0.0 };
        let mut width = Width::at_least(((high - low) / MOST as f64).max(least));
        loop {
            let (first, last) = (width.steps_to(low), width.steps_to(high) + 1.0);
            let count = last - first;
            if count <= MOST as f64 {
                let edges: Vec<f64> = (0..=count as usize).map(|step| width.edge(first + step as f64)).collect();
                let rises = edges.windows(2).all(|pair| matches!(pair, [one, next] if one < next));
                if rises
                    && edges.first().is_some_and(|edge| *edge <= low)
                    && edges.last().is_some_and(|edge| *edge > high)
                {
                    return Self(edges);
                }
            }
            width = width.next();
        }
    }

    /// Edges at the beginnings of days, weeks, months or years around days from `low` to `high`.
    pub(crate) fn of_days(low: f64, high: f64) -> Self {
        let (low, high) = (low as i64, high as i64);
        let fitting = UNITS.iter().map(|unit| unit.edges(low, high)).find(|edges| edges.len() <= MOST + 1);
        // A thousand years a bucket fits any dates.
        Self(fitting.unwrap_or_else(|| vec![low as f64, high as f64 + 1.0]))
    }

    /// How many buckets there are.
    pub(crate) fn buckets(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// The bucket of a value within the edges.
    pub(crate) fn bucket_of(&self, value: f64) -> usize {
        self.0.partition_point(|edge| *edge <= value).saturating_sub(1)
    }

    /// From where to where each bucket is.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (f64, f64)> {
        self.0.iter().copied().zip(self.0.iter().copied().skip(1))
    }
}

/// 1, 2 or 5 times a power of ten.
#[derive(Debug, Clone, Copy)]
struct Width {
    times: f64,
    power: i32,
}

impl Width {
    /// The smallest that is no smaller than `width`; whole where `width` is nothing.
    fn at_least(width: f64) -> Self {
        if width < f64::MIN_POSITIVE {
            return Self { times: 1.0, power: 0 };
        }
        let mut round = Self { times: 1.0, power: width.log10().floor() as i32 };
        while round.as_number() < width {
            round = round.next();
        }
        round
    }

    fn next(self) -> Self {
        match self.times {
            1.0 => Self { times: 2.0, ..self },
            2.0 => Self { times: 5.0, ..self },
            _ => Self { times: 1.0, power: self.power + 1 },
        }
    }

    fn as_number(self) -> f64 {
        self.edge(1.0)
    }

    /// Steps of this width from 0 to the edge at or below a number.
    fn steps_to(self, number: f64) -> f64 {
        let steps = (number / self.as_number()).floor();
        // Dividing rounds: the edge may be off by one.
        if self.edge(steps) > number {
            steps - 1.0
        } else if self.edge(steps + 1.0) <= number {
            steps + 1.0
        } else {
            steps
        }
    }

    /// The edge after so many steps. A fraction comes of one division, so that it is the double that its decimal reads as.
    fn edge(self, steps: f64) -> f64 {
        let ten = |power: i32| 10_f64.powi(power);
        if self.power < 0 { steps * self.times / ten(-self.power) } else { steps * self.times * ten(self.power) }
    }
}

/// How long a bucket of dates is.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Days(i64),
    Months(i64),
}

const UNITS: [Unit; 13] = [
    Unit::Days(1),
    Unit::Days(7),
    Unit::Months(1),
    Unit::Months(3),
    Unit::Months(12),
    Unit::Months(24),
    Unit::Months(60),
    Unit::Months(120),
    Unit::Months(240),
    Unit::Months(600),
    Unit::Months(1_200),
    Unit::Months(6_000),
    Unit::Months(12_000),
];

impl Unit {
    /// The edges around days; no more of them than are too many.
    fn edges(self, low: i64, high: i64) -> Vec<f64> {
        let mut step = self.step_of(low);
        let mut edges = Vec::new();
        while edges.len() <= MOST + 1 {
            let edge = self.edge(step);
            edges.push(edge);
            if edge > high as f64 {
                break;
            }
            step += 1;
        }
        edges
    }

    /// The number of the bucket that a day lies in.
    fn step_of(self, day: i64) -> i64 {
        match self {
            // 1970-01-01 was a Thursday, and weeks begin on Mondays.
            Self::Days(7) => (day + 3).div_euclid(7),
            Self::Days(days) => day.div_euclid(days),
            Self::Months(months) => {
                let date = i32::try_from(day).ok().and_then(Date::from_days);
                let month = date.map_or(0, |date| {
                    let (year, month, _) = date.ymd();
                    i64::from(year) * 12 + i64::from(month) - 1
                });
                month.div_euclid(months)
            }
        }
    }

    /// The day with which a bucket begins.
    fn edge(self, step: i64) -> f64 {
        match self {
            Self::Days(7) => (step * 7 - 3) as f64,
            Self::Days(days) => (step * days) as f64,
            Self::Months(months) => {
                let month = step * months;
                let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
                let first = |year: i32| Date::from_ymd(year, month as u32, 1).map(|date| f64::from(date.days()));
                match i32::try_from(year) {
                    Ok(year) if year < 1 => Date::from_ymd(1, 1, 1).map_or(-BEYOND, |date| f64::from(date.days())),
                    Ok(year) => first(year).unwrap_or(BEYOND),
                    Err(_) => BEYOND,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(low: f64, high: f64) -> Vec<f64> {
        Edges::of_numbers(low, high, low.fract() == 0.0 && high.fract() == 0.0).0
    }
    fn days(low: &str, high: &str) -> Vec<String> {
        let day = |text: &str| f64::from(text.parse::<Date>().unwrap().days());
        let edges = Edges::of_days(day(low), day(high)).0;
        edges
            .into_iter()
            .map(|day| Date::from_days(day as i32).map_or("end".to_owned(), |date| date.to_string()))
            .collect()
    }

    #[test]
    fn edges_of_numbers_are_round() {
        assert_eq!(numbers(0.0, 9.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
        assert_eq!(numbers(7.0, 7.0), [7.0, 8.0]);
        assert_eq!(numbers(2.5, 2.5), [2.0, 3.0]);
        assert_eq!(numbers(-3.0, 997.0), (-1..=20).map(|n| f64::from(n) * 50.0).collect::<Vec<_>>());
        assert_eq!(numbers(0.1, 0.3)[..4], [0.1, 0.11, 0.12, 0.13], "decimals, not what adding up gives");
    }

    #[test]
    fn edges_of_dates_begin_days_weeks_months_and_years() {
        assert_eq!(days("2024-02-28", "2024-03-01"), ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"]);
        assert_eq!(days("2024-01-03", "2024-02-10")[..2], ["2024-01-01", "2024-01-08"], "Mondays");
        assert_eq!(days("2023-11-15", "2025-01-05")[..3], ["2023-11-01", "2023-12-01", "2024-01-01"]);
        assert_eq!(days("2019-05-05", "2024-01-01")[..3], ["2019-04-01", "2019-07-01", "2019-10-01"]);
        assert_eq!(days("1970-06-01", "2024-01-01")[..2], ["1970-01-01", "1975-01-01"]);
        assert_eq!(days("0001-01-01", "9999-12-31").last().unwrap(), "end");
    }

    proptest! {
        #[test]
        fn every_number_lies_in_one_bucket(a in prop_oneof![-1e6..1e6, -1e-6..1e-6, Just(0.0), -9e15..9e15], spread in prop_oneof![Just(0.0), 0.0..1e-9, 0.0..1e3, 0.0..9e15], at in 0.0..=1.0_f64) {
            let (low, high) = (a, a + spread);
            let edges = Edges::of_numbers(low, high, false);
            prop_assert!((1..=MOST).contains(&edges.buckets()), "{:?}", edges);
            for value in [low, high, (low + (high - low) * at).clamp(low, high)] {
                let bucket = edges.bucket_of(value);
                let (from, to) = edges.spans().nth(bucket).unwrap();
                prop_assert!(from <= value && value < to, "{} in {}..{}", value, from, to);
            }
        }

        #[test]
        fn every_day_lies_in_one_bucket(low in -719_162_i32..=2_932_896, spread in prop_oneof![0_i32..10, 0_i32..5_000, 0_i32..4_000_000], at in 0.0..=1.0_f64) {
            let high = (low + spread).min(2_932_896);
            let edges = Edges::of_days(f64::from(low), f64::from(high));
            prop_assert!((1..=MOST).contains(&edges.buckets()), "{:?}", edges);
            for value in [low, high, low + (f64::from(high - low) * at) as i32].map(f64::from) {
                let (from, to) = edges.spans().nth(edges.bucket_of(value)).unwrap();
                prop_assert!(from <= value && value < to);
            }
        }
    }
}
