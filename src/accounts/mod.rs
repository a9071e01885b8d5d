//! Clients, tokens, users.
