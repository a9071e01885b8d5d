//! Mail to operators: as files in the outbox, and by a real SMTP server.

mod outbox;
mod smtp;
