//! Talking to the identity provider: what it is (discovery), its keys, and a code for a token.
//!
//! Knows nothing of cookies and accounts. Discovery and keys are fetched when they are first needed and kept for an hour;
//! a provider that is down is asked again after some seconds, and what was kept goes on counting meanwhile.
//!
//! Invariants: nothing is asked of an address that does not belong to the configured issuer's own document; no redirect is
//! followed; no answer is read beyond its limit.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::SsoError;
use super::identity::{Expected, Identity, Refused, judge};
use crate::accounts::secret::Secret;
use crate::clock::Clock;
use crate::config;
use crate::model::Timestamp;

/// How long what the provider says of itself is kept, in milliseconds.
const KEPT_MS: i64 = 3_600_000;
/// After a failure, and for a key that is unknown, the provider is asked again only after this long, in milliseconds.
const PAUSE_MS: i64 = 5_000;
/// How long one request to the provider may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 512 * 1024;

/// The provider's description of itself (OpenID Connect Discovery, section 3), as far as it is needed.
#[derive(Debug, Clone, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The answer of the token endpoint.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
}

/// A thing fetched now and then.
struct Kept<T> {
    value: Option<T>,
    fetched: Timestamp,
    asked: Timestamp,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let never = Timestamp::from_millis(i64::MIN / 2);
        Self { value: None, fetched: never, asked: never }
    }
}

impl<T> Kept<T> {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.value.is_some() && age(self.fetched, now) < KEPT_MS
    }
    /// Whether the provider was asked just now.
    fn was_just_asked(&self, now: Timestamp) -> bool {
        age(self.asked, now) < PAUSE_MS
    }
}

/// Milliseconds since; a clock that was set back makes things old rather than new for ever.
fn age(then: Timestamp, now: Timestamp) -> i64 {
    let age = now.as_millis().saturating_sub(then.as_millis());
    if age < 0 { i64::MAX } else { age }
}

/// The provider.
pub(super) struct Provider {
    http: Client,
    issuer: String,
    client_id: String,
    secret: Secret,
    redirect_uri: String,
    clock: Clock,
    /// Held while it is fetched, so that a hundred who come at once ask once.
    description: Mutex<Kept<Description>>,
    keys: Mutex<Kept<Vec<Jwk>>>,
}

impl Provider {
    pub(super) fn new(
        configured: &config::Sso,
        secret: Secret,
        redirect_uri: String,
        clock: Clock,
    ) -> Result<Self, String> {
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build();
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            issuer: configured.issuer.clone(),
            client_id: configured.client_id.clone(),
            secret,
            redirect_uri,
            clock,
            description: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    /// Where people log in.
    pub(super) async fn authorization_endpoint(&self) -> Result<Url, SsoError> {
        let description = self.describe().await?;
        Url::parse(&description.authorization_endpoint).map_err(|error| unreachable(error.to_string()))
    }

    /// Refuses an answer that says that it comes from another provider, or should say from which and does not (RFC 9207).
    pub(super) fn check_answering_issuer(&self, iss: Option<&str>) -> Result<(), SsoError> {
        let must_say = self
            .description
            .try_lock()
            .is_ok_and(|kept| kept.value.as_ref().is_some_and(|d| d.authorization_response_iss_parameter_supported));
        match iss {
            Some(iss) if iss != self.issuer => {
                Err(SsoError::Invalid("the answer comes from another issuer".to_owned()))
            }
            None if must_say => Err(SsoError::Invalid("the answer does not say which issuer it comes from".to_owned())),
            _ => Ok(()),
        }
    }

    /// Changes a code into an ID token.
    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Result<String, SsoError> {
        let description = self.describe().await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", verifier),
        ];
        let mut request = self.http.post(&description.token_endpoint);
        if takes_basic(&description) {
            request = request.basic_auth(form_encoded(&self.client_id), Some(form_encoded(self.secret.reveal())));
        } else {
            form.push(("client_id", &self.client_id));
            form.push(("client_secret", self.secret.reveal()));
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let (is_success, answer) = read(request).await.map_err(unreachable)?;
        if !is_success {
            let answer = serde_json::from_slice::<Value>(&answer).unwrap_or_default();
            let error = answer.get("error").and_then(Value::as_str).unwrap_or("it does not say why");
            return Err(SsoError::Invalid(format!("the code was not taken: {error}")));
        }
        let answer: TokenAnswer = serde_json::from_slice(&answer)
            .map_err(|error| SsoError::Invalid(format!("the token endpoint's answer: {error}")))?;
        answer.id_token.ok_or_else(|| SsoError::Invalid("there is no ID token in the answer".to_owned()))
    }

    /// Who an ID token is for. A key that is unknown may be a new one, so the keys are fetched once more then.
    pub(super) async fn identity(&self, token: &str, nonce: &str) -> Result<Identity, SsoError> {
        let now = self.clock.now();
        let expected = Expected { issuer: &self.issuer, client_id: &self.client_id, nonce, now };
        let judged = match judge(token, &self.keys(false).await?, expected) {
            Err(Refused::UnknownKey) => judge(token, &self.keys(true).await?, expected),
            judged => judged,
        };
        judged.map_err(|refused| match refused {
            Refused::UnknownKey => SsoError::Invalid("no known key made the ID token's signature".to_owned()),
            Refused::Wrong(what) => SsoError::Invalid(format!("the ID token: {what}")),
        })
    }

    async fn describe(&self) -> Result<Description, SsoError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let mut kept = self.description.lock().await;
        let fetch = async {
            let description: Description = self.fetch(&url).await?;
            if description.issuer == self.issuer {
                Ok(description)
            } else {
                Err(format!("it calls itself `{}`: set sso.issuer to exactly that", description.issuer))
            }
        };
        refreshed(&mut kept, self.clock.now(), false, fetch).await
    }

