//! The list of users as a CSV file that is safe to open in a spreadsheet.
//!
//! Owns the file's columns. Invariant: no cell begins with what a spreadsheet takes for a formula, whatever users are
//! called; such a cell gets an apostrophe in front, as spreadsheets themselves do it.

use crate::accounts::{LoginMethod, UserRecord, UserStatus, systems_of};

/// The first line.
const HEADER: &str = "username,first_name,last_name,email,status,primary_role,extra_roles,systems,data_access,login_method,\
                      sso_id,login_blocked,last_login,login_count,failed_login_count,created_on,modified_on,modified_by";
/// What stands between several values of a cell.
const BETWEEN: &str = "; ";

/// The file (RFC 4180).
pub(super) fn csv<'a>(users: impl Iterator<Item = &'a UserRecord>) -> String {
    let mut text = format!("{HEADER}\r\n");
    for user in users {
        let cells: Vec<String> = row(user).iter().map(|value| cell(value)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn row(user: &UserRecord) -> [String; 18] {
    let access = user.data_access.iter();
    let access = access.map(|entry| format!("{} | {} | {}", entry.role, entry.data_view, entry.unit_group));
    [
        user.username.clone(),
        user.first_name.clone(),
        user.last_name.clone(),
        user.email.clone(),
        match user.status {
            UserStatus::Provisioned => "PROVISIONED".to_owned(),
            UserStatus::Active => "ACTIVE".to_owned(),
            UserStatus::Inactive => "INACTIVE".to_owned(),
        },
        user.roles.primary_role.clone(),
        user.roles.extra_roles.join(BETWEEN),
        systems_of(user).join(BETWEEN),
        access.collect::<Vec<_>>().join(BETWEEN),
        match user.login_method {
            LoginMethod::Password => "password".to_owned(),
            LoginMethod::Sso => "sso".to_owned(),
        },
        user.sso_id.clone().unwrap_or_default(),
        user.login_blocked.to_string(),
        user.last_login.map(|at| at.to_string()).unwrap_or_default(),
        user.login_count.to_string(),
        user.failed_login_count.to_string(),
        user.created_on.to_string(),
        user.modified_on.to_string(),
        user.modified_by.clone(),
    ]
}

fn cell(value: &str) -> String {
    // The wide forms are taken for the narrow ones by some spreadsheets.
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let value = if formula { format!("'{value}") } else { value.to_owned() };
    if value.contains([',', ';', '"', '\r', '\n', '\t']) || value.starts_with('\'') || value.trim() != value {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for begin in ["=", "+", "-", "@", "\t", "\r", "\n", "＝"] {
            let shown = cell(&format!("{begin}HYPERLINK(\"http://x\")"));
            assert!(shown.starts_with("\"'") && shown.ends_with('"'), "{shown}");
        }
        assert_eq!(cell("a=b"), "a=b");
        assert_eq!(cell("say \"hi\", you"), "\"say \"\"hi\"\", you\"");
    }

    #[test]
    fn every_row_has_every_column() {
        assert_eq!(HEADER.split(',').count(), 18);
    }
}
