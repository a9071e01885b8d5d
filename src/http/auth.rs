//! Who asks, and whether they may: the extractors through which alone a handler reaches the services.
//!
//! The router's state is a [`Gate`], which gives nothing to anyone but the guards in this file. So a handler without
//! a guard has no services and can do nothing; to be open to all it must say [`Public`].
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

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};

use super::address::{FORWARDED_FOR, client_address};
use super::cookie;
use super::problem::{Kind, Problem};
use super::state::AppState;
use super::visitor::visitor;
use crate::accounts::{Actor, Principal, Sight as Granted, SignedIn, Visitor};
use crate::engine::{Reader, Sight};
use crate::model::{EndUserId, Permission, SegmentId, SystemId};
use crate::predicate::Condition;
use crate::ruleset::{Integration, LiveRules, RuleSet, Stage};
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
}

/// What a guard demands: one or several permissions.
pub(crate) trait Demand: Send + Sync + 'static {
    /// All of them are needed.
    const PERMISSIONS: &'static [Permission];
}

/// The permissions as types, for [`Permit`] and [`At`].
pub(crate) mod needs {
    use super::{Demand, Permission};

    macro_rules! demands {
        ($($name:ident),+ $(,)?) => {
            $(
                pub(crate) struct $name;
                impl Demand for $name {
                    const PERMISSIONS: &'static [Permission] = &[Permission::$name];
                }
            )+
        };
    }
    demands!(
        EndUsersRead,
        EndUsersWrite,
        EndUsersDelete,
        IntegrationsRead,
        IntegrationsWrite,
        SegmentsRead,
        SegmentsWrite,
        SystemsRead,
        SystemsWrite,
        Operate,
        UsersRead,
        UsersWrite,
        UsersInvite,
        AccessRequestsManage,
        RolesRead,
        ClientsRead,
        ClientsWrite,
        AuditRead,
    );

    /// Nothing: whoever has shown who it is.
    pub(crate) struct Nothing;
    impl Demand for Nothing {
        const PERMISSIONS: &'static [Permission] = &[];
    }

    /// Reading a system's rules.
    pub(crate) struct RulesRead;
    impl Demand for RulesRead {
        const PERMISSIONS: &'static [Permission] = &[Permission::IntegrationsRead, Permission::SegmentsRead];
    }

    /// Reading end users together with their segments.
    pub(crate) struct EndUsersAndSegmentsRead;
    impl Demand for EndUsersAndSegmentsRead {
        const PERMISSIONS: &'static [Permission] = &[Permission::EndUsersRead, Permission::SegmentsRead];
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
}

impl FromRequestParts<Gate> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Problem> {
        let principal = authenticate(&parts.method, &parts.headers, &gate.0)?;
        Ok(Self { state: gate.0.clone(), principal })
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

    /// The caller's name.
    pub(crate) fn who(&self) -> &str {
        &self.actor.principal.name
    }

    /// Refuses who lacks another permission in this system.
    pub(crate) fn demand(&self, permission: Permission) -> Result<(), Problem> {
        demand(&self.actor.principal, permission, Some(self.system()))
    }

    /// Refuses who may not write the rules of a system of that stage.
    pub(crate) fn demand_publish(&self, stage: Stage) -> Result<(), Problem> {
        self.demand(publish(stage))
    }

    /// A view of the system's end users as they are now, of those that the caller may see.
    pub(crate) fn reader(&self) -> Result<Reader, Problem> {
        self.reader_for(&self.rules, Permission::EndUsersRead)
    }

    /// The same of another system.
    pub(crate) fn reader_in(&self, rules: &RuleSet) -> Result<Reader, Problem> {
        self.reader_for(rules, Permission::EndUsersRead)
    }

