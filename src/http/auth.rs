//! Who asks, and whether they may: the extractors through which alone a handler reaches the services.
//!
//! The router's state is a [`Gate`], which gives nothing to anyone but the guards in this file. So a handler without
//! a guard has no services and can do nothing; to be open to all it must say [`Public`]. The direct way asks the gate
//! itself, which knows the same callers and demands the same permissions. `proof` finds who sent a request, `reach` how far
//! they may go; `needs` has the permissions that a guard can demand.
//!
//! | guard | lets in |
//! | --- | --- |
//! | [`Public`] | everyone |
//! | [`Caller`] | whoever shows who it is; the handler asks for permissions once it knows the system |
//! | [`Permit<P>`] | callers with `P` account-wide |
//! | [`At<P>`] | callers with `P` in the system that the path names in `{s}`, if there is such a system |
//! | [`Page`] | pages with a live publishable key of the system that the path names in `{s}` |
//! | [`Lasting<P>`] | as `At<P>`, for what goes on after the answer has begun |
//! | [`Own`] | operators who are logged in, for their own account |
//! | [`Scraper`] | loopback addresses, and callers with `metrics:read` |
//!
//! A caller shows an access token (a machine) or the cookie of a session (an operator). A browser sends the cookie along
//! whoever made the page, so with it a method that changes something also needs an `Origin` that is `public_url`.

pub(crate) mod needs;
mod proof;
mod reach;

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};

pub(crate) use self::needs::Demand;
pub(super) use self::proof::is_own_origin;
use self::proof::{authenticate, identify, is_local, session};
pub(super) use self::reach::unknown_system;
use self::reach::{demand, demand_over_all, system_for};
pub(crate) use self::reach::{publish, reader_for, sight, view};
use super::address::client_address;
use super::problem::{Kind, Problem};
use super::state::AppState;
use super::visitor::visitor;
use crate::accounts::{Actor, Principal, SignedIn, Visitor};
use crate::engine::Reader;
use crate::model::{EndUserId, Permission, SegmentId, SystemId};
use crate::ruleset::{Integration, RuleSet, Stage};
use crate::segments::Segment;

/// The router's state: the services, out of reach of everything but the guards.
#[derive(Clone)]
pub(crate) struct Gate(AppState);

impl Gate {
    /// Puts the services behind the guards.
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    /// Who stands behind a request.
    pub(super) fn visitor(&self, parts: &Parts) -> Visitor {
        visitor(parts, &self.0.config.server.trusted_proxies)
    }

    /// Who sends a request: 401 for who can't be told.
    pub(super) fn caller(&self, method: &Method, headers: &HeaderMap) -> Result<(&AppState, Arc<Principal>), Problem> {
        Ok((&self.0, authenticate(method, headers, &self.0)?))
    }

    /// The end users of a system whom a caller may see, with its rules as they are for this request: 403 for a caller
    /// who may not do `P` there, 404 when there is no such system.
    pub(super) fn reader<P: Demand>(&self, principal: &Principal, id: &str) -> Result<(Reader, Arc<RuleSet>), Problem> {
        let rules = system_for(principal, id, P::PERMISSIONS, &self.0.rules.live())?;
        let reader = view(&self.0, &rules.system, &sight(principal, &rules, P::PERMISSIONS))?;
        Ok((reader, rules))
    }
}

/// Open to everyone.
pub(crate) struct Public {
    pub(crate) state: AppState,
    /// Where the request comes from.
    pub(crate) address: Option<IpAddr>,
}

impl FromRequestParts<Gate> for Public {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let address = client_address(parts, &gate.0.config.server.trusted_proxies);
        Ok(Self { state: gate.0.clone(), address })
    }
}

/// Someone who has shown who it is, whose permissions the handler still has to ask for.
pub(crate) struct Caller {
    pub(crate) state: AppState,
    pub(crate) principal: Arc<Principal>,
}

impl Caller {
    /// Refuses who lacks the permission there (`None`: account-wide).
    pub(crate) fn demand(&self, permission: Permission, system: Option<&SystemId>) -> Result<(), Problem> {
        demand(&self.principal, permission, system)
    }

    /// Refuses who has a permission in a system over some of its end users only.
    pub(crate) fn demand_over_all(&self, permission: Permission, system: &SystemId, why: &str) -> Result<(), Problem> {
        demand_over_all(&self.principal, permission, system, why)
    }
}

