//! Protection against strangers, slow machines and other people's browsers.

mod bodies;
mod browsers;
mod own_ca;
mod rates;
mod refused;
mod secrets;
mod slow;
mod tls;
