//! `/admin/v1/clients`: OAuth clients, the machines that call the API.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{Permit, needs};
use super::super::body::JsonBody;
use super::super::page::{ListPage, Page, PageQuery};
use super::super::problem::Problem;
use super::invitations::Systems;
use crate::accounts::{Client, ClientDraft, ClientError, Secret};
use crate::model::Timestamp;

/// A client.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClientResponse {
    client_id: String,
    /// What it is for.
    description: String,
    role: String,
    /// The systems in which it may act, by id; `*` alone: every one, later ones too.
    systems: Vec<String>,
    /// Whether it gets tokens, and those that it has are taken.
    enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&Client> for ClientResponse {
    fn from(client: &Client) -> Self {
        let every = || vec!["*".to_owned()];
        Self {
            client_id: client.id.clone(),
            description: client.description.clone(),
            role: client.role.clone(),
            systems: client.systems.as_ref().map_or_else(every, |some| some.iter().map(ToString::to_string).collect()),
            enabled: client.enabled,
            created_at: client.created_at,
        }
    }
}

/// A client with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretResponse {
    /// Keep it: only its hash is stored.
    client_secret: String,
    #[serde(flatten)]
    client: ClientResponse,
}

/// What is said of a client.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientRequest {
    /// Left out, one is made.
    client_id: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Its role.
    role: Option<String>,
    /// `*`: every system, later ones too, which is also what a new client gets where it is left out. A change has to name it.
    systems: Option<Systems>,
}

impl From<ClientRequest> for ClientDraft {
    fn from(request: ClientRequest) -> Self {
        Self {
            id: request.client_id,
            description: request.description.unwrap_or_default(),
            role: request.role.unwrap_or_default(),
            systems: request.systems.map(Systems::into_list),
        }
    }
}

/// List clients
#[utoipa::path(
    get, path = "/admin/v1/clients", operation_id = "list_clients", tag = "Clients",
    params(PageQuery),
    responses(
        (status = 200, description = "The clients, by id", body = ListPage<ClientResponse>),
        (status = 400, description = "No such limit or cursor"),
    ),
    security(("oauth2" = ["clients:read"])),
)]
pub(crate) async fn list(permit: Permit<needs::ClientsRead>, page: Page) -> Json<ListPage<ClientResponse>> {
    let clients = permit.state.accounts.clients();
    Json(page.of(clients.iter().map(|client| (client.id.clone(), ClientResponse::from(&**client)))))
}

/// One client
#[utoipa::path(
    get, path = "/admin/v1/clients/{client_id}", operation_id = "get_client", tag = "Clients",
    params(("client_id" = String, Path, description = "The client's id")),
    responses(
        (status = 200, description = "The client", body = ClientResponse),
        (status = 404, description = "Unknown client"),
    ),
    security(("oauth2" = ["clients:read"])),
)]
pub(crate) async fn show(
    permit: Permit<needs::ClientsRead>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ClientResponse>, Problem> {
    let Path(id) = id?;
    let client = permit.state.accounts.client(&id).ok_or(ClientError::Unknown(id))?;
    Ok(Json(ClientResponse::from(&*client)))
}

/// Create a client
///
/// The answer has its secret, which is not shown again.
#[utoipa::path(
    post, path = "/admin/v1/clients", operation_id = "create_client", tag = "Clients",
    request_body = ClientRequest,
    responses(
        (status = 201, description = "The client with its secret", body = SecretResponse),
        (status = 403, description = "`clients:write` is lacking, or the caller would grant what it does not have"),
        (status = 409, description = "There is a client of this id"),
        (status = 422, description = "A bad id; an unknown role or system"),
    ),
    security(("oauth2" = ["clients:write"])),
)]
pub(crate) async fn create(
    permit: Permit<needs::ClientsWrite>,
    JsonBody(request): JsonBody<ClientRequest>,
) -> Result<Response, Problem> {
    let live = permit.state.rules.live();
    let (client, secret) = permit.state.accounts.create_client(permit.actor, request.into(), live).await?;
    Ok(with_secret(StatusCode::CREATED, &client, &secret))
}

/// Change a client's role, systems and description
///
/// It counts at once, for the tokens that the client has, too.
#[utoipa::path(
    put, path = "/admin/v1/clients/{client_id}", operation_id = "put_client", tag = "Clients",
    params(("client_id" = String, Path, description = "The client's id")),
    request_body = ClientRequest,
    responses(
        (status = 200, description = "The client", body = ClientResponse),
        (status = 403, description = "`clients:write` is lacking, or the caller would grant what it does not have"),
        (status = 404, description = "Unknown client"),
        (status = 422, description = "Another id; an unknown role or system; no systems"),
    ),
    security(("oauth2" = ["clients:write"])),
)]
pub(crate) async fn put(
    permit: Permit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
    JsonBody(request): JsonBody<ClientRequest>,
) -> Result<Json<ClientResponse>, Problem> {
    let Path(id) = id?;
    let live = permit.state.rules.live();
    let client = permit.state.accounts.put_client(permit.actor, id, request.into(), live).await?;
    Ok(Json(ClientResponse::from(&*client)))
}

/// Give a client a new secret
///
/// The old secret and every access token end at once.
#[utoipa::path(
    post, path = "/admin/v1/clients/{client_id}/rotate", operation_id = "rotate_client_secret", tag = "Clients",
    params(("client_id" = String, Path, description = "The client's id")),
    responses(
        (status = 200, description = "The client with its new secret", body = SecretResponse),
        (status = 403, description = "`clients:write` is lacking, or the client may more than the caller"),
        (status = 404, description = "Unknown client"),
    ),
    security(("oauth2" = ["clients:write"])),
)]
pub(crate) async fn rotate(
    permit: Permit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let (client, secret) = permit.state.accounts.rotate_client_secret(permit.actor, id).await?;
    Ok(with_secret(StatusCode::OK, &client, &secret))
}

/// Disable a client
///
/// Its access tokens end at once, for good.
#[utoipa::path(
    post, path = "/admin/v1/clients/{client_id}/disable", operation_id = "disable_client", tag = "Clients",
    params(("client_id" = String, Path, description = "The client's id")),
    responses((status = 204, description = "Disabled"), (status = 404, description = "Unknown client")),
    security(("oauth2" = ["clients:write"])),
)]
pub(crate) async fn disable(
    permit: Permit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    set_enabled(permit, id, false).await
}

/// Enable a client
#[utoipa::path(
    post, path = "/admin/v1/clients/{client_id}/enable", operation_id = "enable_client", tag = "Clients",
    params(("client_id" = String, Path, description = "The client's id")),
    responses((status = 204, description = "Enabled"), (status = 404, description = "Unknown client")),
    security(("oauth2" = ["clients:write"])),
)]
pub(crate) async fn enable(
    permit: Permit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    set_enabled(permit, id, true).await
}

async fn set_enabled(
    permit: Permit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
    enabled: bool,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    permit.state.accounts.set_client_enabled(permit.actor, id, enabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_secret(status: StatusCode, client: &Client, secret: &Secret) -> Response {
    let body = SecretResponse { client_secret: secret.reveal().to_owned(), client: ClientResponse::from(client) };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