impl FromRequestParts<Gate> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let (state, principal) = gate.caller(&parts.method, &parts.headers)?;
        Ok(Self { state: state.clone(), principal })
    }
}

/// An operator who is logged in, for what everybody may do with their own account. It may lack a second factor that it must
/// have: here it sets one up.
pub(crate) struct Own {
    pub(crate) state: AppState,
    pub(crate) signed_in: SignedIn,
    pub(crate) visitor: Visitor,
}

impl FromRequestParts<Gate> for Own {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            authenticate(&parts.method, &parts.headers, &gate.0)?;
            return Err(Problem::new(
                Kind::Forbidden,
                "this is for operators who are logged in: a client has no profile",
            ));
        }
        let signed_in = session(&parts.method, &parts.headers, &gate.0)?.ok_or_else(Problem::logged_out)?;
        Ok(Self { state: gate.0.clone(), signed_in, visitor: gate.visitor(parts) })
    }
}

/// The operator who is logged in, if there is one: for what is open to all and also looks at sessions.
pub(crate) struct Perhaps(pub(crate) Option<SignedIn>);

impl FromRequestParts<Gate> for Perhaps {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        session(&parts.method, &parts.headers, &gate.0).map(Self)
    }
}

/// Someone who may do `P` account-wide.
pub(crate) struct Permit<P> {
    pub(crate) state: AppState,
    /// Who asks, and from where.
    pub(crate) actor: Actor,
    demanded: PhantomData<P>,
}

impl<P> Permit<P> {
    /// Refuses who lacks another permission there (`None`: account-wide).
    pub(crate) fn demand(&self, permission: Permission, system: Option<&SystemId>) -> Result<(), Problem> {
        demand(&self.actor.principal, permission, system)
    }
}

impl<P: Demand> FromRequestParts<Gate> for Permit<P> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let actor = identify(parts, &gate.0)?;
        for permission in P::PERMISSIONS {
            demand(&actor.principal, *permission, None)?;
        }
        Ok(Self { state: gate.0.clone(), actor, demanded: PhantomData })
    }
}

/// Someone who may do `P` in the system that the path names, with that system's rules as they are for this request.
pub(crate) struct At<P> {
    pub(crate) state: AppState,
    /// The system's rules.
    pub(crate) rules: Arc<RuleSet>,
    /// Who asks, and from where.
    pub(crate) actor: Actor,
    params: RawPathParams,
    demanded: PhantomData<P>,
}

impl<P: Demand> FromRequestParts<Gate> for At<P> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let actor = identify(parts, &gate.0)?;
        let params = RawPathParams::from_request_parts(parts, gate).await?;
        let rules = system_for(&actor.principal, param(&params, "s"), P::PERMISSIONS, &gate.0.rules.live())?;
        Ok(Self { state: gate.0.clone(), rules, actor, params, demanded: PhantomData })
    }
}

impl<P: Demand> At<P> {
    /// A view of the system's end users as they are now, of those that the caller may see.
    pub(crate) fn reader(&self) -> Result<Reader, Problem> {
        self.reader_for(&self.rules, P::PERMISSIONS)
    }
}

impl<P> At<P> {
    /// The system.
    pub(crate) fn system(&self) -> &SystemId {
        &self.rules.system
    }

    /// Who asks.
    pub(crate) fn name(&self) -> &str {
        &self.actor.principal.name
    }

    /// One part of the path, percent-decoded.
    pub(crate) fn param(&self, name: &str) -> &str {
        param(&self.params, name)
    }

    /// What tells the caller from every other one, and stays.
    pub(crate) fn who(&self) -> String {
        self.actor.principal.id().into_owned()
    }

    /// Refuses who lacks another permission in this system.
    pub(crate) fn demand(&self, permission: Permission) -> Result<(), Problem> {
        demand(&self.actor.principal, permission, Some(self.system()))
    }

    /// Refuses who may not write the rules of a system of that stage.
    pub(crate) fn demand_publish(&self, stage: Stage) -> Result<(), Problem> {
        self.demand(publish(stage))
    }

    /// A view of those end users of a system over whom the caller has all these permissions.
    pub(crate) fn reader_for(&self, rules: &RuleSet, permissions: &[Permission]) -> Result<Reader, Problem> {
        reader_for(&self.state, &self.actor.principal, rules, permissions)
    }

    /// Those of a view's end users over whom the caller has another permission, too.
    pub(crate) fn narrowed(&self, reader: Reader, permission: Permission) -> Reader {
        let sight = sight(&self.actor.principal, reader.rules(), &[permission]);
        reader.within(&sight)
    }

