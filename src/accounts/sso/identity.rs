//! Judging an ID token (OpenID Connect Core, section 3.1.3.7): who it is, if everything about it is right.
//!
//! Knows nothing of where token and keys come from, nor of accounts. Invariant: an [`Identity`] is made here alone, of a
//! token that one of the provider's keys signed by an asymmetric algorithm, for this client, in answer to this log-in, and
//! that has not expired.

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use crate::model::Timestamp;

/// What a signature may be made with. Neither `none` nor an HMAC, whose key everybody would know who knows the public one.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How far the provider's clock may be off, in seconds.
const LEEWAY_S: i64 = 60;
/// Longest name of a person that is taken, in bytes.
const MAX_NAME: usize = 512;

/// Who the provider says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    subject: String,
    email: Option<String>,
}

impl Identity {
    /// What an account's `sso_id` may be for this person: the provider's own name for them, else the e-mail address that
    /// the provider has verified.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.subject.as_str()).chain(self.email.as_deref())
    }
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

/// Why a token is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No key that is known made the signature; newer keys may have.
    UnknownKey,
    /// Something about it is wrong.
    Wrong(String),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    nonce: Option<String>,
    azp: Option<String>,
    email: Option<String>,
    email_verified: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn contains(&self, client_id: &str) -> bool {
        match self {
            Self::One(audience) => audience == client_id,
            Self::Many(audiences) => audiences.iter().any(|audience| audience == client_id),
        }
    }
    fn has_others(&self) -> bool {
        matches!(self, Self::Many(audiences) if audiences.len() > 1)
    }
}

/// Judges a token.
pub(super) fn judge(token: &str, keys: &[Jwk], expected: Expected<'_>) -> Result<Identity, Refused> {
    let claims = verify(token, keys)?;
    let wrong = |what: &str| Err(Refused::Wrong(what.to_owned()));
    if claims.iss != expected.issuer {
        return wrong("`iss` is another issuer");
    }
    if !claims.aud.contains(expected.client_id) {
        return wrong("`aud` is another client");
    }
    match claims.azp.as_deref() {
        None if claims.aud.has_others() => return wrong("`aud` names others too and `azp` is missing"),
        Some(party) if party != expected.client_id => return wrong("`azp` is another client"),
        _ => {}
    }
    let now_s = expected.now.as_millis() as f64 / 1000.0;
    let leeway = LEEWAY_S as f64;
    if now_s >= claims.exp + leeway {
        return wrong("it has expired");
    }
    if claims.iat > now_s + leeway || claims.nbf.is_some_and(|start| start > now_s + leeway) {
        return wrong("it is from the future: are both clocks right?");
    }
    let nonce = claims.nonce.unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return wrong("`nonce` belongs to another log-in");
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_NAME {
        return wrong("`sub` is no name");
    }
    // Some providers write the flag as text.
    let is_verified = claims.email_verified.is_some_and(|flag| flag == true || flag == "true");
    let email = claims.email.filter(|email| is_verified && !email.is_empty() && email.len() <= MAX_NAME);
    Ok(Identity { subject: claims.sub, email })
}

