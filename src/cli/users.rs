//! `rollcall users`: operators' accounts, on a running server.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, Call, print_json, print_table, shown, text_of, visible};
use super::recover;

/// What stands for stdin in the place of addresses, and for stdout in the place of a file.
const STREAM: &str = "-";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List users
    List(List),
    /// Show one user
    Show(One),
    /// Invite people; each gets a mail with a link to activate the account
    Invite(Invite),
    /// Let users in again; exit status 1 if any of them could not be
    Enable(Several),
    /// Lock users out and end their sessions; exit status 1 if any of them could not be
    Disable(Several),
    /// Mail a user a link to choose a new password
    Reset(One),
    /// Mail a user who has not activated the account another link
    Resend(One),
    /// Take off the second factor of a user who has lost it, and end the user's sessions
    ResetTotp(One),
    /// Delete a user
    Delete(One),
    /// Show a user's data access, or replace it
    DataAccess(DataAccess),
    /// Write all users as CSV, safe to open in a spreadsheet
    Export(Export),
    /// List requests for access
    Requests(Requests),
    /// Give access to whoever asked for it
    Approve(Approve),
    /// Deny access to whoever asked for it
    Deny(Request),
    /// Let an Admin in again when every Admin is locked out: on the server's machine, with the server stopped
    Recover(recover::Args),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only these: active, inactive or provisioned
    #[arg(long)]
    status: Option<String>,
    /// Only who holds this role
    #[arg(long)]
    role: Option<String>,
    /// Only who has anything to do in this system (id or name)
    #[arg(long)]
    system: Option<String>,
    /// Only whose username, name or address has this in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The username
    username: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Several {
    /// The usernames
    #[arg(required = true)]
    usernames: Vec<String>,
    #[command(flatten)]
    call: Call,
}

/// What someone new gets.
#[derive(Debug, clap::Args)]
struct Offer {
    /// The role
    #[arg(long)]
    role: String,
    /// A system (id or name; `*` is every one) in which the role counts, over every end user; may be repeated
    #[arg(long = "system", value_name = "SYSTEM")]
    systems: Vec<String>,
    /// By what the identity provider knows them: they then log in by SSO
    #[arg(long, value_name = "ID")]
    sso_id: Option<String>,
}

impl Offer {
    fn into_json(self) -> Value {
        let mut body = json!({ "role": self.role, "systems": self.systems });
        if let (Some(id), Some(body)) = (self.sso_id, body.as_object_mut()) {
            body.insert("login_method".to_owned(), json!("sso"));
            body.insert("sso_id".to_owned(), json!(id));
        }
        body
    }
}

