//! What survives: `kill -9`, SIGTERM, a damaged store, the wrong folder or key.

mod backup;
mod beside;
mod damage;
mod disk;
mod exchange;
mod formats;
mod history;
mod kill;
mod power;
mod refusal;
mod stop;