    async fn keys(&self, newer: bool) -> Result<Vec<Jwk>, SsoError> {
        let description = self.describe().await?;
        let mut kept = self.keys.lock().await;
        let fetch = async {
            let set: Value = self.fetch(&description.jwks_uri).await?;
            let keys = set.get("keys").and_then(Value::as_array).ok_or("there are no keys")?;
            // A kind of key that is not known here is for others.
            Ok(keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect())
        };
        refreshed(&mut kept, self.clock.now(), newer, fetch).await
    }

    async fn fetch<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let (is_success, answer) = read(self.http.get(url)).await?;
        if !is_success {
            return Err(format!("{url} does not answer with success"));
        }
        serde_json::from_slice(&answer).map_err(|error| format!("{url}: {error}"))
    }
}

/// What is kept, fetched anew when it is old (or when `newer` is wanted) and was not asked for just now. A failure leaves
/// what is kept.
async fn refreshed<T: Clone>(
    kept: &mut Kept<T>,
    now: Timestamp,
    newer: bool,
    fetch: impl Future<Output = Result<T, String>>,
) -> Result<T, SsoError> {
    if (newer || !kept.is_fresh(now)) && !kept.was_just_asked(now) {
        match fetch.await {
            Ok(value) => {
                (kept.value, kept.fetched) = (Some(value), now);
                // Newer keys than these may be wanted at once; no more often than the pause allows.
                if newer {
                    kept.asked = now;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the identity provider can't be asked");
                kept.asked = now;
            }
        }
    }
    kept.value.clone().ok_or_else(|| unreachable("it could not be asked".to_owned()))
}

/// HTTP Basic unless the provider says that it takes the secret in the body alone.
fn takes_basic(description: &Description) -> bool {
    let methods = description.token_endpoint_auth_methods_supported.as_deref();
    methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
}

/// Both parts of Basic are form-encoded first (RFC 6749, section 2.3.1).
fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn read(request: RequestBuilder) -> Result<(bool, Vec<u8>), String> {
    let mut response = request.header("accept", "application/json").send().await.map_err(|error| cause(&error))?;
    let is_success = response.status().is_success();
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if answer.len() + chunk.len() > MAX_ANSWER {
            return Err(format!("its answer is over {MAX_ANSWER} bytes"));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok((is_success, answer))
}

/// An error with its innermost cause, which says what is wrong (refused, unknown name, bad certificate).
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    format!("{error}: {innermost}")
}

fn unreachable(reason: String) -> SsoError {
    SsoError::Unreachable(reason)
}