#[derive(Debug, clap::Args)]
struct Invite {
    /// E-mail addresses, with `;`, `,`, blanks or line breaks between them; `-` reads them from stdin
    #[arg(required = true)]
    emails: Vec<String>,
    #[command(flatten)]
    offer: Offer,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct DataAccess {
    /// The username
    username: String,
    /// An entry of the new data access: a role of the user's, a system's name or id (`*`: every one), and a unit group's id
    /// (`*`: every end user); may be repeated
    #[arg(long = "entry", num_args = 3, value_names = ["ROLE", "DATA_VIEW", "UNIT_GROUP"])]
    entries: Vec<String>,
    /// Take all data access away
    #[arg(long, conflicts_with = "entries")]
    none: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// The file to write; `-` is stdout
    #[arg(default_value = STREAM)]
    file: PathBuf,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Requests {
    /// Only these: pending, approved or denied
    #[arg(long, default_value = "pending")]
    status: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Approve {
    /// The request's id
    id: String,
    #[command(flatten)]
    offer: Offer,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Request {
    /// The request's id
    id: String,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    match args.what {
        What::List(args) => list(&args),
        What::Show(args) => show(&args),
        What::Invite(args) => invite(args),
        What::Enable(args) => act_on_several(&args, "active"),
        What::Disable(args) => act_on_several(&args, "inactive"),
        What::Reset(args) => act(&args, Method::POST, &["actions", "reset-password"]),
        What::Resend(args) => act(&args, Method::POST, &["actions", "resend-activation"]),
        What::ResetTotp(args) => act(&args, Method::POST, &["actions", "reset-totp"]),
        What::Delete(args) => act(&args, Method::DELETE, &[]),
        What::DataAccess(args) => data_access(&args),
        What::Export(args) => export(&args),
        What::Requests(args) => requests(&args),
        What::Approve(args) => approve(args),
        What::Deny(args) => deny(&args),
        What::Recover(args) => recover::run(&args, config),
    }
}

fn list(args: &List) -> anyhow::Result<ExitCode> {
    let filters = [("status", &args.status), ("role", &args.role), ("system", &args.system), ("q", &args.search)];
    let query: Vec<_> = filters.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?))).collect();
    let users = Api::new(&args.call)?.list(&["users"], &query)?;
    if args.call.json {
        print_json(&Value::from(users))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = users.iter().map(row).collect();
    print_table(&["Username", "Name", "E-mail", "Role", "Systems", "Log-in", "Last log-in", "Status"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(user: &Value) -> Vec<String> {
    let text = |key| text_of(user, key);
    let kept = |key| user.get("_system_properties").map(|kept| text_of(kept, key)).unwrap_or_default();
    let name = format!("{} {}", text("first_name"), text("last_name"));
    vec![
        text("username"),
        name.trim().to_owned(),
        text("email"),
        roles(user),
        text("systems"),
        text("login_method"),
        kept("last_login"),
        kept("status"),
    ]
}

fn roles(user: &Value) -> String {
    let held = |pointer: &str| user.pointer(pointer).map(shown);
    let extra = user.pointer("/roles/extra_roles").and_then(Value::as_array).into_iter().flatten();
    let extra = extra.map(|role| text_of(role, "role"));
    held("/roles/primary_role/role").into_iter().chain(extra).collect::<Vec<_>>().join(", ")
}

fn show(args: &One) -> anyhow::Result<ExitCode> {
    let user = Api::new(&args.call)?.ask(Method::GET, &["users", &args.username], None)?;
    print_user(&user, args.call.json)
}

fn print_user(user: &Value, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        print_json(user)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12} {}\n", visible(&value).replace('\n', " ")));
        }
    };
    let cells = row(user);
    for (name, value) in
        ["Username", "Name", "E-mail", "Roles", "Systems", "Log-in", "Last log-in", "Status"].iter().zip(cells)
    {
        line(name, value);
    }
    line("SSO ID", text_of(user, "sso_id"));
    if user.get("login_blocked") == Some(&Value::Bool(true)) {
        line("Blocked", "log-in is refused".to_owned());
    }
    let entries = user.pointer("/data-access/organization").and_then(Value::as_array).into_iter().flatten();
    for entry in entries {
        line("Data access", access_row(entry).join(" | "));
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn access_row(entry: &Value) -> Vec<String> {
    let group = match text_of(entry, "unit_group_display_name") {
        name if name.is_empty() => format!("{} (there is no such unit group now)", text_of(entry, "unit_group")),
        name => format!("{} ({name})", text_of(entry, "unit_group")),
    };
    vec![text_of(entry, "role"), text_of(entry, "data_view"), group]
}

fn invite(args: Invite) -> anyhow::Result<ExitCode> {
    let mut emails = args.emails;
    if emails.iter().any(|text| text == STREAM) {
        emails.retain(|text| text != STREAM);
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("can't read the addresses from stdin")?;
        emails.push(text);
    }
    let mut body = args.offer.into_json();
    if let Some(body) = body.as_object_mut() {
        body.insert("emails".to_owned(), json!(emails));
    }
    let answer = Api::new(&args.call)?.ask(Method::POST, &["invitations"], Some(&body))?;
    told(&answer, args.call.json, &["E-mail", "Result", "Username"], &["email", "result", "username"], |result| {
        result != "invalid"
    })
}

fn act_on_several(args: &Several, action: &str) -> anyhow::Result<ExitCode> {
    let body = json!({ "usernames": args.usernames });
    let answer = Api::new(&args.call)?.ask(Method::POST, &["users", "actions", action], Some(&body))?;
    let good = |result: &str| matches!(result, "changed" | "unchanged");
    told(&answer, args.call.json, &["Username", "Result", "Why"], &["username", "result", "detail"], good)
}

/// Shows what came of each of several; exit status 1 if any of them was not done.
fn told(
    answer: &Value,
    as_json: bool,
    header: &[&str],
    keys: &[&str],
    good: impl Fn(&str) -> bool,
) -> anyhow::Result<ExitCode> {
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    if as_json {
        print_json(answer)?;
    } else {
        let rows: Vec<_> = items.iter().map(|item| keys.iter().map(|key| text_of(item, key)).collect()).collect();
        print_table(header, &rows)?;
    }
    let all = items.iter().all(|item| good(&text_of(item, "result")));
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn act(args: &One, method: Method, rest: &[&str]) -> anyhow::Result<ExitCode> {
    let path = [&["users", args.username.as_str()][..], rest].concat();
    Api::new(&args.call)?.ask(method, &path, None)?;
    Ok(ExitCode::SUCCESS)
}

fn data_access(args: &DataAccess) -> anyhow::Result<ExitCode> {
    let api = Api::new(&args.call)?;
    let user = if args.entries.is_empty() && !args.none {
        api.ask(Method::GET, &["users", &args.username], None)?
    } else {
        let entry = |parts: &[String]| match parts {
            [role, data_view, unit_group] => json!({ "role": role, "data_view": data_view, "unit_group": unit_group }),
            _ => Value::Null,
        };
        let organization: Vec<_> = args.entries.chunks(3).map(entry).collect();
        let body = json!({ "organization": organization, "segments": [] });
        api.ask(Method::PUT, &["users", &args.username, "data-access"], Some(&body))?
    };
    let access = user.get("data-access").cloned().unwrap_or_default();
    if args.call.json {
        print_json(&access)?;
        return Ok(ExitCode::SUCCESS);
    }
    let entries = access.get("organization").and_then(Value::as_array).cloned().unwrap_or_default();
    print_table(&["Role", "Data view", "Unit group"], &entries.iter().map(access_row).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

fn export(args: &Export) -> anyhow::Result<ExitCode> {
    let text = Api::new(&args.call)?.file(&["users", "export"], &[])?;
    if args.file == Path::new(STREAM) {
        super::print(&text)?;
    } else {
        std::fs::write(&args.file, text).with_context(|| format!("can't write {}", args.file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn requests(args: &Requests) -> anyhow::Result<ExitCode> {
    let items = Api::new(&args.call)?.list(&["access-requests"], &[("status", &args.status)])?;
    if args.call.json {
        print_json(&Value::from(items))?;
        return Ok(ExitCode::SUCCESS);
    }
    let keys = ["id", "email", "name", "reason", "requested_at", "status"];
    let rows: Vec<_> = items.iter().map(|item| keys.iter().map(|key| text_of(item, key)).collect()).collect();
    print_table(&["Id", "E-mail", "Name", "Reason", "Asked at", "Status"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn approve(args: Approve) -> anyhow::Result<ExitCode> {
    let body = args.offer.into_json();
    let user = Api::new(&args.call)?.ask(Method::POST, &["access-requests", &args.id, "approve"], Some(&body))?;
    print_user(&user, args.call.json)
}

fn deny(args: &Request) -> anyhow::Result<ExitCode> {
    Api::new(&args.call)?.ask(Method::POST, &["access-requests", &args.id, "deny"], None)?;
    Ok(ExitCode::SUCCESS)
}
