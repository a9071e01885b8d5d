//! The token endpoints (RFC 6749, client credentials), revocation (RFC 7009) and their description (RFC 8414).
//!
//! Reads a request's parameters as the RFC and as people write them: form-encoded, or a JSON object, whatever the
//! media type says; the client by HTTP Basic or in the body. Knows nothing of how a secret is checked or a token made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Public;
use super::super::body;
use super::super::problem::{OAuthErrorDocument, OAuthProblem, Problem};
use super::super::visitor::AtDoor;
use crate::accounts::{Accounts, Client, ClientAttempt, IssuedToken, TokenError};
use crate::http::AppState;
use crate::model::Permission;

/// Life of a token from `/accounts/connect/token`, in seconds: a day.
const CONNECT_LIFETIME_S: u64 = 86_400;
/// Life of a token from `/oauth/{company}/token`, in seconds: an hour.
const OAUTH_LIFETIME_S: u64 = 3_600;
/// Largest body of a token request, in bytes.
const BODY_LIMIT: usize = 16 * 1024;

/// What a token request sends, form-encoded or as JSON.
#[derive(ToSchema)]
#[schema(as = TokenRequest)]
#[expect(dead_code, reason = "describes the body, which is read by parameter name")]
pub(crate) struct TokenRequest {
    /// `client_credentials`.
    grant_type: String,
    /// The scopes wanted, with spaces between; left out: all that the client has.
    scope: Option<String>,
    /// The client, where HTTP Basic is not used.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
}

/// A new access token.
#[derive(ToSchema)]
#[schema(as = TokenResponse)]
#[expect(dead_code, reason = "describes the answer, which the accounts make")]
pub(crate) struct TokenResponse {
    /// To be sent as `Authorization: Bearer <access_token>`.
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// Seconds that it lives.
    expires_in: u64,
    /// The scopes that it has, with spaces between.
    scope: String,
}

/// What a revocation sends.
#[derive(ToSchema)]
#[schema(as = RevocationRequest)]
#[expect(dead_code, reason = "describes the body, which is read by parameter name")]
pub(crate) struct RevocationRequest {
    /// The access token to end.
    token: String,
    /// `access_token`; ignored.
    token_type_hint: Option<String>,
    /// The client, where HTTP Basic is not used.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
}

/// Get an access token that lives for a day
///
/// The client authenticates with HTTP Basic, or with `client_id` and `client_secret` in the body.
#[utoipa::path(
    post, path = "/accounts/connect/token", operation_id = "connect_token", tag = "Access tokens",
    request_body(content((TokenRequest = "application/x-www-form-urlencoded"), (TokenRequest = "application/json"))),
    responses(
        (status = 200, description = "A new access token", body = TokenResponse),
        (status = 400, description = "invalid_request, unsupported_grant_type or invalid_scope", body = OAuthErrorDocument),
        (status = 401, description = "invalid_client", body = OAuthErrorDocument),
        (status = 429, description = "Too many wrong secrets: see Retry-After", body = OAuthErrorDocument),
    ),
)]
pub(crate) async fn connect(public: Public, at: AtDoor, request: Request) -> Result<Response, OAuthProblem> {
    issue(&public.state, at.0.address, request, CONNECT_LIFETIME_S).await
}

/// Get an access token that lives for an hour
///
/// The client authenticates with HTTP Basic, or with `client_id` and `client_secret` in the body.
#[utoipa::path(
    post, path = "/oauth/{company}/token", operation_id = "oauth_token", tag = "Access tokens",
    params(("company" = String, Path, description = "The company's name, `auth.company` in the server's configuration")),
    request_body(content((TokenRequest = "application/x-www-form-urlencoded"), (TokenRequest = "application/json"))),
    responses(
        (status = 200, description = "A new access token", body = TokenResponse),
        (status = 400, description = "invalid_request, unsupported_grant_type or invalid_scope", body = OAuthErrorDocument),
        (status = 401, description = "invalid_client", body = OAuthErrorDocument),
        (status = 429, description = "Too many wrong secrets: see Retry-After", body = OAuthErrorDocument),
        (status = 404, description = "Another company"),
    ),
)]
pub(crate) async fn oauth(
    public: Public,
    at: AtDoor,
    company: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    if !company.is_ok_and(|Path(company)| company == public.state.config.auth.company) {
        return Problem::not_found("there is no such company here").into_response();
    }
    issue(&public.state, at.0.address, request, OAUTH_LIFETIME_S).await.into_response()
}

