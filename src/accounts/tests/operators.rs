//! Operators: what data access grants under live rules, and what changes of accounts do beside what they say.

use std::collections::BTreeSet;

use super::*;
use crate::accounts::access::{DataAccessDraft, powers_of};
use crate::model::UnitGroupId;
use crate::ruleset::{Files, Following, LastGood, RuleSet, RulesOptions, RulesService};
use crate::segments::Segment;
use crate::store;

/// Keeps nothing.
struct Forgetful;

impl LastGood for Forgetful {
    fn load(&self) -> Result<BTreeMap<SystemId, Files>, String> {
        Ok(BTreeMap::new())
    }
    fn save(&self, _: &SystemId, _: &Files) -> Result<(), String> {
        Ok(())
    }
    fn forget(&self, _: &SystemId) -> Result<(), String> {
        Ok(())
    }
}

/// Nobody has to know of new rules.
struct Nobody;

impl Following for Nobody {
    fn script_time(&self, _: &RuleSet, _: &Segment) -> Option<std::time::Duration> {
        None
    }
    fn before_swap(&self, _: &LiveRules, _: &LiveRules) {}
}

/// Live rules of these `system.toml`s.
fn live(systems: &[(&str, &str)]) -> Arc<LiveRules> {
    let root = tempfile::tempdir().unwrap();
    for (system, text) in systems {
        fs::create_dir(root.path().join(system)).unwrap();
        fs::write(root.path().join(system).join("system.toml"), text).unwrap();
    }
    let options = RulesOptions { watch: false, read_only: false, script_us: 200 };
    let path = root.path().to_owned();
    let service = RulesService::start(path, Arc::new(Forgetful), Clock::system(), options, Box::new(Nobody));
    service.ok().unwrap().live()
}

const SHOP: &str = "name = \"The Shop\"\n[[unit_groups]]\nid = \"north\"\nrule = 'true'\n[[unit_groups]]\nid = \"south\"\nrule = 'true'\n";

fn rules() -> Arc<LiveRules> {
    live(&[("shop", SHOP), ("lab", "name = \"The Lab\"\n[[unit_groups]]\nid = \"north\"\nrule = 'true'\n")])
}

fn system(id: &str) -> SystemId {
    SystemId::new(id).unwrap()
}

fn entry(role: &str, data_view: &str, unit_group: &str) -> DataAccessDraft {
    DataAccessDraft { role: role.to_owned(), data_view: data_view.to_owned(), unit_group: unit_group.to_owned() }
}

fn draft(username: &str, roles: &[&str], entries: &[DataAccessDraft]) -> UserDraft {
    UserDraft {
        username: Some(username.to_owned()),
        email: Some(format!("{username}@x.example")),
        primary_role: Some(roles[0].to_owned()),
        extra_roles: roles[1..].iter().map(|role| (*role).to_owned()).collect(),
        data_access: entries.to_vec(),
        ..UserDraft::default()
    }
}

/// A house where there is nobody yet, with the roles `Reader`, `Writer` and `Caller` beside the built-in ones.
struct Operators {
    house: House,
    accounts: Arc<Accounts>,
    live: Arc<LiveRules>,
}

impl Operators {
    fn new() -> Self {
        let (house, accounts) = House::with_clients("Admin", None);
        Self { house, accounts, live: rules() }
    }

    async fn make(&self, draft: UserDraft) -> Arc<UserRecord> {
        self.accounts.create_user(admin(), draft, false, Arc::clone(&self.live)).await.unwrap()
    }

    /// An Admin who can log in.
    async fn active_admin(&self, username: &str) {
        self.make(draft(username, &["Admin"], &[])).await;
        let activate = |user: &mut UserRecord| {
            (user.status, user.activated) = (UserStatus::Active, true);
            Ok::<_, WriteError>(Vec::new())
        };
        self.accounts.change_user(username, activate).unwrap();
    }

    fn principal(&self, username: &str, live: &LiveRules) -> Principal {
        self.accounts.user_principal(&self.accounts.user(username).unwrap(), [0; 32], live)
    }

    fn letters(&self) -> Vec<(LetterKind, String)> {
        let letters = self.house.vault.records(Table::Mail).unwrap();
        let read = |value: &[u8]| store::decode::<Letter>(value).unwrap();
        letters.iter().map(|(_, value)| read(value)).map(|letter| (letter.kind, letter.username)).collect()
    }

    async fn act(&self, username: &str, action: UserAction) -> Result<(), UserError> {
        self.accounts.act_on_user(admin(), username.to_owned(), action).await
    }
}

