//! The files of a system.
