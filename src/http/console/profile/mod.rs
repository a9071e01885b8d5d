//! `/console/profile`: what operators see and change of their own account.
//!
//! Invariant: the key of a second factor is shown by the answer to the form that made it, and nowhere else.

mod qr;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{Failure, sentence, sentences};
use super::flash::Flash;
use super::form::Form;
use super::frame::{Frame, Section};
use super::people::method_of;
use super::visit::{Oneself, Posted, with_cookies};
use super::when::Moment;
use crate::accounts::{LoginMethod, ProfileError, Proof, SecondFactor, Secret, Session};
use crate::http::cookie;
use crate::http::problem::{Kind, Problem};
use qr::QrCode;

/// The page's address.
const PROFILE: &str = "/console/profile";

/// One of one's own sessions.
struct SessionRow {
    id: String,
    begun: Moment,
    used: Moment,
    address: String,
    agent: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "http/console/profile/profile.html")]
struct ProfilePage {
    frame: Frame,
    username: String,
    roles: String,
    method: &'static str,
    has_password: bool,
    factor: bool,
    required: bool,
    lacking: bool,
    sessions: Vec<SessionRow>,
    /// What is wrong, and with which form.
    wrong_password: Vec<String>,
    wrong_factor: Vec<String>,
}

fn profile_page(oneself: &Oneself) -> ProfilePage {
    let user = &oneself.signed_in.user;
    let current = oneself.signed_in.session.name();
    let row = |session: &Session| SessionRow {
        id: session.name(),
        begun: Moment::of(session.begun()),
        used: Moment::of(session.used()),
        address: session.address().to_string(),
        agent: session.agent().to_owned(),
        current: session.name() == current,
    };
    let accounts = &oneself.state.accounts;
    ProfilePage {
        frame: oneself.frame(Section::Profile),
        username: user.username.clone(),
        roles: user.roles.iter().collect::<Vec<_>>().join(", "),
        method: method_of(user),
        has_password: user.login_method == LoginMethod::Password,
        factor: user.totp.as_ref().is_some_and(SecondFactor::is_active),
        required: accounts.requires_second_factor(),
        lacking: oneself.signed_in.lacks_second_factor,
        sessions: accounts.own_sessions(&oneself.signed_in).iter().map(|session| row(session)).collect(),
        wrong_password: Vec::new(),
        wrong_factor: Vec::new(),
    }
}

/// The page.
pub(super) async fn page(oneself: Oneself) -> Response {
    oneself.show(StatusCode::OK, &profile_page(&oneself))
}

/// What one shows again before changing how the account is entered.
fn proof(form: &Form) -> Proof {
    Proof { password: Secret::new(form.raw("current_password").to_owned()), code: form.some("totp") }
}

/// The problem as sentences, if it is one for who fills in the form.
fn told(error: ProfileError) -> Result<(StatusCode, Vec<String>), Failure> {
    let problem = Problem::from(error);
    match problem.kind() {
        Kind::Refused | Kind::Conflict | Kind::TooManyRequests => Ok((problem.status(), sentences(&problem))),
        _ => Err(problem.into()),
    }
}

/// Changes the password. Every other session ends; this one goes on under a new cookie.
pub(super) async fn change_password(Posted { visit, form }: Posted<Oneself>) -> Result<Response, Failure> {
    let new = Secret::new(form.raw("password").to_owned());
    let accounts = &visit.state.accounts;
    match accounts.change_password(&visit.signed_in, proof(&form), new, visit.visitor.clone()).await {
        Ok(new) => {
            let cookie = cookie::SESSION.set(new.id.reveal(), new.lifetime_s, visit.state.is_secure());
            let flash = Flash::good("Your password was changed, and your other sessions have ended.");
            Ok(with_cookies(visit.done(PROFILE, &flash), [cookie]))
        }
        Err(error) => {
            let (status, wrong_password) = told(error)?;
            Ok(visit.show(status, &ProfilePage { wrong_password, ..profile_page(&visit) }))
        }
    }
}

#[derive(Template)]
#[template(path = "http/console/profile/factor.html")]
struct FactorPage {
    frame: Frame,
    wrong: Vec<String>,
    /// The drawing and the key; none when they were shown before.
    shown: Option<(QrCode, String)>,
}

/// Sets up a second factor; the answer shows its key.
pub(super) async fn enrol(Posted { visit, form }: Posted<Oneself>) -> Result<Response, Failure> {
    let accounts = &visit.state.accounts;
    match accounts.enrol_second_factor(&visit.signed_in, proof(&form), visit.visitor.clone()).await {
        Ok(enrolment) => {
            let code = QrCode::of(enrolment.uri.reveal())
                .ok_or_else(|| Problem::internal("a second factor's address fits no QR code"))?;
            let shown = Some((code, in_groups(enrolment.key.reveal())));
            let frame = visit.frame(Section::Profile);
            Ok(visit.show(StatusCode::OK, &FactorPage { frame, wrong: Vec::new(), shown }))
        }
        Err(error) => {
            let (status, wrong_factor) = told(error)?;
            Ok(visit.show(status, &ProfilePage { wrong_factor, ..profile_page(&visit) }))
        }
    }
}

/// A key as it is easily typed.
fn in_groups(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// Confirms the second factor with one of its codes.
pub(super) async fn confirm(Posted { visit, form }: Posted<Oneself>) -> Result<Response, Failure> {
    let code = form.field("totp").replace(' ', "");
    let accounts = &visit.state.accounts;
    match accounts.confirm_second_factor(&visit.signed_in, code, visit.visitor.clone()).await {
        Ok(()) => {
            Ok(visit.done(PROFILE, &Flash::good("Your second factor is on: log-in asks for its code from now on.")))
        }
        Err(ProfileError::NothingToConfirm) => {
            let said = sentence(&ProfileError::NothingToConfirm.to_string());
            Ok(visit.done(PROFILE, &Flash::bad(said)))
        }
        Err(error) => {
            let (status, wrong) = told(error)?;
            let frame = visit.frame(Section::Profile);
            Ok(visit.show(status, &FactorPage { frame, wrong, shown: None }))
        }
    }
}

/// Removes the second factor.
pub(super) async fn remove(Posted { visit, form }: Posted<Oneself>) -> Result<Response, Failure> {
    let accounts = &visit.state.accounts;
    match accounts.remove_second_factor(&visit.signed_in, proof(&form), visit.visitor.clone()).await {
        Ok(()) => Ok(visit.done(PROFILE, &Flash::good("Your second factor is off."))),
        Err(error) => {
            let (status, wrong_factor) = told(error)?;
            Ok(visit.show(status, &ProfilePage { wrong_factor, ..profile_page(&visit) }))
        }
    }
}

/// Ends one session, or all but this one.
pub(super) async fn end_sessions(Posted { visit, form }: Posted<Oneself>) -> Result<Response, Failure> {
    let accounts = &visit.state.accounts;
    let ended = match form.field("session") {
        "" => accounts.end_other_sessions(&visit.signed_in, visit.visitor.clone()).await.map_err(ProfileError::from),
        name => accounts.end_own_session(&visit.signed_in, name, visit.visitor.clone()).await,
    };
    match ended {
        Ok(()) if form.field("session").is_empty() => {
            Ok(visit.done(PROFILE, &Flash::good("Your other sessions have ended.")))
        }
        Ok(()) => Ok(visit.done(PROFILE, &Flash::good("The session has ended."))),
        Err(error @ ProfileError::UnknownSession(_)) => {
            Ok(visit.done(PROFILE, &Flash::bad(sentence(&error.to_string()))))
        }
        Err(error) => Err(error.into()),
    }
}
