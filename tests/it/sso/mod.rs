//! Single sign-on against a real OpenID provider.

mod door;
mod house;
mod log_in;
mod refusals;
