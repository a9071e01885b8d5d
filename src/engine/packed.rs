//! Integers on the wire as one byte string, little endian: what makes a column quick to write and to load.
//!
//! Used as `#[serde(with = "packed")]` on a `Vec` of a fixed-width integer.

use serde::{Deserialize, Deserializer, Serializer};

/// A fixed-width integer in little-endian bytes.
pub(crate) trait Fixed: Copy {
    const WIDTH: usize;
    fn write(self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Self;
}

macro_rules! fixed {
    ($($kind:ty),+) => {$(
        impl Fixed for $kind {
            const WIDTH: usize = size_of::<$kind>();
            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(Default::default(), <$kind>::from_le_bytes)
            }
        }
    )+};
}
fixed!(u8, u16, u32, u64, i64, f64);

pub(crate) fn serialize<T: Fixed, S: Serializer>(values: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(values.len() * T::WIDTH);
    values.iter().for_each(|value| value.write(&mut bytes));
    serializer.serialize_bytes(&bytes)
}

pub(crate) fn deserialize<'de, T: Fixed, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
    if bytes.len() % T::WIDTH != 0 {
        return Err(serde::de::Error::custom("a packed column has a broken length"));
    }
    Ok(bytes.chunks_exact(T::WIDTH).map(T::read).collect())
}