fn groups(names: &[&str]) -> Sight {
    Sight::UnitGroups(names.iter().map(|name| UnitGroupId::new(name).unwrap()).collect::<BTreeSet<_>>())
}

#[tokio::test]
async fn several_entries_add_up_each_with_its_own_role() {
    let house = Operators::new();
    let entries = [
        entry("Viewer", "The Shop", "north"),
        entry("Viewer", "shop", "south"),
        entry("Integration", "lab", "*"),
        entry("Viewer", "*", "north"),
    ];
    house.make(draft("ann", &["Viewer", "Integration"], &entries)).await;
    let ann = house.principal("ann", &house.live);
    assert_eq!(ann.sight(&system("shop"), Permission::EndUsersRead), groups(&["north", "south"]));
    assert_eq!(ann.sight(&system("shop"), Permission::EndUsersWrite), Sight::None, "that role counts in the lab");
    assert_eq!(ann.sight(&system("lab"), Permission::EndUsersWrite), Sight::All);
    assert_eq!(
        ann.sight(&system("lab"), Permission::EndUsersRead),
        groups(&["north"]),
        "by the entry for every system"
    );
    assert!(ann.may(Permission::SegmentsRead, Some(&system("shop"))));
    assert!(!ann.may(Permission::EndUsersWrite, Some(&system("shop"))));
    assert!(
        ann.may(Permission::UsersRead, None) && !ann.may(Permission::UsersWrite, None),
        "account-wide: from any role"
    );
}

#[tokio::test]
async fn a_role_without_data_access_counts_account_wide_alone_but_for_admins() {
    let house = Operators::new();
    house.make(draft("ann", &["Editor"], &[])).await;
    let ann = house.principal("ann", &house.live);
    assert!(ann.may(Permission::UsersInvite, None) && !ann.may(Permission::SegmentsRead, Some(&system("shop"))));
    house.make(draft("root", &["Admin"], &[])).await;
    let root = house.principal("root", &house.live);
    assert_eq!(root.sight(&system("later"), Permission::EndUsersDelete), Sight::All);
}

#[tokio::test]
async fn what_an_entry_names_and_there_is_not_grants_nothing_until_it_is_back() {
    let house = Operators::new();
    house.make(draft("ann", &["Viewer"], &[entry("Viewer", "The Shop", "north")])).await;
    let sight = |live: &LiveRules| house.principal("ann", live).sight(&system("shop"), Permission::EndUsersRead);
    assert_eq!(sight(&house.live), groups(&["north"]));
    let without_group = live(&[("shop", "name = \"The Shop\"\n")]);
    assert_eq!(sight(&without_group), Sight::None);
    assert!(
        !house.principal("ann", &without_group).may(Permission::SegmentsRead, Some(&system("shop"))),
        "not even that"
    );
    assert_eq!(sight(&live(&[("lab", "")])), Sight::None);
    assert_eq!(sight(&rules()), groups(&["north"]));

    // The role is gone from the configuration.
    let user = UserRecord::clone(&house.accounts.user("ann").unwrap());
    let gone = UserRecord { roles: UserRoles { primary_role: "Gone".to_owned(), extra_roles: Vec::new() }, ..user };
    assert_eq!(powers_of(&gone, house.accounts.roles(), &house.live).account, PermissionSet::NONE);
}

#[tokio::test]
async fn renaming_systems_moves_nobodys_access() {
    let house = Operators::new();
    house.make(draft("ann", &["Viewer"], &[entry("Viewer", "The Shop", "*")])).await;
    let swapped = live(&[("shop", "name = \"Other\"\n"), ("lab", "name = \"The Shop\"\n")]);
    let ann = house.principal("ann", &swapped);
    assert_eq!(ann.sight(&system("shop"), Permission::EndUsersRead), Sight::All);
    assert_eq!(ann.sight(&system("lab"), Permission::EndUsersRead), Sight::None);
    let user = house.accounts.user("ann").unwrap();
    assert_eq!(view(&user.data_access[0], &swapped).data_view, "Other", "it is shown by the name that it has now");
}

