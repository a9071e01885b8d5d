//! `rollcall token`: an access token from a running server, on stdout.
//!
//! The secret is best given by `ROLLCALL_CLIENT_SECRET`, as other users of the machine can see arguments. Where
//! `ROLLCALL_TOKEN` alone is set, that token is printed, so that scripts may say `$(rollcall token)` either way.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::{Client, Response};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use super::UsedWrong;

/// Where a client asks for a token, below the server's address.
const ENDPOINT: &str = "accounts/connect/token";
/// Longer than any server that is well takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which server, and who asks: for every command that calls the API.
#[derive(Debug, clap::Args)]
pub(super) struct Access {
    /// The server's address
    #[arg(long, env = "ROLLCALL_URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: Url,
    /// The client's id
    #[arg(long, env = "ROLLCALL_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    /// The client's secret; others can see arguments, so rather set the variable
    #[arg(long, env = "ROLLCALL_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    client_secret: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    access: Access,
    /// Permissions to ask for, separated by spaces [default: all that the client has]
    #[arg(long)]
    scope: Option<String>,
    /// Print the server's whole answer as JSON
    #[arg(long)]
    json: bool,
}

impl Access {
    /// An access token: by the client's id and secret, or else the one in `ROLLCALL_TOKEN`.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        self.access_token(&self.answer(None)?).map(str::to_owned)
    }

    /// The token endpoint's answer, or what it would be for the token in `ROLLCALL_TOKEN`.
    fn answer(&self, scope: Option<&str>) -> anyhow::Result<Value> {
        let wrong = |text: &str| Err(UsedWrong(text.to_owned()).into());
        let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        match (given(&self.client_id), given(&self.client_secret)) {
            (Some(id), Some(secret)) => ask(&self.url, &id, &secret, scope),
            (None, None) => match given(&std::env::var("ROLLCALL_TOKEN").ok()) {
                Some(token) => Ok(json!({"access_token": token, "token_type": "Bearer"})),
                None => wrong("who asks? Set ROLLCALL_CLIENT_ID and ROLLCALL_CLIENT_SECRET, or ROLLCALL_TOKEN"),
            },
            (Some(_), None) => wrong("the client's secret is missing: set ROLLCALL_CLIENT_SECRET"),
            (None, Some(_)) => wrong("the client's id is missing: set ROLLCALL_CLIENT_ID or --client-id"),
        }
    }

    fn access_token<'a>(&self, answer: &'a Value) -> anyhow::Result<&'a str> {
        let token = answer.get("access_token").and_then(Value::as_str);
        token.with_context(|| format!("the answer holds no access token: is there a Rollcall server at {}?", self.url))
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let answer = args.access.answer(args.scope.as_deref())?;
    let token = args.access.access_token(&answer)?;
    let text = if args.json { serde_json::to_string_pretty(&answer)? } else { token.to_owned() };
    super::print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the server for a token by the client-credentials grant.
fn ask(server: &Url, id: &str, secret: &str, scope: Option<&str>) -> anyhow::Result<Value> {
    let endpoint = below(server, ENDPOINT);
    // A redirect would carry the secret to whoever it names.
    let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    form.extend(scope.map(|scope| ("scope", scope)));
    let response = client
        .post(endpoint.clone())
        .form(&form)
        .send()
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("no answer from {endpoint}: is the server running, and is --url right?"))?;
    read(response).with_context(|| format!("{endpoint} gave no token"))
}

/// A path below the server's address.
pub(super) fn below(server: &Url, path: &str) -> Url {
    let mut url = server.clone();
    url.set_path(&format!("{}/{path}", server.path().trim_end_matches('/')));
    url
}

/// The JSON of a good answer; a refusal in the server's words.
pub(super) fn read(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    judge(status, &response.text().map_err(reqwest::Error::without_url)?)
}

/// [`read`] for an answer whose text is there.
pub(super) fn judge(status: StatusCode, text: &str) -> anyhow::Result<Value> {
    let answer: Option<Value> = serde_json::from_str(text).ok();
    match answer {
        Some(answer) if status.is_success() => Ok(answer),
        Some(answer) => bail!("{}", refusal(status, &answer)),
        None => bail!("{status}, and no JSON: is this a Rollcall server?"),
    }
}

/// A refusal in words: an OAuth error, or a problem document.
fn refusal(status: StatusCode, answer: &Value) -> String {
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    let what = text("error").or_else(|| text("title"));
    let why = text("error_description").or_else(|| text("detail"));
    let parts = [what, why].into_iter().flatten().collect::<Vec<_>>();
    if parts.is_empty() { status.to_string() } else { parts.join(": ") }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives one answer; joins to the body that it was sent.
    fn answering(status: &'static str, body: &'static str) -> (Url, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close", body.len());
            let location = if status.starts_with('3') { "\r\nLocation: /elsewhere" } else { "" };
            write!(stream, "{head}{location}\r\n\r\n{body}").unwrap();
            String::from_utf8(sent).unwrap()
        });
        (url, server)
    }

    #[test]
    fn credentials_go_into_the_body_as_a_form() {
        let (url, server) = answering("200 OK", r#"{"access_token":"t0k","token_type":"Bearer"}"#);
        let answer = ask(&url, "a:b", "s&c=r t", Some("end_users:read")).unwrap();
        assert_eq!(answer["access_token"], "t0k");
        assert_eq!(
            server.join().unwrap(),
            "grant_type=client_credentials&client_id=a%3Ab&client_secret=s%26c%3Dr+t&scope=end_users%3Aread"
        );
    }

    #[test]
    fn what_is_no_token_is_told_as_such() {
        for (status, body, told) in [
            ("401 Unauthorized", r#"{"error":"invalid_client"}"#, "invalid_client"),
            ("200 OK", "<html>", "is this a Rollcall server?"),
            ("307 Temporary Redirect", "", "307 Temporary Redirect, and no JSON"),
        ] {
            let (url, server) = answering(status, body);
            let error = format!("{:#}", ask(&url, "a", "b", None).unwrap_err());
            assert!(error.contains(told) && error.contains("gave no token"), "{error}");
            server.join().unwrap();
        }
    }

    #[test]
    fn endpoint_is_below_the_servers_address() {
        for server in ["http://a.example", "http://a.example/", "http://a.example//"] {
            assert_eq!(below(&server.parse().unwrap(), ENDPOINT).as_str(), "http://a.example/accounts/connect/token");
        }
        let deeper = below(&"https://a.example/rollcall/".parse().unwrap(), ENDPOINT);
        assert_eq!(deeper.as_str(), "https://a.example/rollcall/accounts/connect/token");
    }

    #[test]
    fn refusal_is_told_in_the_servers_words() {
        let oauth = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"});
        assert_eq!(refusal(StatusCode::UNAUTHORIZED, &oauth), "invalid_client: unknown client or wrong secret");
        let problem = json!({"title": "Too many requests", "status": 429});
        assert_eq!(refusal(StatusCode::TOO_MANY_REQUESTS, &problem), "Too many requests");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, &json!([])), "502 Bad Gateway");
    }
}
