//! How much a rule may use. All constants: a rule that needs more is better written otherwise, and none of these
//! may depend on who wrote the rule.

use std::time::Duration;

/// Longest rule, in bytes.
pub(super) const TEXT_BYTES: usize = 64 * 1024;
/// Most operations of one evaluation (an expression or statement is one each time that it runs).
pub(super) const OPERATIONS: u64 = 100_000;
/// How deep functions may call each other.
pub(super) const CALL_DEPTH: usize = 32;
/// How deep expressions and blocks may nest. Operators in a row count too, hence not less: `a || b || …`.
pub(super) const EXPRESSION_DEPTH: usize = 128;
/// The same within functions.
pub(super) const FUNCTION_EXPRESSION_DEPTH: usize = 64;
/// Bytes of the thread's stack that an evaluation may use. Threads have 2 MiB, and what is left must do for who calls
/// us and for copying, comparing and dropping lists and maps nested as deep as their sizes allow, which recurses
/// unseen. Depth limits alone would not do, as a level of calls costs five times as much in a debug build.
pub(super) const STACK_BYTES: usize = 640 * 1024;
/// Longest text that a rule may build, in bytes; also all texts within one array or map together.
pub(super) const STRING_BYTES: usize = 64 * 1024;
/// Most elements of an array, those of arrays within it included.
pub(super) const ARRAY_SIZE: usize = 1_000;
/// Most entries of a map, those of maps within it included.
pub(super) const MAP_SIZE: usize = 500;
/// Most variables at one time within one function or the rule itself, integrations included.
pub(super) const VARIABLES: usize = 256;
/// Most functions of a rule, closures included.
pub(super) const FUNCTIONS: usize = 100;
/// Time for one evaluation when a rule is tried before it goes live. Together with the sizes it also bounds memory.
pub(super) const TRIAL_TIME: Duration = Duration::from_millis(10);
/// Time for one evaluation of a live rule.
pub(super) const RUN_TIME: Duration = Duration::from_millis(20);
/// Most different regular expressions of a rule.
pub(super) const PATTERNS: usize = 16;
/// Compiled size of a regular expression, in bytes. Its lazy automaton gets twice that: with less the engine falls
/// back to a simulation that is a hundred times slower on hostile patterns, and nothing can interrupt it.
pub(super) const PATTERN_BYTES: usize = 512 * 1024;
