//! One end user: found, explained, changed, deleted.

use super::{house, next, says, submit};

const PATH: &str = "/console/systems/s/end-users";

#[test]
fn an_end_user_is_found_explained_changed_and_deleted() {
    let server = house();
    let admin = server.admin_visitor();
    says(&admin.get(PATH), &["3 end users", "/end-users/bob%2F1%3F"]);
    let missed = admin.get(&format!("{PATH}?q=nobody"));
    says(&missed, &["No end user is called “nobody”"]);
    let found = admin.get(&format!("{PATH}?q=bob%2F1%3F"));
    assert_eq!((found.status, found.header("location")), (303, "/console/systems/s/end-users/bob%2F1%3F"));

    let bob = "/console/systems/s/end-users/bob%2F1%3F";
    says(&admin.get(bob), &["<h1 class=\"identifier\">bob/1?</h1>", "2026-01-01", "Not in", "set <time"]);
    let why = admin.get(&format!("{bob}?why=big"));
    says(&why, &["crm.Seats &#62; 50", "is 20", "crm.Seats more than 50"]);

    let unset = submit(&admin, &format!("{bob}/unset"), &[("attribute", "crm.Signup")]);
    let page = next(&admin, &unset);
    says(&page, &["crm.Signup has no value any more"]);
    assert!(!page.body.contains("2026-01-01"), "{}", page.body);
    says(&admin.get(&format!("{bob}/delete")), &["data-dialog-content", "Delete this end user?"]);
    says(&next(&admin, &submit(&admin, &format!("{bob}/delete"), &[])), &["is deleted", "2 end users"]);
    admin.get(bob).is_page(404);
}