    /// Refuses who has a permission in this system over some of its end users only.
    pub(crate) fn demand_over_all(&self, permission: Permission, why: &str) -> Result<(), Problem> {
        demand_over_all(&self.actor.principal, permission, self.system(), why)
    }

    /// The rules of another system, for a caller with all those permissions there; 403 and 404 as for the one in the path.
    pub(crate) fn rules_in(&self, system: &str, permissions: &[Permission]) -> Result<Arc<RuleSet>, Problem> {
        system_for(&self.actor.principal, system, permissions, &self.state.rules.live())
    }

    /// The end user that the path names in `{id}`, in the system's case: 422 when it is no identifier.
    pub(crate) fn end_user(&self) -> Result<EndUserId, Problem> {
        Ok(EndUserId::in_case(self.param("id"), self.rules.settings.identifier_case)?)
    }

    /// The integration that the path names in `{i}`: 404 when there is none.
    pub(crate) fn integration(&self) -> Result<&Integration, Problem> {
        let id = self.param("i");
        self.rules.integrations.get(id).ok_or_else(|| Problem::not_found(format!("there is no integration `{id}`")))
    }

    /// The segment that the path names in `{id}`: 404 when there is none.
    pub(crate) fn segment(&self) -> Result<&Segment, Problem> {
        let id = self.param("id");
        let segment = SegmentId::new(id).ok().and_then(|id| self.rules.segments.get(&id));
        segment.ok_or_else(|| Problem::not_found(format!("there is no segment `{id}`")))
    }
}

/// A page in a browser, with the rules of the system that its publishable key is of as they are for this request.
pub(crate) struct Page {
    pub(crate) state: AppState,
    /// The system's rules.
    pub(crate) rules: Arc<RuleSet>,
}

impl FromRequestParts<Gate> for Page {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        const KEY: HeaderName = HeaderName::from_static("x-rollcall-key");
        let address = client_address(parts, &gate.0.config.server.trusted_proxies);
        if !gate.0.pages().take(address, std::time::Instant::now()) {
            return Err(Problem::new(
                Kind::TooManyRequests,
                "too many page loads from this address: try again in a second",
            ));
        }
        let params = RawPathParams::from_request_parts(parts, gate).await?;
        let key = parts.headers.get(KEY).and_then(|value| value.to_str().ok());
        // A wrong key and a system that there is not look the same, so that nobody learns which systems there are.
        let live = gate.0.rules.live();
        let rules = live.systems.get(param(&params, "s")).zip(key);
        let rules = rules.filter(|(rules, key)| gate.0.accounts.is_publishable_key(&rules.system, key));
        let (rules, _) = rules.ok_or_else(Problem::no_publishable_key)?;
        Ok(Self { state: gate.0.clone(), rules: Arc::clone(rules) })
    }
}

/// An [`At`] that lasts longer than a request should: whether the caller still may is asked again now and then.
pub(crate) struct Lasting<P> {
    pub(crate) at: At<P>,
    /// What the caller proved itself with.
    method: Method,
    headers: HeaderMap,
}

impl<P: Demand> FromRequestParts<Gate> for Lasting<P> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let at = At::from_request_parts(parts, gate).await?;
        Ok(Self { at, method: parts.method.clone(), headers: parts.headers.clone() })
    }
}

impl<P: Demand> Lasting<P> {
    /// Asks again, with the rules as they are now.
    pub(crate) fn renew(&mut self) -> Result<(), Problem> {
        let principal = authenticate(&self.method, &self.headers, &self.at.state)?;
        let live = self.at.state.rules.live();
        self.at.rules = system_for(&principal, self.at.system().as_str(), P::PERMISSIONS, &live)?;
        self.at.actor.principal = principal;
        Ok(())
    }
}

/// Whoever may read the metrics: a loopback address, or a caller with `metrics:read`.
pub(crate) struct Scraper {
    pub(crate) state: AppState,
}

impl FromRequestParts<Gate> for Scraper {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        if !is_local(peer, &parts.headers, &gate.0.config.server.trusted_proxies) {
            let principal = authenticate(&parts.method, &parts.headers, &gate.0)?;
            demand(&principal, Permission::MetricsRead, None)?;
        }
        Ok(Self { state: gate.0.clone() })
    }
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> &'a str {
    // A route whose pattern lacks the name would be a mistake in the route table; an empty text is no id of anything.
    params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}
