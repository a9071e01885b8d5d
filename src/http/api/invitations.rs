//! `/admin/v1/invitations`: many users at once, from addresses as people paste them.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{Permit, needs};
use super::super::body::JsonBody;
use super::super::problem::Problem;
use crate::accounts::{InvitationOutcome, Invited, Invitee, LoginMethod, Offer};

/// Who is invited to what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationsRequest {
    /// Up to 1,000 addresses.
    emails: Emails,
    /// The role of everyone who has none of their own here.
    role: Option<String>,
    systems: Option<Systems>,
    /// `password` or `sso`
    #[schema(value_type = Option<String>)]
    login_method: Option<LoginMethod>,
    /// By what the identity provider knows them; for one address.
    sso_id: Option<String>,
}

/// Addresses: a text, a list of texts, or a list of objects whose own keys win. In a text, `;`, `,`, blanks, tabs and line
/// breaks separate, in any mix.
#[derive(Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "`emails` must be a text, a list of texts, or a list of objects with `email` in them (and `role`, `systems`, `login_method`, `sso_id`, `first_name`, `last_name`)"
)]
enum Emails {
    /// As pasted.
    Text(String),
    /// One or more each.
    List(Vec<EmailItem>),
}

/// One of a list.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum EmailItem {
    /// As pasted.
    Text(String),
    /// With what is particular to it.
    Object(InviteeRequest),
}

/// An address with what is particular to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InviteeRequest {
    email: String,
    first_name: Option<String>,
    last_name: Option<String>,
    role: Option<String>,
    systems: Option<Systems>,
    #[schema(value_type = Option<String>)]
    login_method: Option<LoginMethod>,
    sso_id: Option<String>,
}

/// The systems in which the role counts, over every end user: a list of ids or names, or one; `*` is every system.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "`systems` must be a list of systems' ids or names, or `*`")]
pub(crate) enum Systems {
    /// One.
    One(String),
    /// Several.
    List(Vec<String>),
}

impl Systems {
    /// As a list.
    pub(crate) fn into_list(self) -> Vec<String> {
        match self {
            Self::One(system) => vec![system],
            Self::List(systems) => systems,
        }
    }
}

/// What came of each address.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvitationsResponse {
    /// Each address once.
    items: Vec<InvitationItem>,
}

/// What came of one address.
#[derive(Serialize, ToSchema)]
struct InvitationItem {
    email: String,
    /// `invited`, `exists` (left untouched) or `invalid`.
    result: &'static str,
    /// The user's name; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

impl From<InvitationOutcome> for InvitationItem {
    fn from(outcome: InvitationOutcome) -> Self {
        let result = match outcome.result {
            Invited::Invited => "invited",
            Invited::Exists => "exists",
            Invited::Invalid => "invalid",
        };
        Self { email: outcome.email, result, username: outcome.username }
    }
}

/// Invite people
///
/// Each gets an account and a mail with a link to activate it. Addresses are compared without case.
#[utoipa::path(
    post, path = "/admin/v1/invitations", operation_id = "invite", tag = "Users",
    request_body = InvitationsRequest,
    responses(
        (status = 200, description = "What came of each address", body = InvitationsResponse),
        (status = 403, description = "`users:invite` is lacking, or the caller would grant what it does not have"),
        (status = 409, description = "Another user has this `sso_id`"),
        (status = 422, description = "No addresses or over 1,000; an unknown role or system. Nobody is invited"),
    ),
    security(("oauth2" = ["users:invite"])),
)]
pub(crate) async fn invite(
    permit: Permit<needs::UsersInvite>,
    JsonBody(request): JsonBody<InvitationsRequest>,
) -> Result<Json<InvitationsResponse>, Problem> {
    let InvitationsRequest { emails, role, systems, login_method, sso_id } = request;
    let all = Offer { role, systems: systems.map(Systems::into_list), login_method, sso_id };
    let invitees = invitees(emails);
    let live = permit.state.rules.live();
    let outcomes = permit.state.accounts.invite(permit.actor, invitees, all, live).await?;
    Ok(Json(InvitationsResponse { items: outcomes.into_iter().map(InvitationItem::from).collect() }))
}

fn invitees(emails: Emails) -> Vec<Invitee> {
    let items = match emails {
        Emails::Text(text) => vec![EmailItem::Text(text)],
        Emails::List(items) => items,
    };
    let invitee = |(number, item)| match item {
        // What is wrong with one of these is wrong with what all get.
        EmailItem::Text(email) => Invitee { email, ..Invitee::default() },
        EmailItem::Object(request) => {
            let InviteeRequest { email, first_name, last_name, role, systems, login_method, sso_id } = request;
            Invitee {
                email,
                first_name: first_name.unwrap_or_default(),
                last_name: last_name.unwrap_or_default(),
                own: Offer { role, systems: systems.map(Systems::into_list), login_method, sso_id },
                pointer: format!("/emails/{number}"),
            }
        }
    };
    items.into_iter().enumerate().map(invitee).collect()
}
