//! Points in time, in whole milliseconds since 1970 UTC, shown as RFC 3339.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. On the wire it is RFC 3339 with milliseconds and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970 UTC.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis)
    }
    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(stamp) = jiff::Timestamp::from_millisecond(self.0) else { return f.write_str("out-of-range") };
        let time = jiff::tz::Offset::UTC.to_datetime(stamp);
        if time.year() < 0 {
            return write!(f, "{stamp:.3}");
        }
        // By hand, because every page load tells a time.
        let [y1, y2, y3, y4] = digits(time.year().into());
        let ([m1, m2], [d1, d2]) = (digits(time.month().into()), digits(time.day().into()));
        let ([h1, h2], [n1, n2]) = (digits(time.hour().into()), digits(time.minute().into()));
        let ([s1, s2], [t1, t2, t3]) = (digits(time.second().into()), digits(time.millisecond().into()));
        #[rustfmt::skip]
        let text = [
            y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'.', t1, t2, t3, b'Z',
        ];
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// The last `N` decimal digits of a number.
fn digits<const N: usize>(mut number: i32) -> [u8; N] {
    let mut text = [b'0'; N];
    for digit in text.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    text
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            let stamp: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
            Ok(Self(stamp.as_millisecond()))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_with_milliseconds_and_z() {
        assert_eq!(Timestamp::from_millis(1_559_687_258_417).to_string(), "2019-06-04T22:27:38.417Z");
        assert_eq!(serde_json::to_string(&Timestamp::from_millis(0)).unwrap(), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "out-of-range");
        for millis in
            [-1, -62_167_219_200_000, -62_167_219_200_001, -99_999_999_999_999, 253_402_207_200_000, 951_782_399_999]
        {
            let stamp = jiff::Timestamp::from_millisecond(millis).unwrap();
            assert_eq!(Timestamp::from_millis(millis).to_string(), format!("{stamp:.3}"));
        }
    }
}