#[tokio::test]
async fn a_data_view_is_an_id_first_and_else_one_systems_name() {
    let house = Operators::new();
    let confusing = live(&[("shop", "name = \"lab\"\n"), ("lab", "name = \"Twin\"\n"), ("zoo", "name = \"Twin\"\n")]);
    let make = |name: &str, data_view: &str| {
        let draft = draft(name, &["Viewer"], &[entry("Viewer", data_view, "*")]);
        house.accounts.create_user(admin(), draft, false, Arc::clone(&confusing))
    };
    assert_eq!(systems_of(&make("ann", "lab").await.unwrap()), ["lab"]);
    let Err(UserError::Invalid(faults)) = make("bob", "Twin").await else { panic!("taken") };
    assert_eq!(
        (faults[0].code, faults[0].pointer.as_str()),
        ("ambiguous_data_view", "/data-access/organization/0/data_view")
    );
    assert!(faults[0].detail.contains("`lab`") && faults[0].detail.contains("`zoo`"), "{}", faults[0].detail);
}

#[tokio::test]
async fn one_admin_who_can_log_in_stays() {
    let house = Operators::new();
    for name in ["one", "two"] {
        house.active_admin(name).await;
    }
    let both = vec!["one".to_owned(), "two".to_owned()];
    let outcomes = house.accounts.act_on_users(admin(), both, UserAction::Disable).await.unwrap();
    assert!(matches!(outcomes[0].1, BulkOutcome::Changed));
    assert!(matches!(outcomes[1].1, BulkOutcome::Refused(UserError::LastAdmin(_))), "not both in one call either");
    assert!(matches!(house.accounts.delete_user(admin(), "two".to_owned()).await, Err(UserError::LastAdmin(_))));
    house.act("one", UserAction::Enable).await.unwrap();
    assert_eq!(house.accounts.user("one").unwrap().status, UserStatus::Active);
    house.act("two", UserAction::Disable).await.unwrap();
    let mut demoted = draft("one", &["Viewer"], &[]);
    demoted.login_blocked = true;
    let put = |draft| house.accounts.put_user(admin(), "one".to_owned(), draft, true, Arc::clone(&house.live));
    assert!(matches!(put(demoted).await, Err(UserError::LastAdmin(_))));
    assert!(put(draft("one", &["Viewer", "Admin"], &[])).await.is_ok(), "an extra role is a role");
}

#[tokio::test]
async fn disabling_ends_sessions_and_changing_the_way_in_does_too() {
    let house = Operators::new();
    house.active_admin("one").await;
    house.active_admin("two").await;
    let number = || house.accounts.user("two").unwrap().sessions;
    let first = number();
    house.act("two", UserAction::Disable).await.unwrap();
    let second = number();
    house.act("two", UserAction::Disable).await.unwrap();
    assert!(first != second && second == number());
    let mut sso = draft("two", &["Admin"], &[]);
    (sso.login_method, sso.sso_id) = (Some(LoginMethod::Sso), Some(Some("idp|2".to_owned())));
    house.accounts.put_user(admin(), "two".to_owned(), sso, true, Arc::clone(&house.live)).await.unwrap();
    assert_ne!(number(), second);
    assert_eq!(house.accounts.find_sso_user("idp|2").unwrap().username, "two");
    house.act("two", UserAction::Enable).await.unwrap();
    assert!(matches!(house.act("two", UserAction::ResetPassword).await, Err(UserError::Status { .. })));
}

#[tokio::test]
async fn letters_are_queued_with_what_they_tell_of() {
    let house = Operators::new();
    let made = house.accounts.create_user(admin(), draft("ann", &["Viewer"], &[]), true, Arc::clone(&house.live)).await;
    made.unwrap();
    house.make(draft("bob", &["Viewer"], &[])).await;
    let activation = |name: &str| (LetterKind::Activation, name.to_owned());
    assert_eq!(house.letters(), [activation("ann")], "none where the caller wants none");
    house.act("bob", UserAction::ResendActivation).await.unwrap();
    house.active_admin("one").await;
    house.act("one", UserAction::ResetPassword).await.unwrap();
    assert_eq!(house.letters()[1..], [activation("bob"), (LetterKind::Reset, "one".to_owned())]);

    // A new address gets the link, and what went to the old one ends.
    let token = |user: &mut UserRecord| {
        user.activation = Some(OneTimeToken { hash: [1; 32], until: Timestamp::default() });
        user.reset = Some(OneTimeToken { hash: [2; 32], until: Timestamp::default() });
        Ok::<_, WriteError>(Vec::new())
    };
    house.accounts.change_user("bob", token).unwrap();
    let mut moved = draft("bob", &["Viewer"], &[]);
    moved.email = Some("new@x.example".to_owned());
    let put = house.accounts.put_user(admin(), "bob".to_owned(), moved, true, Arc::clone(&house.live)).await.unwrap();
    assert_eq!((&put.activation, &put.reset), (&None, &None));
    assert_eq!(house.letters()[3..], [activation("bob")]);
}

