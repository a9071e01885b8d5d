//! Running it: another secret key, the doctor, TLS, what strangers may do to it.

mod doctor;
mod headers;
mod rotate_key;
mod tls;