    /// A view of those end users of a system over whom the caller has a permission.
    pub(crate) fn reader_for(&self, rules: &RuleSet, permission: Permission) -> Result<Reader, Problem> {
        reader_for(&self.state, &self.actor.principal, rules, permission)
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

/// What writing the rules of a system of that stage needs.
pub(crate) fn publish(stage: Stage) -> Permission {
    match stage {
        Stage::Production => Permission::PublishProduction,
        Stage::Test => Permission::PublishTest,
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

/// The end users of a system over whom somebody has a permission. A unit group that is gone from the rules grants nothing.
fn sight(principal: &Principal, rules: &RuleSet, permission: Permission) -> Sight {
    match principal.sight(&rules.system, permission) {
        Granted::All => Sight::All,
        Granted::None => Sight::Within(Condition::Constant(false)),
        Granted::UnitGroups(ids) => {
            let groups = rules.settings.unit_groups.iter().filter(|group| ids.contains(&group.id));
            Sight::Within(Condition::Any(groups.map(|group| group.condition.clone()).collect()).simplified())
        }
    }
}

/// A view of those end users of a system over whom somebody has a permission.
pub(crate) fn reader_for(
    state: &AppState,
    principal: &Principal,
    rules: &RuleSet,
    permission: Permission,
) -> Result<Reader, Problem> {
    view(state, &rules.system, &sight(principal, rules, permission))
}

/// A view of a system whose rules were just found.
pub(crate) fn view(state: &AppState, system: &SystemId, sight: &Sight) -> Result<Reader, Problem> {
    let gone = || Problem::new(Kind::Unavailable, "the system's rules have just gone: try again");
    state.engine.reader(system, sight).ok_or_else(gone)
}

/// Whether the request comes from this machine. Behind a proxy it does only when the proxy is trusted and says so:
/// a proxy on this machine must not make the whole world local.
fn is_local(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> bool {
    let Some(peer) = peer.map(|ip| ip.to_canonical()) else { return false };
    if headers.contains_key(header::FORWARDED) {
        return false;
    }
    let mut forwarded = headers.get_all(FORWARDED_FOR).iter().peekable();
    if forwarded.peek().is_none() {
        return peer.is_loopback();
    }
    // Every hop that is named must be local: the first is what the client claims, the others are what proxies saw.
    trusted.contains(&peer)
        && forwarded.all(|value| {
            let hops = value.to_str().unwrap_or_default().split(',');
            hops.map(|hop| hop.trim().parse::<IpAddr>()).all(|hop| hop.is_ok_and(|ip| ip.to_canonical().is_loopback()))
        })
}

/// The token of `Authorization: Bearer`, if that is what was sent.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who sends the request, and from where; 401 for who can't be told.
fn identify(parts: &Parts, state: &AppState) -> Result<Actor, Problem> {
    let principal = authenticate(&parts.method, &parts.headers, state)?;
    Ok(Actor { principal, address: client_address(parts, &state.config.server.trusted_proxies) })
}

/// Who sent the request: the bearer of its access token, else the operator in whose session it is; 401 without either.
fn authenticate(method: &Method, headers: &HeaderMap, state: &AppState) -> Result<Arc<Principal>, Problem> {
    if headers.contains_key(header::AUTHORIZATION) {
        return bearer(headers, state);
    }
    let signed_in = session(method, headers, state)?.ok_or_else(|| match session_id(headers, state) {
        Some(_) => Problem::logged_out(),
        None => Problem::unauthenticated(false),
    })?;
    if signed_in.lacks_second_factor {
        return Err(Problem::new(
            Kind::Forbidden,
            "every account here must have a second factor: set yours up first (POST /accounts/me/totp)",
        ));
    }
    Ok(signed_in.principal)
}

/// The bearer of the request's access token; 401 without a good one.
fn bearer(headers: &HeaderMap, state: &AppState) -> Result<Arc<Principal>, Problem> {
    let token = bearer_token(headers).ok_or_else(|| Problem::unauthenticated(false))?;
    state.accounts.authenticate(token).ok_or_else(|| {
        // The form of an integration token: the two are easily swapped.
        if token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Problem::unauthenticated(true).with_detail(
                "this is no access token; it looks like an integration token, which goes into the body as `token`",
            );
        }
        Problem::unauthenticated(true)
    })
}

fn session_id<'a>(headers: &'a HeaderMap, state: &AppState) -> Option<&'a str> {
    cookie::SESSION.read(headers, state.is_secure())
}

/// The session that the request's cookie stands for, if any. With one, a method that changes something is refused (403)
/// unless the page that sent it is one of ours.
fn session(method: &Method, headers: &HeaderMap, state: &AppState) -> Result<Option<SignedIn>, Problem> {
    let Some(id) = session_id(headers, state) else { return Ok(None) };
    let Some(signed_in) = state.accounts.signed_in(id, &state.rules.live()) else { return Ok(None) };
    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_safe && !is_own_origin(headers, &state.config.server.public_url) {
        return Err(Problem::foreign_origin());
    }
    Ok(Some(signed_in))
}

/// Whether the request says that it comes from a page of this server.
pub(super) fn is_own_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.next().is_some_and(|origin| origin.as_bytes() == public_url.as_bytes()) && origins.next().is_none()
}

fn demand(principal: &Principal, permission: Permission, system: Option<&SystemId>) -> Result<(), Problem> {
    if principal.may(permission, system) { Ok(()) } else { Err(Problem::lacking(permission)) }
}

/// 404 for a system that there is not, or that is to seem so.
pub(super) fn unknown_system(id: &str) -> Problem {
    Problem::not_found(format!("there is no system `{id}`, or none of its rules could be loaded yet"))
}

/// The live system of that id, for a caller with all those permissions in it: 403 comes before 404, so that nobody
/// learns which systems there are.
fn system_for(
    principal: &Principal,
    id: &str,
    permissions: &[Permission],
    live: &LiveRules,
) -> Result<Arc<RuleSet>, Problem> {
    let unknown = || unknown_system(id);
    let known = live.systems.get_key_value(id);
    let system = match known {
        Some((system, _)) => system.clone(),
        None => SystemId::new(id).map_err(|_| unknown())?,
    };
    for permission in permissions {
        demand(principal, *permission, Some(&system))?;
    }
    known.map(|(_, rules)| Arc::clone(rules)).ok_or_else(unknown)
}

fn param<'a>(params: &'a RawPathParams, name: &str) -> &'a str {
    // A route whose pattern lacks the name would be a mistake in the route table; an empty text is no id of anything.
    params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_a_bearer_token_is_taken() {
        assert_eq!(bearer_token(&with("authorization", "Bearer abc")), Some("abc"));
        assert_eq!(bearer_token(&with("authorization", "bearer  abc ")), Some("abc"));
        assert_eq!(bearer_token(&with("authorization", "Basic abc")), None);
        assert_eq!(bearer_token(&with("authorization", "Bearer")), None);
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }

