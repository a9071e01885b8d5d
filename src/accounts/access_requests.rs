//! Requests for access, from people who have no account.
//!
//! Owns the requests from their arrival to the decision. Knows nothing of how fast they may come (the door to them is
//! open to all). Invariants: what is answered to whoever asks never tells whether there is an account; an address has one
//! open request at most; a request is decided once.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Accounts;
use super::access::whole_systems;
use super::audit::{Act, Actor, By};
use super::directory::{UserChange, folded};
use super::drafts::{UserDraft, check_text, is_address};
use super::fault::{Fault, summary};
use super::invitations::Offer;
use super::operators::UserError;
use super::secret::{NoRandomness, random};
use super::users::UserRecord;
use super::vault::{Change, RecordError, put, read_all, read_one};
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::ruleset::LiveRules;
use crate::store::Table;

/// Most open requests; what comes beyond them is dropped, as nobody would read it.
const MAX_OPEN: usize = 1000;
/// Most characters of a reason.
const MAX_REASON: usize = 2000;
/// How long a decided request is kept, in milliseconds: 90 days.
const KEPT_MS: i64 = 90 * 24 * 3600 * 1000;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestStatus {
    /// Nobody has decided yet.
    Pending,
    /// An account was made.
    Approved,
    /// None was.
    Denied,
}

/// A request, stored under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Its id.
    pub id: String,
    /// The address that asks.
    pub email: String,
    /// Their name, as they say.
    pub name: String,
    /// Why they ask.
    pub reason: String,
    /// Where it stands.
    pub status: RequestStatus,
    /// When it came.
    pub requested_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// The account that was made.
    pub username: Option<String>,
}

