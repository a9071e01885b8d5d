//! From outside to changes.
