//! Invitations: many new accounts at once, from addresses as people paste them.
//!
//! Owns how addresses are found in a text, and the username that an address gets. Knows nothing of how the letters are
//! sent. Invariant: each address is answered once, whatever its case and however often it was named, and who has an
//! account already is left untouched.

use std::collections::HashSet;
use std::sync::Arc;

use super::Accounts;
use super::access::whole_systems;
use super::audit::Actor;
use super::directory::{UserChange, folded};
use super::drafts::{UserDraft, is_address};
use super::fault::Fault;
use super::operators::UserError;
use super::users::{LoginMethod, username_of};
use super::vault::Change;
use crate::ruleset::LiveRules;

/// Most addresses of one call.
const MAX_ADDRESSES: usize = 1000;
/// How many usernames are tried for an address whose own is another's.
const MAX_NUMBERED: u32 = 1000;

/// What an invited person gets. What is left out of an address's own is the call's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The role.
    pub role: Option<String>,
    /// The systems in which it counts, over every end user: ids, names, or `*`.
    pub systems: Option<Vec<String>>,
    /// How they log in.
    pub login_method: Option<LoginMethod>,
    /// Their name at the identity provider.
    pub sso_id: Option<String>,
}

/// One address, or a text with several, and what is particular to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invitee {
    /// One address or more.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// What they get where it is not what all get.
    pub own: Offer,
    /// Where it stands in the body, as a JSON pointer.
    pub pointer: String,
}

/// What came of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    /// An account was made and the mail is on its way.
    Invited,
    /// There is an account of this address, left as it is.
    Exists,
    /// It is no address.
    Invalid,
}

/// One address of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationOutcome {
    /// The address as it was sent.
    pub email: String,
    /// What came of it.
    pub result: Invited,
    /// The account's username, where there is one.
    pub username: Option<String>,
}

impl Accounts {
    /// Makes an account for each address that has none, in one commit; what came of each.
    ///
    /// # Errors
    /// [`UserError`]: too many addresses or none, an unknown role or system, more than the actor may grant, the change
    /// can't be written. Nobody is invited then.
    pub async fn invite(
        self: &Arc<Self>,
        actor: Actor,
        invitees: Vec<Invitee>,
        all: Offer,
        live: Arc<LiveRules>,
    ) -> Result<Vec<InvitationOutcome>, UserError> {
        let addresses = addresses(invitees)?;
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let mut batch = Batch {
                accounts,
                actor: &actor,
                live: &live,
                users: Vec::new(),
                beside: Vec::new(),
                taken: HashSet::new(),
            };
            let outcomes =
                addresses.iter().map(|invitee| batch.invite(invitee, &all)).collect::<Result<Vec<_>, _>>()?;
            let Batch { users, beside, .. } = batch;
            if !users.is_empty() {
                accounts.commit_users(users, beside)?;
            }
            Ok(outcomes)
        })
        .await
    }
}

impl Accounts {
    /// The address with its odd characters made `_`; with a number behind it where that is another's, or in `taken`.
    pub(super) fn free_username(&self, email: &str, taken: &HashSet<String>) -> String {
        let plain = username_of(email);
        let is_free = |name: &String| self.users.find(name).is_none() && !taken.contains(&folded(name));
        let numbered = (2..MAX_NUMBERED).map(|number| format!("{plain}_{number}"));
        std::iter::once(plain.clone()).chain(numbered).find(is_free).unwrap_or(plain)
    }
}

/// The accounts of one call, on their way into one commit.
struct Batch<'a> {
    accounts: &'a Accounts,
    actor: &'a Actor,
    live: &'a LiveRules,
    users: Vec<UserChange>,
    beside: Vec<Change>,
    /// The usernames and identity provider's names of this call.
    taken: HashSet<String>,
}

