//! What letters say, as text and as HTML, and their form as mails.
//!
//! Owns wording and headers. Knows nothing of queues and servers. Invariants: a link begins with `public_url` and nothing
//! else; no text of an account can begin a header of its own, as every control character is taken out first and the rest
//! is encoded.

use std::time::{Duration, SystemTime};

use askama::Template;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};

use super::LetterKind;
use crate::accounts::secret::Secret;
use crate::accounts::users::{LoginMethod, UserRecord};
use crate::model::Timestamp;

/// Why a letter can't be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    /// The account's address is none that a mail can go to.
    #[error("the account's e-mail address can't be used: {0}")]
    Address(#[from] lettre::address::AddressError),
    /// A template failed.
    #[error("a template failed: {0}")]
    Template(#[from] askama::Error),
    /// The mail could not be put together.
    #[error("the mail can't be put together: {0}")]
    Mail(#[from] lettre::error::Error),
}

/// What both templates show.
#[derive(Debug, Clone, Template)]
#[template(path = "accounts/mail/letter.html")]
struct LetterPage {
    subject: &'static str,
    greeting: String,
    reason: String,
    button: &'static str,
    link: String,
    validity: &'static str,
    closing: &'static str,
    public_url: String,
}

/// The same as plain text.
#[derive(Template)]
#[template(path = "accounts/mail/letter.txt")]
struct LetterText<'a> {
    greeting: &'a str,
    reason: &'a str,
    button: &'a str,
    link: &'a str,
    validity: &'a str,
    closing: &'a str,
    public_url: &'a str,
}

impl LetterPage {
    fn as_text(&self) -> Result<String, askama::Error> {
        let Self { greeting, reason, button, link, validity, closing, public_url, .. } = self;
        LetterText { greeting, reason, button, link, validity, closing, public_url }.render()
    }
}

/// Writes letters in the name of one sender, with links to one server.
#[derive(Debug, Clone)]
pub(crate) struct Composer {
    from: Mailbox,
    public_url: String,
}

impl Composer {
    pub(crate) fn new(from: Mailbox, public_url: String) -> Self {
        Self { from, public_url }
    }

    /// The letter to an operator, with its link's token where it has one.
    pub(crate) fn compose(
        &self,
        kind: LetterKind,
        user: &UserRecord,
        by: &str,
        token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Message, ComposeError> {
        let page = self.page(kind, user, by, token);
        let name = single_line(&full_name(user));
        let to = Mailbox::new((!name.is_empty()).then_some(name), user.email.parse::<Address>()?);
        let date = SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis().max(0).unsigned_abs());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(page.subject)
            .date(date)
            .message_id(Some(format!("<{:032x}@{}>", unique_id(), self.host())))
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(page.as_text()?, page.render()?))?;
        Ok(message)
    }

    fn page(&self, kind: LetterKind, user: &UserRecord, by: &str, token: Option<&Secret>) -> LetterPage {
        let name = single_line(&full_name(user));
        let greeting = if name.is_empty() { "Hello,".to_owned() } else { format!("Hello {name},") };
        let (by, username) = (single_line(by), single_line(&user.username));
        let link = |path: &str| match token {
            Some(token) => format!("{}{path}?token={}", self.public_url, token.reveal()),
            None => format!("{}{path}", self.public_url),
        };
        let page = LetterPage {
            subject: "",
            greeting,
            reason: String::new(),
            button: "",
            link: String::new(),
            validity: "",
            closing: "If you did not expect this mail, ignore it: nothing happens then.",
            public_url: self.public_url.clone(),
        };
        match (kind, user.login_method) {
            (LetterKind::Activation, LoginMethod::Password) => LetterPage {
                subject: "Activate your Rollcall account",
                reason: format!(
                    "{by} has invited you to Rollcall. Your username is {username}. Choose a password to begin."
                ),
                button: "Activate My Account",
                link: link("/activate"),
                validity: "The link works once, within 7 days. A newer invitation takes its place.",
                ..page
            },
            (LetterKind::Activation, LoginMethod::Sso) => LetterPage {
                subject: "Activate your Rollcall account",
                reason: format!(
                    "{by} has invited you to Rollcall. You log in by your company's single sign-on; your first log-in activates your account."
                ),
                button: "Activate My Account",
                link: link("/sso/login"),
                validity: "You need no password here.",
                ..page
            },
            (LetterKind::Reset, _) => LetterPage {
                subject: "Choose a new Rollcall password",
                reason: format!(
                    "A new password was asked for your Rollcall account {username}. Your old one holds until you choose another."
                ),
                button: "Choose a New Password",
                link: link("/reset"),
                validity: "The link works once, within an hour. Choosing a new password logs you out everywhere.",
                ..page
            },
        }
    }

    /// The server's name, for message ids.
    fn host(&self) -> &str {
        let host = self.public_url.split("://").nth(1).unwrap_or("rollcall");
        host.split([':', '/']).next().filter(|host| !host.is_empty()).unwrap_or("rollcall")
    }
}

