//! Running it: another secret key, the doctor, TLS, what strangers may do to it.

mod clock;
mod doctor;
mod headers;
mod hostile;
mod rotate_key;
mod tls;