impl Batch<'_> {
    fn invite(&mut self, invitee: &Invitee, all: &Offer) -> Result<InvitationOutcome, UserError> {
        let email = invitee.email.clone();
        if !is_address(&email) {
            return Ok(InvitationOutcome { email, result: Invited::Invalid, username: None });
        }
        if let Some(user) = self.accounts.users.find(&email) {
            let username = Some(user.username.clone());
            return Ok(InvitationOutcome { email, result: Invited::Exists, username });
        }
        let draft = self.draft(invitee, all)?;
        let drafted = self.accounts.draft_user(self.actor, &draft, true, self.live);
        let (user, beside) = drafted.map_err(|error| at(&invitee.pointer, error))?;
        let username = user.username.clone();
        self.users.push(UserChange::Put(Arc::new(user)));
        self.beside.extend(beside);
        Ok(InvitationOutcome { email, result: Invited::Invited, username: Some(username) })
    }

    fn draft(&mut self, invitee: &Invitee, all: &Offer) -> Result<UserDraft, UserError> {
        let own = &invitee.own;
        let role = own.role.clone().or_else(|| all.role.clone()).unwrap_or_default();
        let systems = own.systems.as_ref().or(all.systems.as_ref());
        let sso_id = own.sso_id.clone().or_else(|| all.sso_id.clone()).filter(|id| !id.is_empty());
        if let Some(id) = &sso_id
            && !self.taken.insert(format!("sso:{id}"))
        {
            let detail =
                format!("`{id}` can be one account's only: send an object for each address, with its own `sso_id`");
            return Err(UserError::Invalid(vec![Fault::new("/sso_id", "sso_id_taken", detail)]));
        }
        let username = self.accounts.free_username(&invitee.email, &self.taken);
        self.taken.insert(folded(&username));
        Ok(UserDraft {
            username: Some(username),
            first_name: invitee.first_name.clone(),
            last_name: invitee.last_name.clone(),
            email: Some(invitee.email.clone()),
            data_access: systems.map(|systems| whole_systems(&role, systems)).unwrap_or_default(),
            primary_role: Some(role),
            login_method: own.login_method.or(all.login_method),
            sso_id: Some(sso_id),
            ..UserDraft::default()
        })
    }
}

/// Every address once, each with what is particular to it.
fn addresses(invitees: Vec<Invitee>) -> Result<Vec<Invitee>, UserError> {
    let mut seen = HashSet::new();
    let mut addresses = Vec::new();
    for invitee in invitees {
        for email in split(&invitee.email) {
            if seen.insert(folded(email)) {
                addresses.push(Invitee { email: email.to_owned(), ..invitee.clone() });
            }
        }
    }
    let refused = |code, detail| Err(UserError::Invalid(vec![Fault::new("/emails", code, detail)]));
    match addresses.len() {
        0 => refused("missing", "at least one e-mail address is needed".to_owned()),
        1..=MAX_ADDRESSES => Ok(addresses),
        count => refused("too_many", format!("there are {count} addresses; at most {MAX_ADDRESSES} are taken at once")),
    }
}

/// The addresses in a text, whatever separates them. Quotes and angle brackets, as address books put them around, are
/// taken off.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ';' || c == ',' || c.is_whitespace())
        .map(|part| part.trim_matches(|c| "<>\"'".contains(c)))
        .filter(|part| !part.is_empty())
}

/// Where a fault of a draft stands in an invitation.
pub(super) fn at(pointer: &str, error: UserError) -> UserError {
    let place = |fault: Fault| {
        let field = match fault.pointer.as_str() {
            "/roles/primary_role/role" | "/roles/primary_role" => "/role".to_owned(),
            other => match other.strip_prefix("/data-access/organization/") {
                Some(entry) => format!("/systems/{}", entry.split('/').next().unwrap_or_default()),
                None => other.to_owned(),
            },
        };
        Fault { pointer: format!("{pointer}{field}"), ..fault }
    };
    match error {
        UserError::Invalid(faults) => UserError::Invalid(faults.into_iter().map(place).collect()),
        UserError::Taken(fault) => UserError::Taken(place(fault)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_whatever_separates_them() {
        let text =
            "a@x.example;b@x.example, c@x.example d@x.example\te@x.example\r\nf@x.example;;, \n \"G\" <g@x.example>";
        let found: Vec<_> = split(text).filter(|part| is_address(part)).collect();
        let expected: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].iter().map(|n| format!("{n}@x.example")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_address_is_there_once_and_no_more_than_a_thousand() {
        let invitee = |email: &str| Invitee { email: email.to_owned(), ..Invitee::default() };
        let found = addresses(vec![invitee("A@x.example a@X.example"), invitee("b@x.example,a@x.example")]).unwrap();
        assert_eq!(found.iter().map(|i| i.email.as_str()).collect::<Vec<_>>(), ["A@x.example", "b@x.example"]);
        assert!(addresses(vec![invitee(" ;, ")]).is_err());
        let many: String = (0..1001).map(|n| format!("u{n}@x.example ")).collect();
        assert!(addresses(vec![invitee(&many)]).is_err());
    }
}