/// The claims, if the signature is right.
fn verify(token: &str, keys: &[Jwk]) -> Result<Claims, Refused> {
    let wrong = |what: String| Refused::Wrong(what);
    let header = jsonwebtoken::decode_header(token).map_err(|error| wrong(format!("its header: {error}")))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(wrong(format!("it is signed with {:?}", header.alg)));
    }
    let mut validation = Validation::new(header.alg);
    // The signature is judged here and everything else above, by our own clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let fits = |key: &&Jwk| {
        let by_name = header.kid.is_none() || key.common.key_id == header.kid;
        by_name && !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
    };
    let mut tried = false;
    for key in keys.iter().filter(fits) {
        let Ok(key) = DecodingKey::from_jwk(key) else { continue };
        match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(error) => match error.kind() {
                jsonwebtoken::errors::ErrorKind::Json(error) => return Err(wrong(format!("its claims: {error}"))),
                _ => tried = true,
            },
        }
    }
    if tried && header.kid.is_some() {
        Err(wrong("its signature is wrong".to_owned()))
    } else {
        Err(Refused::UnknownKey)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use jsonwebtoken::{EncodingKey, Header};
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    const NOW_S: i64 = 1_700_000_000;

    /// A provider's key: to sign with, and as it is published.
    fn key(kid: &str) -> (EncodingKey, Jwk) {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let public = BASE64.encode(pair.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": public, "kid": kid, "use": "sig", "alg": "EdDSA" });
        (EncodingKey::from_ed_der(document.as_ref()), serde_json::from_value(jwk).unwrap())
    }

    fn claims() -> Value {
        json!({
            "iss": "https://idp.example", "sub": "idp|7", "aud": "rollcall", "exp": NOW_S + 60, "iat": NOW_S,
            "nonce": "n-1", "email": "ann@x.example", "email_verified": true,
        })
    }

    fn sign(claims: &Value, key: &EncodingKey, kid: Option<&str>) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, key).unwrap()
    }

    fn judge_at(seconds: i64, token: &str, keys: &[Jwk]) -> Result<Identity, Refused> {
        let now = Timestamp::from_millis(seconds * 1000);
        judge(token, keys, Expected { issuer: "https://idp.example", client_id: "rollcall", nonce: "n-1", now })
    }

    #[test]
    fn a_right_token_says_who_it_is() {
        let (key, jwk) = key("k1");
        for kid in [Some("k1"), None] {
            let identity = judge_at(NOW_S, &sign(&claims(), &key, kid), std::slice::from_ref(&jwk)).unwrap();
            assert_eq!(identity.names().collect::<Vec<_>>(), ["idp|7", "ann@x.example"]);
        }
    }

    #[test]
    fn an_address_that_the_provider_has_not_verified_is_nobodys_name() {
        let (key, jwk) = key("k1");
        for (flag, verified) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!(1), false),
            (Value::Null, false),
        ] {
            let mut claims = claims();
            claims["email_verified"] = flag.clone();
            let identity = judge_at(NOW_S, &sign(&claims, &key, Some("k1")), std::slice::from_ref(&jwk)).unwrap();
            assert_eq!(identity.names().count(), if verified { 2 } else { 1 }, "{flag}");
        }
    }

    #[test]
    fn whatever_is_wrong_about_a_token_refuses_it() {
        let (key, jwk) = key("k1");
        let keys = [jwk];
        for (claim, value) in [
            ("iss", json!("https://evil.example")),
            ("iss", json!("https://idp.example/")),
            ("iss", json!(["https://idp.example"])),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", json!([])),
            ("aud", json!(["rollcall", "other"])),
            ("aud", Value::Null),
            ("azp", json!("other")),
            ("nonce", json!("n-2")),
            ("nonce", json!("")),
            ("nonce", Value::Null),
            ("exp", json!(NOW_S - 60)),
            ("exp", json!("never")),
            ("exp", Value::Null),
            ("iat", json!(NOW_S + 61)),
            ("iat", Value::Null),
            ("nbf", json!(NOW_S + 61)),
            ("sub", json!("")),
            ("sub", Value::Null),
            ("sub", json!("x".repeat(513))),
        ] {
            let mut claims = claims();
            claims[claim] = value.clone();
            let refused = judge_at(NOW_S, &sign(&claims, &key, Some("k1")), &keys);
            assert!(matches!(refused, Err(Refused::Wrong(_))), "{claim} {value}: {refused:?}");
        }
        let mut several = claims();
        several["aud"] = json!(["other", "rollcall"]);
        several["azp"] = json!("rollcall");
        assert!(judge_at(NOW_S, &sign(&several, &key, Some("k1")), &keys).is_ok());
        assert!(judge_at(NOW_S + 119, &sign(&claims(), &key, Some("k1")), &keys).is_ok(), "clocks may be off a little");
        assert!(judge_at(NOW_S + 120, &sign(&claims(), &key, Some("k1")), &keys).is_err());
    }

    #[test]
    fn only_the_providers_keys_sign() {
        let ((key, jwk), (foreign, foreign_jwk)) = (key("k1"), key("k1"));
        let keys = [jwk.clone()];
        assert!(matches!(judge_at(NOW_S, &sign(&claims(), &foreign, Some("k1")), &keys), Err(Refused::Wrong(_))));
        assert_eq!(judge_at(NOW_S, &sign(&claims(), &key, Some("k2")), &keys), Err(Refused::UnknownKey));
        assert_eq!(judge_at(NOW_S, &sign(&claims(), &foreign, None), &keys), Err(Refused::UnknownKey));
        assert_eq!(judge_at(NOW_S, &sign(&claims(), &key, Some("k1")), &[]), Err(Refused::UnknownKey));
        assert!(
            judge_at(NOW_S, &sign(&claims(), &key, None), &[foreign_jwk, jwk]).is_ok(),
            "without a name all are tried"
        );
    }

    #[test]
    fn unsigned_tokens_and_those_signed_with_the_public_key_are_refused() {
        let (key, jwk) = key("k1");
        let keys = [jwk];
        let token = sign(&claims(), &key, Some("k1"));
        let mut parts = token.split('.');
        let (_, body, signature) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
        for alg in ["none", "None", "NONE", "HS256", "HS512", "RS256", "ES256", "x"] {
            let header = BASE64.encode(json!({ "alg": alg, "kid": "k1", "typ": "JWT" }).to_string());
            for signature in ["", signature] {
                let forged = format!("{header}.{body}.{signature}");
                assert!(judge_at(NOW_S, &forged, &keys).is_err(), "{alg}");
            }
        }
        let public = serde_json::to_value(&keys[0]).unwrap()["x"].as_str().unwrap().to_owned();
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
        assert!(matches!(judge_at(NOW_S, &forged, &keys), Err(Refused::Wrong(_))));
        for garbage in ["", ".", "..", "a.b.c", &token[1..]] {
            assert!(judge_at(NOW_S, garbage, &keys).is_err(), "{garbage}");
        }
    }
}