async fn issue(state: &AppState, address: IpAddr, request: Request, lifetime_s: u64) -> Result<Response, OAuthProblem> {
    let request = ClientRequest::read(request).await?;
    match request.parameter("grant_type") {
        Some("client_credentials") => {}
        Some(_) => return Err(OAuthProblem::UnsupportedGrantType),
        None => return Err(OAuthProblem::InvalidRequest("grant_type is missing: send client_credentials".to_owned())),
    }
    let issued = request.issue(&state.accounts, address, request.parameter("scope"), lifetime_s)?;
    Ok(not_stored(Json(issued)))
}

/// End an access token before its time
#[utoipa::path(
    post, path = "/oauth/revoke", operation_id = "revoke_token", tag = "Access tokens",
    request_body(content((RevocationRequest = "application/x-www-form-urlencoded"), (RevocationRequest = "application/json"))),
    responses(
        (status = 200, description = "The token is good for nothing now, or was so before"),
        (status = 400, description = "invalid_request, or unauthorized_client for another client's token", body = OAuthErrorDocument),
        (status = 401, description = "invalid_client", body = OAuthErrorDocument),
        (status = 429, description = "Too many wrong secrets: see Retry-After", body = OAuthErrorDocument),
        (status = 503, description = "temporarily_unavailable", body = OAuthErrorDocument),
    ),
)]
pub(crate) async fn revoke(public: Public, at: AtDoor, request: Request) -> Result<Response, OAuthProblem> {
    let state = public.state;
    let request = ClientRequest::read(request).await?;
    let client = request.client(&state.accounts, at.0.address)?;
    let token = request
        .parameter("token")
        .ok_or_else(|| OAuthProblem::InvalidRequest("token is missing: send the access token to end".to_owned()))?;
    // RFC 7009: a token that is no good any more is no error.
    if state.accounts.authenticate(token).is_some_and(|principal| principal.name != client.id) {
        return Err(OAuthProblem::UnauthorizedClient);
    }
    state.accounts.revoke(&client.id, token).await.map_err(|error| {
        tracing::warn!(%error, "a token could not be revoked");
        OAuthProblem::Unavailable
    })?;
    Ok(not_stored(StatusCode::OK))
}

