//! The door as a whole, by a clock that the tests set: links, letters, sessions.

use super::*;
use crate::accounts::users::{Start, first_admin};

fn visitor() -> Visitor {
    Visitor { address: [10, 0, 0, 1].into(), agent: "test".to_owned() }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A store with the operators `ann` (active, her password is `correct horse!`) and `bob` (invited, without a link).
fn house_with_operators() -> (House, Arc<Accounts>) {
    let (house, _) = House::with_clients("Admin", None);
    let now = house.clock.now();
    let hash = PasswordHash::of_new(&secret("correct horse!")).unwrap();
    let ann = first_admin("ann".to_owned(), "ann@x.example".to_owned(), Start::Active(hash), now);
    let nothing = OneTimeToken { hash: [0; 32], until: now };
    let bob = first_admin("bob".to_owned(), "bob@x.example".to_owned(), Start::Invited(nothing), now);
    for user in [ann, bob] {
        house.vault.put(Table::Users, &user.username, &user);
    }
    let (accounts, _) = house.open().unwrap();
    (house, accounts)
}

fn postman(house: &House, accounts: &Arc<Accounts>) -> Postman {
    Postman::open(accounts, &config(house.data.path()), &|_| None).unwrap()
}

fn queue(house: &House, kind: LetterKind, username: &str) {
    house.vault.write(vec![letter(kind, username, "test", house.clock.now()).unwrap()]).unwrap();
}

fn waiting(house: &House) -> Vec<Letter> {
    vault::read_all::<Letter>(&*house.vault, Table::Mail).unwrap().into_iter().map(|(_, letter)| letter).collect()
}

/// The tokens of the links in the outbox, the oldest mail first.
fn tokens(house: &House) -> Vec<Secret> {
    let mut paths: Vec<_> =
        fs::read_dir(house.data.path().join("outbox")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let token = |path: &std::path::PathBuf| {
        let mail = fs::read_to_string(path).unwrap().replace("=\r\n", "").replace("=3D", "=");
        let rest = mail.split("?token=").nth(1).unwrap().to_owned();
        secret(&rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect::<String>())
    };
    paths.iter().map(token).collect()
}

async fn redeem(accounts: &Arc<Accounts>, kind: LinkKind, token: &Secret) -> Result<(), LinkError> {
    accounts.redeem(kind, token, secret("another horse!"), visitor()).await
}

#[tokio::test]
async fn links_end_when_their_time_is_over() {
    for (kind, letter, name, seconds) in [
        (LinkKind::Activation, LetterKind::Activation, "bob", 7 * 86_400),
        (LinkKind::Reset, LetterKind::Reset, "ann", 3_600),
    ] {
        let (house, accounts) = house_with_operators();
        queue(&house, letter, name);
        postman(&house, &accounts).deliver().await;
        assert!(waiting(&house).is_empty());
        let token = &tokens(&house)[0];
        house.after(seconds);
        assert!(matches!(redeem(&accounts, kind, token).await, Err(LinkError::Ended)), "{kind:?}");
        house.after(seconds - 1);
        redeem(&accounts, kind, token).await.unwrap();
        assert!(matches!(redeem(&accounts, kind, token).await, Err(LinkError::Ended)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_newer_mail_ends_the_older_link_and_two_that_wait_are_one() {
    let (house, accounts) = house_with_operators();
    let postman = postman(&house, &accounts);
    queue(&house, LetterKind::Activation, "bob");
    queue(&house, LetterKind::Activation, "bob");
    postman.deliver().await;
    assert_eq!(tokens(&house).len(), 1);
    house.after(1);
    queue(&house, LetterKind::Activation, "bob");
    postman.deliver().await;
    let tokens = tokens(&house);
    assert!(matches!(redeem(&accounts, LinkKind::Activation, &tokens[0]).await, Err(LinkError::Ended)));
    redeem(&accounts, LinkKind::Activation, &tokens[1]).await.unwrap();
    assert_eq!(accounts.user("bob").unwrap().status, UserStatus::Active);
}

#[tokio::test]
async fn a_letter_without_a_reason_is_dropped() {
    let (house, accounts) = house_with_operators();
    queue(&house, LetterKind::Activation, "ann");
    queue(&house, LetterKind::Reset, "bob");
    queue(&house, LetterKind::Reset, "nobody");
    postman(&house, &accounts).deliver().await;
    assert!(waiting(&house).is_empty());
    assert!(!house.data.path().join("outbox").exists());
}

#[tokio::test]
async fn a_letter_is_tried_again_and_at_last_given_up() {
    let (house, accounts) = house_with_operators();
    // No folder can be made where a file stands.
    fs::write(house.data.path().join("outbox"), "").unwrap();
    let postman = postman(&house, &accounts);
    queue(&house, LetterKind::Reset, "ann");
    postman.deliver().await;
    assert_eq!(waiting(&house)[0].failures, 1);
    postman.deliver().await;
    assert_eq!(waiting(&house)[0].failures, 1, "it is not its time");
    house.after(2);
    postman.deliver().await;
    assert_eq!(waiting(&house)[0].failures, 2);
    house.after(3 * 86_400 - 1);
    postman.deliver().await;
    assert_eq!(waiting(&house)[0].failures, 3);
    house.after(4 * 86_400);
    postman.deliver().await;
    assert!(waiting(&house).is_empty(), "given up");

    house.after(5 * 86_400);
    queue(&house, LetterKind::Reset, "ann");
    postman.deliver().await;
    fs::remove_file(house.data.path().join("outbox")).unwrap();
    house.after(5 * 86_400 + 2);
    postman.deliver().await;
    assert!(waiting(&house).is_empty());
    redeem(&accounts, LinkKind::Reset, &tokens(&house)[0]).await.unwrap();
}

#[tokio::test]
async fn a_letter_that_left_while_its_removal_failed_is_not_sent_again() {
    let (house, accounts) = house_with_operators();
    let postman = postman(&house, &accounts);
    queue(&house, LetterKind::Reset, "ann");
    let (key, _) = house.vault.records(Table::Mail).unwrap().remove(0);
    postman.left(&String::from_utf8(key).unwrap());
    house.vault.full.store(true, Ordering::SeqCst);
    postman.deliver().await;
    assert_eq!(waiting(&house).len(), 1, "it can't be removed yet");
    house.vault.full.store(false, Ordering::SeqCst);
    postman.deliver().await;
    assert!(waiting(&house).is_empty());
    assert!(!house.data.path().join("outbox").exists(), "and was not sent");
}

fn credentials(password: &str) -> Credentials {
    Credentials { name: "ann".to_owned(), password: secret(password), code: None }
}

#[tokio::test]
async fn a_session_is_idle_for_half_a_day_at_most() {
    let (house, accounts) = house_with_operators();
    let new = accounts.log_in(credentials("correct horse!"), visitor()).await.unwrap();
    let live = LiveRules::default();
    let is_in = || accounts.signed_in(new.id.reveal(), &live).is_some();
    for hours in [0, 11, 22, 33] {
        house.after(hours * 3600);
        assert!(is_in(), "{hours}");
    }
    house.after(45 * 3600);
    assert!(!is_in());
    house.after(33 * 3600 - 3600);
    assert!(is_in(), "a clock set back by an hour ends no session");
}

#[tokio::test]
async fn a_log_in_that_can_not_be_written_is_none() {
    let (house, accounts) = house_with_operators();
    house.vault.full.store(true, Ordering::SeqCst);
    let refused = accounts.log_in(credentials("correct horse!"), visitor()).await.unwrap_err();
    assert!(matches!(refused, SignInError::Write(_)), "{refused:?}");
    house.vault.full.store(false, Ordering::SeqCst);
    assert_eq!(accounts.user("ann").unwrap().login_count, 0);
    accounts.log_in(credentials("correct horse!"), visitor()).await.unwrap();
    assert_eq!(accounts.user("ann").unwrap().login_count, 1);
}

#[tokio::test]
async fn failures_count_for_five_minutes() {
    let (house, accounts) = house_with_operators();
    let wrong = || accounts.log_in(credentials("wrong"), visitor());
    for _ in 0..5 {
        assert!(matches!(wrong().await, Err(SignInError::Refused)));
    }
    assert!(matches!(wrong().await, Err(SignInError::Throttled(_))));
    house.after(300);
    accounts.log_in(credentials("correct horse!"), visitor()).await.unwrap();
    assert_eq!(accounts.user("ann").unwrap().failed_login_count, 5, "what was not judged does not count");
}
