//! What handlers work with: the services of the lower rooms, behind one pointer.
//!
//! Owns nothing but the sharing. A request clones one `Arc`, however many services there are.

use std::ops::Deref;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use super::rate::{AddressRates, Rates};
use super::tls::Tls;
use super::turns::Turns;
use crate::accounts::Accounts;
use crate::backup::Backups;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::filters::Filters;
use crate::intake::calls::CallLog;
use crate::intake::imports::Imports;
use crate::ruleset::RulesService;

/// The services that handlers call.
pub struct Services {
    /// What the server was told when it started.
    pub config: Arc<Config>,
    /// The live end users.
    pub engine: Engine,
    /// The live rules.
    pub rules: Arc<RulesService>,
    /// Saved filters.
    pub filters: Arc<Filters>,
    /// Clients and tokens.
    pub accounts: Arc<Accounts>,
    /// The time.
    pub clock: Clock,
    /// Each integration's last calls.
    pub calls: Arc<CallLog>,
    /// CSV imports.
    pub imports: Arc<Imports>,
    /// The certificate, where the server speaks TLS.
    pub tls: Option<Arc<Tls>>,
    /// Backups.
    pub backups: Arc<Backups>,
    /// Renders `/metrics`. Whoever installed the recorder also calls its `run_upkeep` now and then.
    pub metrics: PrometheusHandle,
}

/// The services, cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

struct Shared {
    services: Services,
    rates: Rates,
    turns: Turns,
    stopping: watch::Sender<bool>,
    door: AddressRates,
    pages: AddressRates,
}

impl AppState {
    /// Shares the services.
    #[must_use]
    pub fn new(services: Services) -> Self {
        let rates = Rates::new(services.config.limits.updates_per_second);
        Self(Arc::new(Shared {
            services,
            rates,
            door: AddressRates::of_doors(),
            pages: AddressRates::of_pages(),
            turns: Turns::default(),
            stopping: watch::Sender::new(false),
        }))
    }
    /// Says that the server is about to end, so that answers without end come to theirs.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }
    /// True once the server is about to end.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }
    /// How fast each address may come to a door that is open to all.
    pub(crate) fn door(&self) -> &AddressRates {
        &self.0.door
    }
    /// How fast each address may ask as a page in a browser.
    pub(crate) fn pages(&self) -> &AddressRates {
        &self.0.pages
    }
    /// Whether callers reach the server by https.
    pub(crate) fn is_secure(&self) -> bool {
        self.config.server.public_url.starts_with("https://")
    }
    /// How fast each client may send updates.
    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }
    /// Who may do long work now.
    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }
}

impl Deref for AppState {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.0.services
    }
}