fn not_stored(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A request of a client: its credentials and the body's parameters.
#[derive(Debug)]
struct ClientRequest {
    /// Ways to read the credentials, the right one first.
    credentials: Vec<(String, String)>,
    parameters: HashMap<String, String>,
}

impl ClientRequest {
    async fn read(request: Request) -> Result<Self, OAuthProblem> {
        let headers = request.headers().clone();
        let body = body::read(request, BODY_LIMIT).await.map_err(|_| {
            OAuthProblem::InvalidRequest(format!("the body must be there and under {BODY_LIMIT} bytes"))
        })?;
        Self::parse(&headers, &body)
    }

    fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthProblem> {
        let parameters = parameters(headers, body)?;
        let basic = basic_credentials(headers)?;
        let in_body = parameters.get("client_id");
        let credentials = match basic {
            Some(basic) => {
                if in_body.is_some_and(|id| basic.iter().all(|(basic_id, _)| basic_id != id)) {
                    let what = "the client_id of the body is not that of the Authorization header: send one of them";
                    return Err(OAuthProblem::InvalidRequest(what.to_owned()));
                }
                basic
            }
            None => {
                let id = in_body.ok_or(OAuthProblem::InvalidClient)?;
                let secret = parameters.get("client_secret").ok_or(OAuthProblem::InvalidClient)?;
                vec![(id.clone(), secret.clone())]
            }
        };
        Ok(Self { credentials, parameters })
    }

    /// A parameter that was sent and is not empty (RFC 6749, 3.2: an empty one counts as left out).
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn issue(
        &self,
        accounts: &Accounts,
        address: IpAddr,
        scope: Option<&str>,
        lifetime_s: u64,
    ) -> Result<IssuedToken, OAuthProblem> {
        let attempt = self.check(accounts, address)?;
        let mut refused = TokenError::InvalidClient;
        for (id, secret) in &self.credentials {
            match accounts.issue_token(id, secret, scope, lifetime_s) {
                Ok(issued) => {
                    attempt.succeed();
                    return Ok(issued);
                }
                Err(TokenError::InvalidClient) => {}
                Err(error) => refused = error,
            }
        }
        if refused == TokenError::InvalidClient {
            attempt.fail();
        }
        Err(refused.into())
    }

    /// Guesses at a secret are slowed down by the id that comes with them.
    fn check(&self, accounts: &Accounts, address: IpAddr) -> Result<ClientAttempt, OAuthProblem> {
        let id = self.credentials.first().map_or("", |(id, _)| id.as_str());
        Ok(accounts.check_client_attempt(id, address)?)
    }

    /// The client that sent it.
    fn client(&self, accounts: &Accounts, address: IpAddr) -> Result<Arc<Client>, OAuthProblem> {
        let attempt = self.check(accounts, address)?;
        let good = self.credentials.iter().find_map(|(id, secret)| accounts.authenticate_client(id, secret).ok());
        if good.is_some() {
            attempt.succeed();
        } else {
            attempt.fail();
        }
        good.ok_or(OAuthProblem::InvalidClient)
    }
}

/// Reads the body of a token request from nowhere: for `fuzzing`.
pub(crate) fn read_nonsense(body: &[u8]) {
    // Whatever it is, it is told as RFC 6749 has it.
    let _ = ClientRequest::parse(&HeaderMap::new(), body).map_err(IntoResponse::into_response);
}

/// The parameters of the body. A body that begins with `{` is JSON whatever its media type says: `curl --data` calls
/// everything form-encoded.
fn parameters(headers: &HeaderMap, body: &[u8]) -> Result<HashMap<String, String>, OAuthProblem> {
    let invalid = |what: &str| OAuthProblem::InvalidRequest(what.to_owned());
    let declared_json = body::media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if declared_json || body.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice::<UniqueParameters>(body).map(|unique| unique.0).map_err(|_| {
            invalid("the body is no JSON object of strings with each key once, such as {'grant_type': 'client_credentials'}")
        });
    }
    let mut parameters = HashMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(invalid("a parameter was sent twice"));
        }
    }
    Ok(parameters)
}

/// A JSON object of strings in which no key is repeated. A null counts as left out.
struct UniqueParameters(HashMap<String, String>);

impl<'de> serde::Deserialize<'de> for UniqueParameters {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = UniqueParameters;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parameters = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
                    if parameters.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a key is repeated"));
                    }
                }
                let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
                Ok(UniqueParameters(given.collect()))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// The credentials of `Authorization: Basic`. RFC 6749 (2.3.1) has both parts form-encoded before, which `curl` and
/// most others do not do: the decoded reading comes first, the literal one second where it differs.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<Vec<(String, String)>>, OAuthProblem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let pair = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((id, secret)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else {
        return Err(OAuthProblem::InvalidClient);
    };
    let decoded = (form_decoded(id), form_decoded(secret));
    let literal = (id.to_owned(), secret.to_owned());
    Ok(Some(if decoded == literal { vec![decoded] } else { vec![decoded, literal] }))
}

