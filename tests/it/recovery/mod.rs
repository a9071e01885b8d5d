//! What survives: `kill -9`, SIGTERM, a damaged store, the wrong folder or key.

mod backup;
mod damage;
mod history;
mod kill;
mod refusal;
mod stop;
