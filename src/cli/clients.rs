//! `rollcall clients`: OAuth clients, on a running server.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, Call, print_json, print_table, text_of, visible};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List clients
    List(All),
    /// Show one client
    Show(One),
    /// Make a client and print its secret, which is not shown again
    Create(Create),
    /// Change a client's role, systems or description; what is left out stays
    Change(Change),
    /// Give a client a new secret and print it; the old one and every access token end
    Rotate(One),
    /// Disable a client; its access tokens end
    Disable(One),
    /// Enable a client
    Enable(One),
}

#[derive(Debug, clap::Args)]
struct All {
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The client's id
    id: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its id [default: one is made]
    id: Option<String>,
    /// Its role
    #[arg(long)]
    role: String,
    /// A system (id or name) in which it may act; may be repeated [default: every system, later ones too]
    #[arg(long = "system", value_name = "SYSTEM")]
    systems: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The client's id
    id: String,
    /// Its new role
    #[arg(long)]
    role: Option<String>,
    /// A system (id or name; `*` is every one) in which it may act from now on, and in no other; may be repeated
    #[arg(long = "system", value_name = "SYSTEM")]
    systems: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    call: Call,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::List(args) => list(&args.call)?,
        What::Show(args) => {
            let client = ask(&args.call, Method::GET, &[&args.id], None)?;
            print_client(&client, args.call.json)?;
        }
        What::Create(args) => {
            let Create { id, role, systems, description, call } = args;
            let systems = if systems.is_empty() { Value::Null } else { json!(systems) };
            let body = json!({ "client_id": id, "role": role, "systems": systems, "description": description });
            print_client(&ask(&call, Method::POST, &[], Some(&body))?, call.json)?;
        }
        What::Change(args) => {
            let Change { id, role, systems, description, call } = args;
            let now = ask(&call, Method::GET, &[&id], None)?;
            let kept = |key: &str| now.get(key).cloned().unwrap_or_default();
            let body = json!({
                "role": role.map_or_else(|| kept("role"), Value::from),
                "systems": if systems.is_empty() { kept("systems") } else { json!(systems) },
                "description": description.map_or_else(|| kept("description"), Value::from),
            });
            print_client(&ask(&call, Method::PUT, &[&id], Some(&body))?, call.json)?;
        }
        What::Rotate(args) => {
            let client = ask(&args.call, Method::POST, &[&args.id, "rotate"], None)?;
            print_client(&client, args.call.json)?;
        }
        What::Disable(args) => drop(ask(&args.call, Method::POST, &[&args.id, "disable"], None)?),
        What::Enable(args) => drop(ask(&args.call, Method::POST, &[&args.id, "enable"], None)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(call: &Call, method: Method, rest: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
    Api::new(call)?.ask(method, &[&["clients"], rest].concat(), body)
}

fn list(call: &Call) -> anyhow::Result<()> {
    let clients = Api::new(call)?.list(&["clients"], &[])?;
    if call.json {
        return print_json(&Value::from(clients));
    }
    let rows: Vec<_> = clients.iter().map(row).collect();
    print_table(&["Client", "Role", "Systems", "State", "Made at", "Description"], &rows)
}

fn row(client: &Value) -> Vec<String> {
    let text = |key| text_of(client, key);
    let state = if client.get("enabled") == Some(&Value::Bool(true)) { "enabled" } else { "disabled" };
    vec![text("client_id"), text("role"), text("systems"), state.to_owned(), text("created_at"), text("description")]
}

fn print_client(client: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(client);
    }
    let mut text = String::new();
    let names = ["Client", "Role", "Systems", "State", "Made at", "Description"];
    let secret = ("Secret", text_of(client, "client_secret"));
    for (name, value) in names.into_iter().zip(row(client)).chain([secret]) {
        if !value.is_empty() {
            text.push_str(&format!("{name:<12} {}\n", visible(&value).replace('\n', " ")));
        }
    }
    super::print(&text)
}