#[tokio::test]
async fn what_can_not_be_written_has_not_happened() {
    let house = Operators::new();
    house.make(draft("ann", &["Viewer"], &[])).await;
    house.house.vault.full.store(true, Ordering::SeqCst);
    let before = house.accounts.user("ann").unwrap();
    assert!(matches!(house.act("ann", UserAction::Disable).await, Err(UserError::Write(WriteError::DiskFull))));
    let other =
        house.accounts.create_user(admin(), draft("bob", &["Viewer"], &[]), true, Arc::clone(&house.live)).await;
    assert!(matches!(other, Err(UserError::Write(_))));
    assert!(house.accounts.delete_user(admin(), "ann".to_owned()).await.is_err());
    house.house.vault.full.store(false, Ordering::SeqCst);
    assert_eq!(house.accounts.user("ann").unwrap(), before);
    assert!(house.accounts.user("bob").is_none() && house.letters().is_empty());
    assert_eq!(house.house.user("ann"), *before, "memory and store say the same");
}

#[tokio::test]
async fn decided_requests_and_old_entries_are_dropped_in_time() {
    let house = Operators::new();
    for name in ["one", "two"] {
        house.accounts.request_access(format!("{name}@x.example"), String::new(), String::new()).await.unwrap();
    }
    let id = house.accounts.access_requests().unwrap()[0].id.clone();
    house.accounts.deny_access(admin(), id).await.unwrap();
    let audited = || house.accounts.audit_page(&AuditFilter::default(), None, 100).unwrap().unwrap().entries.len();
    assert_eq!((house.accounts.access_requests().unwrap().len(), audited()), (2, 1));
    house.house.after(2 * 86_400);
    house.accounts.tidy().unwrap();
    assert_eq!(
        (house.accounts.access_requests().unwrap().len(), audited()),
        (2, 0),
        "the audit here is kept for a day"
    );
    house.house.after(91 * 86_400);
    house.accounts.tidy().unwrap();
    let left = house.accounts.access_requests().unwrap();
    assert_eq!((left.len(), left[0].status), (1, RequestStatus::Pending), "nobody has decided on this one");
}

#[tokio::test]
async fn open_requests_are_bounded() {
    let house = Operators::new();
    for number in 0..1010 {
        house.accounts.request_access(format!("u{number}@x.example"), String::new(), String::new()).await.unwrap();
    }
    assert_eq!(house.accounts.access_requests().unwrap().len(), 1000);
}

#[tokio::test]
async fn operators_and_clients_are_there_again_after_a_restart() {
    let house = Operators::new();
    house.make(draft("ann", &["Viewer"], &[entry("Viewer", "The Shop", "north")])).await;
    let (again, _) = house.house.open().unwrap();
    assert_eq!(again.user("ann").unwrap(), house.accounts.user("ann").unwrap());
    assert_eq!(again.find_user("ANN@x.example").unwrap().username, "ann");
}

#[tokio::test]
async fn who_sees_a_part_grants_no_more_than_the_part() {
    let house = Operators::new();
    house.make(draft("ann", &["Editor"], &[entry("Editor", "shop", "north")])).await;
    let ann = Actor { principal: Arc::new(house.principal("ann", &house.live)), address: None };
    let grant = |name: &str, entries: &[DataAccessDraft]| {
        house.accounts.create_user(ann.clone(), draft(name, &["Viewer"], entries), false, Arc::clone(&house.live))
    };
    assert!(grant("one", &[entry("Viewer", "shop", "north")]).await.is_ok());
    for beyond in [entry("Viewer", "shop", "south"), entry("Viewer", "shop", "*"), entry("Viewer", "lab", "north")] {
        assert!(matches!(grant("two", &[beyond]).await, Err(UserError::Beyond(_))));
    }
    assert!(
        matches!(grant("two", &[entry("Viewer", "*", "north")]).await, Err(UserError::Beyond(_))),
        "in the lab, too"
    );
    let client =
        ClientDraft { role: "Viewer".to_owned(), systems: Some(vec!["shop".to_owned()]), ..ClientDraft::default() };
    let made = house.accounts.create_client(ann, client, Arc::clone(&house.live)).await;
    assert!(matches!(made, Err(ClientError::Beyond(_))), "a client sees every end user of its systems");
}