/// Why a request is not taken or decided.
#[derive(Debug, thiserror::Error)]
pub enum AccessRequestError {
    /// Something that was sent is no good.
    #[error("{}", summary(.0))]
    Invalid(Vec<Fault>),
    /// There is no such request.
    #[error("there is no access request `{0}`")]
    Unknown(String),
    /// It was decided before.
    #[error("the request was decided before: it is {}", match .0 { RequestStatus::Approved => "approved", _ => "denied" })]
    Decided(RequestStatus),
    /// The account can't be made.
    #[error(transparent)]
    User(#[from] UserError),
    /// A stored request can't be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is nothing to make an id of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// It can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Accounts {
    /// Takes a request. Who has an account is answered as everyone is, and nothing is kept.
    ///
    /// # Errors
    /// [`AccessRequestError::Invalid`], or it can't be read or written.
    pub async fn request_access(
        self: &Arc<Self>,
        email: String,
        name: String,
        reason: String,
    ) -> Result<(), AccessRequestError> {
        let mut faults = Vec::new();
        if !is_address(&email) {
            faults.push(Fault::new("/email", "email", "an e-mail address is needed, such as `name@example.com`"));
        }
        faults.extend(check_text(&name).err().map(|detail| Fault::new("/name", "text", detail)));
        if reason.chars().count() > MAX_REASON {
            faults.push(Fault::new("/reason", "text", format!("the reason is over {MAX_REASON} characters")));
        }
        if !faults.is_empty() {
            return Err(AccessRequestError::Invalid(faults));
        }
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let open = accounts.requests_where(|request| request.status == RequestStatus::Pending)?;
            let earlier = open.iter().find(|request| folded(&request.email) == folded(&email));
            if earlier.is_none() && open.len() >= MAX_OPEN {
                tracing::warn!("there are {MAX_OPEN} open access requests: another one was dropped");
                return Ok(());
            }
            let request = AccessRequest {
                id: earlier.map_or_else(new_id, |earlier| Ok(earlier.id.clone()))?,
                status: RequestStatus::Pending,
                requested_at: accounts.clock.now(),
                decided_at: None,
                decided_by: None,
                username: None,
                email,
                name,
                reason,
            };
            let mut change = put(Table::AccessRequests, &request.id, &request)?;
            if accounts.users.find(&request.email).is_some() {
                // Something is written for everyone, so that the answer takes as long for an address that has an account.
                change.2 = None;
            }
            Ok(accounts.vault.write(vec![change])?)
        })
        .await
    }

    /// Every request, the newest first.
    ///
    /// # Errors
    /// [`RecordError`] when they can't be read.
    pub fn access_requests(&self) -> Result<Vec<AccessRequest>, RecordError> {
        let mut requests = self.requests_where(|_| true)?;
        requests.sort_by(|one, other| (other.requested_at, &other.id).cmp(&(one.requested_at, &one.id)));
        Ok(requests)
    }

    /// Makes the account that was asked for, and mails its owner.
    ///
    /// # Errors
    /// [`AccessRequestError`]: unknown or decided before, the account can't be made, more than the actor may grant.
    pub async fn approve_access(
        self: &Arc<Self>,
        actor: Actor,
        id: String,
        offer: Offer,
        live: Arc<LiveRules>,
    ) -> Result<Arc<UserRecord>, AccessRequestError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let request = accounts.open_request(&id)?;
            let username = accounts.free_username(&request.email, &HashSet::new());
            let draft = draft_of(&request, username, offer);
            let (user, mut beside) = accounts.draft_user(&actor, &draft, true, &live).map_err(in_the_offer)?;
            let username = Some(user.username.clone());
            beside.extend(accounts.decide(&actor, request, RequestStatus::Approved, username)?);
            let user = Arc::new(user);
            accounts.commit_users(vec![UserChange::Put(Arc::clone(&user))], beside)?;
            Ok(user)
        })
        .await
    }

    /// Denies a request. Nobody is told.
    ///
    /// # Errors
    /// [`AccessRequestError`]: unknown or decided before, or it can't be written.
    pub async fn deny_access(self: &Arc<Self>, actor: Actor, id: String) -> Result<(), AccessRequestError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let request = accounts.open_request(&id)?;
            let changes = accounts.decide(&actor, request, RequestStatus::Denied, None)?;
            Ok(accounts.vault.write(changes)?)
        })
        .await
    }

    /// What drops requests that were decided long ago.
    pub(super) fn old_requests(&self) -> Result<Vec<Change>, RecordError> {
        let limit = self.clock.now().as_millis().saturating_sub(KEPT_MS);
        let old = self.requests_where(|request| request.decided_at.is_some_and(|at| at.as_millis() < limit))?;
        Ok(old.into_iter().map(|request| (Table::AccessRequests, request.id.into_bytes(), None)).collect())
    }

    fn requests_where(&self, wanted: impl Fn(&AccessRequest) -> bool) -> Result<Vec<AccessRequest>, RecordError> {
        let requests = read_all::<AccessRequest>(&*self.vault, Table::AccessRequests)?;
        Ok(requests.into_iter().map(|(_, request)| request).filter(wanted).collect())
    }

    fn open_request(&self, id: &str) -> Result<AccessRequest, AccessRequestError> {
        let request: Option<AccessRequest> = match id.len() {
            // Longer than any id: not looked for.
            65.. => None,
            _ => read_one(&*self.vault, Table::AccessRequests, id)?,
        };
        match request {
            None => Err(AccessRequestError::Unknown(id.to_owned())),
            Some(request) if request.status == RequestStatus::Pending => Ok(request),
            Some(request) => Err(AccessRequestError::Decided(request.status)),
        }
    }

    fn decide(
        &self,
        actor: &Actor,
        mut request: AccessRequest,
        status: RequestStatus,
        username: Option<String>,
    ) -> Result<Vec<Change>, WriteError> {
        let now = self.clock.now();
        request.status = status;
        request.decided_at = Some(now);
        request.decided_by = Some(actor.name().to_owned());
        request.username = username;
        let action = match status {
            RequestStatus::Approved => "access_request.approve",
            _ => "access_request.deny",
        };
        let told = json!({ "email": request.email, "name": request.name, "username": request.username });
        let act = Act::new(action, format!("access-requests/{}", request.id)).after(told);
        let entry = self.audit.record(&By::from(actor), act, now)?;
        Ok(vec![put(Table::AccessRequests, &request.id, &request)?, entry])
    }
}

fn new_id() -> Result<String, NoRandomness> {
    random::<12>().map(hex::encode)
}

fn draft_of(request: &AccessRequest, username: String, offer: Offer) -> UserDraft {
    let role = offer.role.unwrap_or_default();
    let (first_name, last_name) = request.name.split_once(' ').unwrap_or((&request.name, ""));
    UserDraft {
        username: Some(username),
        first_name: first_name.to_owned(),
        last_name: last_name.trim().to_owned(),
        email: Some(request.email.clone()),
        data_access: whole_systems(&role, &offer.systems.unwrap_or_default()),
        primary_role: Some(role),
        login_method: offer.login_method,
        sso_id: Some(offer.sso_id),
        ..UserDraft::default()
    }
}

fn in_the_offer(error: UserError) -> UserError {
    super::invitations::at("", error)
}