/// One form-encoded text, decoded.
fn form_decoded(text: &str) -> String {
    // As the value of a parameter without name; `&` would begin another one, so it counts as itself.
    let parameter = format!("={}", text.replace('&', "%26"));
    form_urlencoded::parse(parameter.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Where and how tokens are given (RFC 8414).
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorizationServer {
    issuer: String,
    token_endpoint: String,
    revocation_endpoint: String,
    grant_types_supported: [&'static str; 1],
    /// Empty: there is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 2],
    scopes_supported: Vec<&'static str>,
    service_documentation: String,
}

/// Describes the token endpoints
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", operation_id = "authorization_server", tag = "Access tokens",
    responses((status = 200, description = "The authorization server's metadata", body = AuthorizationServer)),
)]
pub(crate) async fn metadata(public: Public) -> Json<AuthorizationServer> {
    let config = &public.state.config;
    let (url, company) = (&config.server.public_url, &config.auth.company);
    Json(AuthorizationServer {
        issuer: url.clone(),
        token_endpoint: format!("{url}/oauth/{company}/token"),
        revocation_endpoint: format!("{url}/oauth/revoke"),
        grant_types_supported: ["client_credentials"],
        response_types_supported: [],
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        revocation_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        scopes_supported: Permission::ALL.iter().map(|permission| permission.as_str()).collect(),
        service_documentation: format!("{url}/docs"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(pair: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(pair)).parse().unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    fn json(body: &str) -> Result<ClientRequest, OAuthProblem> {
        ClientRequest::parse(&basic("id:secret"), body.as_bytes())
    }

    #[test]
    fn a_form_and_a_json_object_say_the_same() {
        let form = ClientRequest::parse(&basic("id:secret"), b"grant_type=client_credentials&scope=a+b").unwrap();
        assert_eq!(form.parameter("grant_type"), Some("client_credentials"));
        assert_eq!(form.parameter("scope"), Some("a b"));
        let object = json(r#" {"grant_type":"client_credentials","scope":""}"#).unwrap();
        assert_eq!(object.parameter("grant_type"), Some("client_credentials"));
        assert_eq!(object.parameter("scope"), None, "an empty parameter counts as left out");
        let null = json(r#"{"grant_type":"client_credentials","scope":null}"#).unwrap();
        assert_eq!((null.parameter("grant_type"), null.parameter("scope")), (Some("client_credentials"), None));
        assert_eq!(json("").unwrap().parameter("grant_type"), None);
    }

    #[test]
    fn bodies_that_can_be_read_two_ways_are_refused() {
        for bad in [
            "{\"grant_type\":1}",
            "{[\"grant_type\" : \"client_credentials\"]}",
            "{\"scope\":\"a\",\"scope\":\"b\"}",
            "{\"scope\":null,\"scope\":\"b\"}",
            "scope=a&scope=b",
        ] {
            assert!(matches!(json(bad), Err(OAuthProblem::InvalidRequest(_))), "{bad}");
        }
    }

    #[test]
    fn credentials_come_by_basic_or_in_the_body_and_must_agree() {
        let of = |headers: &HeaderMap, body: &str| {
            ClientRequest::parse(headers, body.as_bytes()).map(|request| request.credentials)
        };
        let pair = |id: &str, secret: &str| (id.to_owned(), secret.to_owned());
        let none = HeaderMap::new();
        assert_eq!(of(&none, "client_id=i&client_secret=s%2B"), Ok(vec![pair("i", "s+")]));
        assert_eq!(of(&basic("i:s"), ""), Ok(vec![pair("i", "s")]));
        assert_eq!(of(&basic("i:s"), "client_id=i"), Ok(vec![pair("i", "s")]));
        assert!(matches!(of(&basic("i:s"), "client_id=j"), Err(OAuthProblem::InvalidRequest(_))));
        assert_eq!(of(&none, "client_id=i"), Err(OAuthProblem::InvalidClient));
        assert_eq!(of(&none, ""), Err(OAuthProblem::InvalidClient));
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
        assert_eq!(of(&bearer, "client_id=i&client_secret=s"), Err(OAuthProblem::InvalidClient));
    }

    #[test]
    fn basic_credentials_are_read_as_the_rfc_says_and_as_curl_sends_them() {
        let read = |text: &str| basic_credentials(&basic(text)).unwrap().unwrap();
        let pair = |id: &str, secret: &str| (id.to_owned(), secret.to_owned());
        assert_eq!(read("a%3Ab:p%2Bq"), [pair("a:b", "p+q"), pair("a%3Ab", "p%2Bq")]);
        assert_eq!(read("a:p+q&r=s"), [pair("a", "p q&r=s"), pair("a", "p+q&r=s")]);
        assert_eq!(read("a:b:c"), [pair("a", "b:c")]);
    }
}
