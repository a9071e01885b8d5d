//! Running it: another secret key, the doctor, TLS, what strangers may do to it.

mod canaries;
mod clock;
mod doctor;
mod headers;
mod hostile;
mod rotate_key;
mod scripts;
mod tls;