fn unique_id() -> u128 {
    crate::accounts::secret::random().map_or(0, u128::from_be_bytes)
}

fn full_name(user: &UserRecord) -> String {
    format!("{} {}", user.first_name, user.last_name)
}

/// A text without line breaks and other control characters, and without what only looks like one.
fn single_line(text: &str) -> String {
    let blank = |c: char| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
    text.chars().map(blank).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::users::{OneTimeToken, Start, first_admin};

    fn ann() -> UserRecord {
        let kept = OneTimeToken { hash: [0; 32], until: Timestamp::default() };
        let mut user =
            first_admin("ann".to_owned(), "ann@x.example".to_owned(), Start::Invited(kept), Timestamp::default());
        user.first_name = "Ann".to_owned();
        user
    }

    fn composer() -> Composer {
        Composer::new("Rollcall <r@x.example>".parse().unwrap(), "https://rollcall.example".to_owned())
    }

    fn mail(kind: LetterKind, user: &UserRecord, by: &str) -> String {
        let token = Secret::new("rca_TOKEN".to_owned());
        let message =
            composer().compose(kind, user, by, Some(&token), Timestamp::from_millis(1_559_687_258_417)).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    /// The headers of a mail, each on one line.
    fn headers(mail: &str) -> Vec<String> {
        let head = mail.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn an_invitation_has_text_and_a_button() {
        let text = mail(LetterKind::Activation, &ann(), "bob");
        for part in [
            "From: Rollcall <r@x.example>",
            "To: Ann <ann@x.example>",
            "Subject: Activate your Rollcall account",
            "Date: Tue, 04 Jun 2019 22:27:38 +0000",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Type: text/html; charset=utf-8",
            "Activate My Account",
            "bob has invited you to Rollcall",
        ] {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
        let page = composer().page(LetterKind::Activation, &ann(), "bob", Some(&Secret::new("T".to_owned())));
        assert_eq!(page.link, "https://rollcall.example/activate?token=T");
        let html = page.render().unwrap();
        assert!(html.contains(r#"<a href="https://rollcall.example/activate?token=T""#), "{html}");
        assert!(page.as_text().unwrap().contains("\nhttps://rollcall.example/activate?token=T\n"));
        let reset = composer().page(LetterKind::Reset, &ann(), "bob", Some(&Secret::new("T".to_owned())));
        assert_eq!(reset.link, "https://rollcall.example/reset?token=T");
        let sso = UserRecord { login_method: LoginMethod::Sso, ..ann() };
        assert_eq!(
            composer().page(LetterKind::Activation, &sso, "bob", None).link,
            "https://rollcall.example/sso/login"
        );
    }

    #[test]
    fn no_text_of_an_account_begins_a_header() {
        let evil = "Ann\r\nBcc: eve@x.example\r\n\r\n<script>";
        let mut user = ann();
        user.first_name = evil.to_owned();
        user.username = evil.to_owned();
        let text = mail(LetterKind::Activation, &user, evil);
        let expected = headers(&mail(LetterKind::Activation, &ann(), "bob")).len();
        assert_eq!(headers(&text).len(), expected, "{text}");
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(!text.contains("<script>") || !text.split("text/html").nth(1).unwrap().contains("<script>"), "{text}");
        for address in ["ann@x.example\r\nBcc: eve@x.example", "a@x.example, eve@x.example", "<a@x.example>", "a"] {
            user.email = address.to_owned();
            let composed = composer().compose(LetterKind::Reset, &user, "bob", None, Timestamp::default());
            assert!(matches!(composed, Err(ComposeError::Address(_))), "{address:?}");
        }
    }

    #[test]
    fn html_shows_names_as_text() {
        let mut user = ann();
        user.last_name = "<b onclick=x>".to_owned();
        let html = composer().page(LetterKind::Reset, &user, "bob", None).render().unwrap();
        assert!(html.contains("&#60;b onclick=x&#62;") && !html.contains("<b onclick"), "{html}");
    }
}
