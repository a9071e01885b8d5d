//! The attribute engine.
