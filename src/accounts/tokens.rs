//! Access tokens: JWTs signed with HS256 under a derived key.
//!
//! Owns the claims and their signature. Knows nothing of clients' state: whether a genuine token still counts (its
//! client enabled, its generation current, not revoked) is decided in [`super::Accounts::authenticate`].
//!
//! Invariant: a token that [`AccessTokens::read`] answers was made by this server's key for this `public_url`, by
//! this algorithm and no other. Times are judged by the caller's clock, never the machine's.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::clients::Client;
use super::keys::ServerKey;
use super::roles::PermissionSet;
use super::secret::{NoRandomness, random};
use crate::model::{Permission, Timestamp};

/// The audience of every access token.
const AUDIENCE: &str = "rollcall";
/// No token of ours is longer: what is, is not looked into. The longest scope has some 350 bytes.
const MAX_TOKEN_BYTES: usize = 4096;
/// How far in the future a token may have been issued, in seconds. So a clock that is set back by an hour ends no token,
/// and a token issued while the clock ran days ahead does not outlive its lifetime by those days.
const MAX_CLOCK_STEP_S: i64 = 2 * 3600;

/// Why no access token is issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No enabled client has this id and secret.
    #[error("unknown client or wrong secret")]
    InvalidClient,
    /// The client asks for what it has not, or for what there is not; the text says what.
    #[error("{0}")]
    InvalidScope(String),
}

/// A fresh access token, as the token endpoints answer it (RFC 6749, section 5.1).
#[derive(Clone, Serialize)]
pub struct IssuedToken {
    /// The token.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: &'static str,
    /// Its lifetime, in seconds.
    pub expires_in: u64,
    /// What it may be used for: permissions with spaces between them.
    pub scope: String,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// A token's id (`jti`): 32 hex characters on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TokenId(pub(super) u128);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TokenId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

/// The claims, as they are signed.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    scope: String,
    iat: i64,
    exp: i64,
    jti: String,
    #[serde(rename = "gen")]
    generation: u32,
}

/// What a genuine token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GenuineToken {
    pub(super) id: TokenId,
    pub(super) client: String,
    pub(super) generation: u32,
    pub(super) scope: PermissionSet,
    pub(super) lifetime: Lifetime,
}

/// When a token counts: from `start`, before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Lifetime {
    pub(super) fn contains(self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }
}

/// Makes and reads access tokens.
pub(super) struct AccessTokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    issuer: String,
    /// The upper half of every token id of this process, so that ids do not repeat after a restart.
    process: u64,
    issued: AtomicU64,
}

impl AccessTokens {
    pub(super) fn new(key: &ServerKey, public_url: &str) -> Result<Self, NoRandomness> {
        let secret = key.derive("access tokens", &[]);
        let mut validation = Validation::new(Algorithm::HS256);
        // The key alone says that a token is ours; the issuer is `public_url`, which may change without ending tokens.
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Times are judged by our own clock.
        validation.validate_exp = false;
        Ok(Self {
            signing: EncodingKey::from_secret(&secret),
            verifying: DecodingKey::from_secret(&secret),
            validation,
            issuer: public_url.to_owned(),
            process: u64::from_be_bytes(random()?),
            issued: AtomicU64::new(0),
        })
    }

    /// Makes a token.
    pub(super) fn issue(&self, client: &Client, scope: PermissionSet, lifetime_s: u64, now: Timestamp) -> IssuedToken {
        let iat = now.as_millis().div_euclid(1000);
        let count = self.issued.fetch_add(1, Ordering::Relaxed);
        let scope = scope.to_scope();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: client.id.clone(),
            client_id: client.id.clone(),
            scope: scope.clone(),
            iat,
            exp: iat.saturating_add(i64::try_from(lifetime_s).unwrap_or(i64::MAX)),
            // Unique is enough: nobody is trusted for knowing an id.
            jti: TokenId(u128::from(self.process) << 64 | u128::from(count)).to_string(),
            generation: client.generation,
        };
        let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
        #[expect(clippy::expect_used, reason = "texts and integers always make JSON, and an HMAC key signs anything")]
        let access_token = jsonwebtoken::encode(&header, &claims, &self.signing).expect("claims are signable");
        IssuedToken { access_token, token_type: "Bearer", expires_in: lifetime_s, scope }
    }

    /// What a token says, if we made it, for whoever and however long ago.
    pub(super) fn read(&self, token: &str) -> Option<GenuineToken> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation).ok()?.claims;
        Some(GenuineToken {
            id: TokenId::parse(&claims.jti)?,
            client: claims.sub,
            generation: claims.generation,
            // A permission that a later release dropped is no reason to refuse the rest.
            scope: claims.scope.split(' ').filter_map(|text| text.parse().ok()).collect(),
            lifetime: Lifetime {
                start: from_seconds(claims.iat.saturating_sub(MAX_CLOCK_STEP_S)),
                end: from_seconds(claims.exp),
            },
        })
    }
}

fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000))
}

/// The permissions that a request for a token gets: those that it names, which the role must have, or all of the role's.
pub(super) fn grant(requested: Option<&str>, role: &str, granted: PermissionSet) -> Result<PermissionSet, TokenError> {
    // A parameter without a value counts as left out (RFC 6749, section 3.1).
    let Some(requested) = requested.filter(|text| !text.trim().is_empty()) else { return Ok(granted) };
    let mut scope = Vec::new();
    for text in requested.split_ascii_whitespace() {
        let permission: Permission = text.parse().map_err(|error| TokenError::InvalidScope(format!("{error}")))?;
        if !granted.contains(permission) {
            return Err(TokenError::InvalidScope(format!(
                "the client's role `{role}` has no `{permission}`; leave `scope` out to get all that it has"
            )));
        }
        scope.push(permission);
    }
    Ok(scope.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "http://rollcall.test";

    fn tokens(key: u8) -> AccessTokens {
        AccessTokens::new(&ServerKey::new(&[key; 32]), URL).unwrap()
    }

    fn client() -> Client {
        Client {
            id: "c".to_owned(),
            secret_hash: [0; 32],
            description: String::new(),
            role: "Viewer".to_owned(),
            systems: None,
            enabled: true,
            generation: 3,
            created_at: Timestamp::default(),
        }
    }

    fn issue(tokens: &AccessTokens) -> String {
        let scope = [Permission::EndUsersRead, Permission::Operate].into_iter().collect();
        tokens.issue(&client(), scope, 60, Timestamp::from_millis(1_000_000_500)).access_token
    }

    /// The token's header and claims with one text put in the place of another, under the old signature.
    fn edited(token: &str, from: &str, to: &str) -> String {
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        let mut hits = 0;
        for part in &mut parts[..2] {
            let text = String::from_utf8(BASE64.decode(&part).unwrap()).unwrap();
            hits += usize::from(text.contains(from));
            *part = BASE64.encode(text.replace(from, to));
        }
        assert_eq!(hits, 1, "`{from}` is in the token once");
        parts.join(".")
    }

    #[test]
    fn a_token_says_what_was_put_into_it() {
        let read = tokens(1).read(&issue(&tokens(1))).unwrap();
        assert_eq!((read.client.as_str(), read.generation), ("c", 3));
        assert_eq!(read.scope.to_scope(), "end_users:read operate");
        assert_eq!(read.lifetime.end, Timestamp::from_millis(1_000_060_000));
        assert!(read.lifetime.contains(Timestamp::from_millis(1_000_059_999)));
        assert!(!read.lifetime.contains(read.lifetime.end));
    }

    #[test]
    fn a_clock_set_back_by_an_hour_ends_no_token_but_a_token_from_days_ahead_waits() {
        let lifetime = tokens(1).read(&issue(&tokens(1))).unwrap().lifetime;
        assert!(lifetime.contains(Timestamp::from_millis(1_000_000_000 - 3_600_000)));
        assert!(!lifetime.contains(Timestamp::from_millis(1_000_000_000 - 86_400_000)));
    }

    #[test]
    fn ids_never_repeat() {
        let (one, other) = (tokens(1), tokens(1));
        let ids: std::collections::BTreeSet<_> =
            [&one, &one, &other, &other].map(|tokens| tokens.read(&issue(tokens)).unwrap().id).into_iter().collect();
        assert_eq!(ids.len(), 4);
        let id = TokenId(0xab);
        assert_eq!(TokenId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = issue(&tokens(1));
        for (from, to) in [
            ("\"sub\":\"c\"", "\"sub\":\"d\""),
            ("\"gen\":3", "\"gen\":4"),
            ("\"exp\":1000060", "\"exp\":9000060"),
            ("end_users:read", "end_users:write"),
            ("HS256", "HS512"),
            ("HS256", "RS256"),
            ("HS256", "none"),
        ] {
            assert_eq!(tokens(1).read(&edited(&token, from, to)), None, "{from} -> {to}");
        }
        let unsigned = edited(&token, "HS256", "none");
        let (message, signature) = unsigned.rsplit_once('.').unwrap();
        assert_eq!(tokens(1).read(&format!("{message}.")), None);
        assert_eq!(tokens(1).read(message), None);
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(tokens(1).read(&format!("{signed}.")), None);
        assert_eq!(tokens(1).read(&format!("{signed}.{}", signature.to_lowercase())), None);
        assert_eq!(tokens(1).read(&format!("{token}\n")), None);
    }

    #[test]
    fn a_token_of_another_key_audience_or_algorithm_is_refused() {
        assert_eq!(tokens(1).read(&issue(&tokens(2))), None);
        let moved = AccessTokens::new(&ServerKey::new(&[1; 32]), "http://other.test").unwrap();
        assert!(tokens(1).read(&issue(&moved)).is_some(), "another `public_url` ends no token");
        let sign = |algorithm, claims: serde_json::Value| {
            jsonwebtoken::encode(&Header::new(algorithm), &claims, &tokens(1).signing).unwrap()
        };
        let claims = serde_json::json!({
            "iss": URL, "aud": AUDIENCE, "sub": "c", "client_id": "c", "scope": "", "iat": 1, "exp": 2, "jti": "0", "gen": 1,
        });
        assert!(tokens(1).read(&sign(Algorithm::HS256, claims.clone())).is_some());
        assert_eq!(tokens(1).read(&sign(Algorithm::HS512, claims.clone())), None);
        for (claim, wrong) in [("aud", "console"), ("jti", "no id"), ("exp", "soon")] {
            let mut claims = claims.clone();
            claims[claim] = wrong.into();
            assert_eq!(tokens(1).read(&sign(Algorithm::HS256, claims)), None, "{claim}");
        }
        for claim in ["aud", "iss", "sub", "exp", "iat", "jti", "gen"] {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(tokens(1).read(&sign(Algorithm::HS256, claims)), None, "without {claim}");
        }
    }

    #[test]
    fn a_scope_is_a_part_of_what_the_role_grants() {
        let granted: PermissionSet = [Permission::EndUsersRead, Permission::SegmentsRead].into_iter().collect();
        let grant = |requested| grant(requested, "Agent", granted).map(PermissionSet::to_scope);
        assert_eq!(grant(None).unwrap(), "end_users:read segments:read");
        assert_eq!(grant(Some(" ")).unwrap(), "end_users:read segments:read");
        assert_eq!(grant(Some("segments:read  segments:read")).unwrap(), "segments:read");
        let Err(TokenError::InvalidScope(message)) = grant(Some("segments:read operate")) else { panic!("granted") };
        assert!(message.contains("`Agent`") && message.contains("`operate`"), "{message}");
        let Err(TokenError::InvalidScope(message)) = grant(Some("openid")) else { panic!("granted") };
        assert!(message.contains("`openid` is no permission"), "{message}");
    }

    #[test]
    fn debug_shows_no_token() {
        let issued = tokens(1).issue(&client(), PermissionSet::NONE, 60, Timestamp::default());
        assert!(!format!("{issued:?}").contains(&issued.access_token));
    }

    proptest! {
        #[test]
        fn no_other_string_is_a_token(text in ".{0,200}", header in "[A-Za-z0-9_-]{0,40}", at in 0_usize..400, byte in any::<u8>()) {
            let tokens = tokens(1);
            prop_assert!(tokens.read(&text).is_none());
            let parts = [header.as_str(); 3].join(".");
            prop_assert!(tokens.read(&parts).is_none());
            let token = issue(&tokens);
            let mut bytes = token.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert_eq!(tokens.read(&changed).is_some(), changed == token);
            }
        }
    }
}
