//! Who opens a page, and whether they may: the extractors of every page.
//!
//! | extractor | lets in | for |
//! | --- | --- | --- |
//! | [`Oneself`] | operators who are logged in, also one who must set up a second factor first | GET |
//! | [`Visit<P>`] | operators with `P` account-wide (`needs::Nothing`: all of them) | GET |
//! | [`VisitAt<P>`] | operators with `P` in the system that the path names in `{s}` | GET |
//! | [`Posted<V>`] | whom `V` lets in, with a form that was made for their session | POST |
//!
//! Who is not logged in goes to log-in and comes back; who may not gets a page that says so. They stand on the guards of
//! `http/auth.rs`. Invariant: a form without its session's token, or from another site's page, reaches no handler, since
//! `Visit` and its like refuse what is not GET and [`Posted`] reads the token.

use std::ops::Deref;

use askama::Template;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::auth::{At, Demand, Gate, Own, Permit};
use super::super::cookie::Cookie;
use super::super::problem::{Kind, Problem};
use super::answer::{Failure, go_to, page, sentences};
use super::flash::{FLASH, FLASH_S, Flash};
use super::form::{Form, TOKEN};
use super::frame::{Frame, Section};
use crate::accounts::{Principal, SignedIn, Visitor};
use crate::http::AppState;
use crate::model::SystemId;

/// Which system's pages an operator saw last.
const LAST_SYSTEM: Cookie = Cookie::new("rollcall_system", "/console");
/// For how long that is remembered, in seconds: a season.
const LAST_SYSTEM_S: i64 = 90 * 24 * 3600;

/// The operator in whose session a page is made.
pub(in crate::http) struct Operator {
    pub(in crate::http) state: AppState,
    pub(in crate::http) signed_in: SignedIn,
    pub(in crate::http) visitor: Visitor,
    /// What the page before left to be said.
    said: Option<Flash>,
    /// The system whose pages were seen last, if the browser remembers one.
    last_system: Option<SystemId>,
}

impl Operator {
    async fn of(parts: &mut Parts, gate: &Gate) -> Result<Self, Turned> {
        let reading = matches!(parts.method, Method::GET | Method::HEAD);
        let own = Own::from_request_parts(parts, gate).await.map_err(|problem| match problem.kind() {
            Kind::Unauthenticated if reading => Turned::to(&log_in_and_back(parts)),
            Kind::Unauthenticated => Turned::to("/login"),
            _ => Turned::saying(problem),
        })?;
        let Own { state, signed_in, visitor } = own;
        let secure = state.is_secure();
        let cookie = |cookie: Cookie| cookie.read(&parts.headers, secure);
        let said = cookie(FLASH).and_then(Flash::from_cookie);
        let last_system = cookie(LAST_SYSTEM).and_then(|text| SystemId::new(text).ok());
        Ok(Self { state, signed_in, visitor, said, last_system })
    }

    /// What the operator may do.
    pub(in crate::http) fn principal(&self) -> &Principal {
        &self.signed_in.principal
    }

    /// The frame of a page that is of no system: the menu shows the system that was seen last.
    pub(in crate::http) fn frame(&self, section: Section) -> Frame {
        Frame::new(self, section, self.last_system.as_ref(), self.said.clone())
    }

    /// The frame of a page of a system.
    pub(in crate::http) fn frame_in(&self, section: Section, system: &SystemId) -> Frame {
        Frame::new(self, section, Some(system), self.said.clone())
    }

    /// A page as an answer: what was left to be said is said with it.
    pub(in crate::http) fn show(&self, status: StatusCode, template: &impl Template) -> Response {
        let mut answer = page(status, template);
        if self.said.is_some() {
            answer.headers_mut().append(header::SET_COOKIE, FLASH.clear(self.state.is_secure()));
        }
        answer
    }

    /// Sends the browser to a page of ours after a form, and says there how it went.
    pub(in crate::http) fn done(&self, path: &str, how: &Flash) -> Response {
        let cookie = FLASH.set(&how.to_cookie(), FLASH_S, self.state.is_secure());
        ([(header::SET_COOKIE, cookie)], go_to(path)).into_response()
    }

