//! `/console/systems/{s}/segments…`: who is in which segment, and the rules that say so.
//!
//! | file | owns |
//! | --- | --- |
//! | `list` | every segment with its count, live, and how that went |
//! | `editor` | one segment: its rule as text and as conditions, checked while it is typed |
//! | `members` | who is in one |

pub(super) mod editor;
pub(super) mod list;
pub(super) mod members;
