//! What the invited are mailed who log in by SSO.

use serde_json::json;

use super::house::House;

#[test]
fn who_logs_in_by_sso_has_no_password_to_forget_or_change() {
    let house = House::new();
    let browser = house.server.visitor();
    browser.post("/accounts/forgot-password", &json!({ "email": "ann" })).is(202);
    house.log_in(&browser, &json!({ "sub": "idp-ann" })).is(303);
    let change = json!({ "current_password": "x", "password": "correct horse!" });
    browser.post("/accounts/me/password", &change).problem(409);
    browser.post("/accounts/me/totp", &json!({ "current_password": "x" })).problem(409);
    assert_eq!(browser.get("/accounts/me").is(200)["second_factor"], json!({ "active": false, "required": false }));
    browser.post("/accounts/forgot-password", &json!({ "email": "admin@x.example" })).is(202);
    house.server.home.mail_to("admin@x.example", 1);
    assert_eq!(house.server.home.mails().len(), 1);
}