    /// A page within the frame that says what went wrong.
    pub(in crate::http) fn failed(&self, problem: &Problem) -> Response {
        let frame = self.frame(Section::Elsewhere);
        let text = sentences(problem).join(" ");
        self.show(problem.status(), &TroublePage { frame, title: problem.title(), text: &text })
    }

    fn remember(&self, system: &SystemId) -> Option<HeaderValue> {
        let known = self.last_system.as_ref() == Some(system);
        (!known).then(|| LAST_SYSTEM.set(system.as_str(), LAST_SYSTEM_S, self.state.is_secure()))
    }
}

#[derive(Template)]
#[template(path = "http/console/trouble.html")]
struct TroublePage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
}

/// An answer instead of the page that was asked for.
pub(in crate::http) struct Turned(Box<Response>);

impl Turned {
    fn to(path: &str) -> Self {
        Self(Box::new(go_to(path)))
    }
    fn saying(problem: Problem) -> Self {
        Self(Box::new(Failure::from(problem).into_response()))
    }
}

impl From<Response> for Turned {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        *self.0
    }
}

fn log_in_and_back(parts: &Parts) -> String {
    let here = parts.uri.path_and_query().map_or(super::HOME, |here| here.as_str());
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", here).finish();
    format!("/login?{query}")
}

/// What stands for who opens a page: [`Oneself`], [`Visit`] or [`VisitAt`].
pub(in crate::http) trait Admits: Deref + Sized {
    /// Lets the operator in, or says why not.
    fn admit(operator: Operator, parts: &mut Parts, gate: &Gate) -> impl Future<Output = Result<Self, Turned>> + Send;
    /// Who it is.
    fn operator(&self) -> &Operator;
}

/// An operator who is logged in, for what everybody may do with their own account.
pub(in crate::http) struct Oneself(Operator);

/// An operator who may do `P` account-wide.
pub(in crate::http) struct Visit<P> {
    pub(in crate::http) operator: Operator,
    permit: Permit<P>,
}

/// An operator who may do `P` in the system that the path names.
pub(in crate::http) struct VisitAt<P> {
    pub(in crate::http) operator: Operator,
    at: At<P>,
}

impl Deref for Oneself {
    type Target = Operator;
    fn deref(&self) -> &Operator {
        &self.0
    }
}

impl<P> Deref for Visit<P> {
    type Target = Permit<P>;
    fn deref(&self) -> &Permit<P> {
        &self.permit
    }
}

impl<P> Deref for VisitAt<P> {
    type Target = At<P>;
    fn deref(&self) -> &At<P> {
        &self.at
    }
}

impl Admits for Oneself {
    async fn admit(operator: Operator, _: &mut Parts, _: &Gate) -> Result<Self, Turned> {
        Ok(Self(operator))
    }
    fn operator(&self) -> &Operator {
        &self.0
    }
}

impl<P: Demand> Admits for Visit<P> {
    async fn admit(operator: Operator, parts: &mut Parts, gate: &Gate) -> Result<Self, Turned> {
        has_second_factor(&operator)?;
        match Permit::from_request_parts(parts, gate).await {
            Ok(permit) => Ok(Self { operator, permit }),
            Err(problem) => Err(operator.failed(&problem).into()),
        }
    }
    fn operator(&self) -> &Operator {
        &self.operator
    }
}

impl<P: Demand> Admits for VisitAt<P> {
    async fn admit(operator: Operator, parts: &mut Parts, gate: &Gate) -> Result<Self, Turned> {
        has_second_factor(&operator)?;
        match At::from_request_parts(parts, gate).await {
            Ok(at) => Ok(Self { operator, at }),
            Err(problem) => Err(operator.failed(&problem).into()),
        }
    }
    fn operator(&self) -> &Operator {
        &self.operator
    }
}

/// Who must set up a second factor does that first.
fn has_second_factor(operator: &Operator) -> Result<(), Turned> {
    if operator.signed_in.lacks_second_factor { Err(Turned::to("/console/profile")) } else { Ok(()) }
}