    #[test]
    fn a_proxy_on_this_machine_does_not_make_the_world_local() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let remote: IpAddr = "203.0.113.9".parse().unwrap();
        let none = HeaderMap::new();
        assert!(is_local(Some(local), &none, &[]));
        assert!(is_local(Some("::ffff:127.0.0.1".parse().unwrap()), &none, &[]));
        assert!(is_local(Some("::1".parse().unwrap()), &none, &[]));
        assert!(!is_local(Some(remote), &none, &[]));
        assert!(!is_local(None, &none, &[]));
        let outside = with("x-forwarded-for", "203.0.113.9");
        assert!(!is_local(Some(local), &outside, &[]));
        assert!(!is_local(Some(local), &outside, &[local]));
        assert!(!is_local(Some(local), &with("x-forwarded-for", "127.0.0.1, 203.0.113.9"), &[local]));
        assert!(!is_local(Some(local), &with("forwarded", "for=127.0.0.1"), &[local]));
        let inside = with("x-forwarded-for", "127.0.0.1");
        assert!(is_local(Some(local), &inside, &[local]));
        assert!(!is_local(Some(local), &inside, &[]));
        assert!(!is_local(Some(remote), &inside, &[]));
    }

    #[test]
    fn only_ones_own_origin_is_ones_own() {
        let own = |origin: &str| is_own_origin(&with("origin", origin), "https://rollcall.example");
        assert!(own("https://rollcall.example"));
        for foreign in [
            "https://rollcall.example.evil",
            "https://rollcall.example:443",
            "http://rollcall.example",
            "https://rollcall.example/",
            "null",
            "",
        ] {
            assert!(!own(foreign), "{foreign}");
        }
        assert!(!is_own_origin(&HeaderMap::new(), "https://rollcall.example"));
        let mut twice = with("origin", "https://rollcall.example");
        twice.append("origin", HeaderValue::from_static("https://evil.example"));
        assert!(!is_own_origin(&twice, "https://rollcall.example"));
    }
}