impl<P> Visit<P> {
    /// The frame of the page.
    pub(in crate::http) fn frame(&self, section: Section) -> Frame {
        self.operator.frame(section)
    }
    /// A page as an answer.
    pub(in crate::http) fn show(&self, status: StatusCode, template: &impl Template) -> Response {
        self.operator.show(status, template)
    }
    /// Sends the browser on after a form, and says there how it went.
    pub(in crate::http) fn done(&self, path: &str, how: &Flash) -> Response {
        self.operator.done(path, how)
    }
    /// A page that says what went wrong.
    pub(in crate::http) fn failed(&self, problem: impl Into<Problem>) -> Response {
        self.operator.failed(&problem.into())
    }
}

impl<P> VisitAt<P> {
    /// The frame of the page.
    pub(in crate::http) fn frame(&self, section: Section) -> Frame {
        self.operator.frame_in(section, self.system())
    }
    /// A page as an answer; the browser remembers its system.
    pub(in crate::http) fn show(&self, status: StatusCode, template: &impl Template) -> Response {
        let mut answer = self.operator.show(status, template);
        let remembered = self.operator.remember(self.system());
        answer.headers_mut().extend(remembered.map(|cookie| (header::SET_COOKIE, cookie)));
        answer
    }
    /// Sends the browser on after a form, and says there how it went.
    pub(in crate::http) fn done(&self, path: &str, how: &Flash) -> Response {
        self.operator.done(path, how)
    }
    /// A page that says what went wrong.
    pub(in crate::http) fn failed(&self, problem: impl Into<Problem>) -> Response {
        self.operator.failed(&problem.into())
    }
    /// A path below `/console/systems/{s}/`.
    pub(in crate::http) fn path(&self, below: &str) -> String {
        format!("/console/systems/{}/{below}", self.system())
    }
}

async fn opened<V: Admits>(parts: &mut Parts, gate: &Gate) -> Result<V, Turned> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Turned::saying(Problem::internal("a page takes a form without looking at its token")));
    }
    V::admit(Operator::of(parts, gate).await?, parts, gate).await
}

impl FromRequestParts<Gate> for Oneself {
    type Rejection = Turned;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Turned> {
        opened(parts, gate).await
    }
}

impl<P: Demand> FromRequestParts<Gate> for Visit<P> {
    type Rejection = Turned;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Turned> {
        opened(parts, gate).await
    }
}

impl<P: Demand> FromRequestParts<Gate> for VisitAt<P> {
    type Rejection = Turned;
    async fn from_request_parts(parts: &mut Parts, gate: &Gate) -> Result<Self, Turned> {
        opened(parts, gate).await
    }
}

/// A form, from someone whom `V` lets in, that was made for their session.
pub(in crate::http) struct Posted<V> {
    /// Who sends it.
    pub(in crate::http) visit: V,
    /// What it says.
    pub(in crate::http) form: Form,
}

impl<V: Admits + Send> FromRequest<Gate> for Posted<V> {
    type Rejection = Turned;
    async fn from_request(request: Request, gate: &Gate) -> Result<Self, Turned> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::of(&mut parts, gate).await?;
        let visit = V::admit(operator, &mut parts, gate).await?;
        let public_url = visit.operator().state.config.server.public_url.clone();
        let request = Request::from_parts(parts, body);
        let form = Form::read(request, &public_url).await.map_err(Turned::saying)?;
        let Operator { state, signed_in, .. } = visit.operator();
        if !state.accounts.is_form_token(&signed_in.session, form.field(TOKEN)) {
            return Err(visit.operator().failed(&stale()).into());
        }
        Ok(Self { visit, form })
    }
}

fn stale() -> Problem {
    let detail = "this form was made for another session, so nothing was changed: go back, load the page again, and send it from there";
    Problem::new(Kind::Forbidden, detail)
}

/// Headers of an answer that also begins or ends a session.
pub(in crate::http) fn with_cookies(mut answer: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let headers: &mut HeaderMap = answer.headers_mut();
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    answer
}
