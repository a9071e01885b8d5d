//! The ground that browser tests stand on: what [`Browser`] says of a page is so.

use super::site::Site;
use crate::support::Browser;

const FORM: &str = "
<h1>Form</h1>
<form onsubmit='event.preventDefault(); setTimeout(() => { said.hidden = false; said.textContent = name.value; }, 50)'>
  <label>Your name <input id=name value=before data-x=1></label>
  <button>Send</button>
</form>
<output id=said hidden></output>
<noscript><p id=without>No scripts</p></noscript>
<style>@media (prefers-color-scheme: dark) { h1 { display: none } }</style>
<script>const name = document.getElementById('name'), said = document.getElementById('said')</script>";

#[test]
fn a_person_can_be_played() {
    let (site, browser) = (Site::open(), Browser::start());
    let address = site.page("/form", "", FORM);
    browser.open(&address);
    assert_eq!((browser.url(), browser.title()), (address.clone(), "Site".to_owned()));
    let field = browser.find("#name");
    assert_eq!(field.presented(), ("textbox".to_owned(), "Your name".to_owned()));
    assert_eq!((field.attribute("data-x").as_deref(), field.attribute("data-y")), (Some("1"), None));
    assert!(!browser.all("#said")[0].is_shown());
    field.fill("Jöhn");
    browser.find("button").click();
    assert_eq!(browser.find("#said").text(), "Jöhn", "waited for");
    field.fill("Ann\u{e007}");
    assert_eq!(browser.becomes("said.textContent === 'Ann' && name.value"), "Ann", "Enter sends the form");

    browser.resize(390, 844);
    assert_eq!(browser.run("return [innerWidth, innerHeight].join()"), "390,844");
    assert!(browser.find("h1").is_shown());
    browser.prefers("prefers-color-scheme", "dark");
    assert!(!browser.all("h1")[0].is_shown());
    browser.without_scripts();
    browser.open(&address);
    assert_eq!(browser.find("#without").text(), "No scripts");
    assert_eq!(browser.console_errors(), [""; 0]);

    let picture = tempfile::NamedTempFile::new().unwrap();
    browser.picture(picture.path());
    assert!(std::fs::read(picture.path()).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn what_the_console_says_is_known() {
    let (site, browser) = (Site::open(), Browser::start());
    let policy = "<meta http-equiv=Content-Security-Policy content=\"style-src 'none'\">";
    browser.open(&site.page("/bad", policy, "<style>h1 {}</style><script>throw new Error('on purpose')</script>"));
    browser.run("return fetch('/nowhere')");
    let errors = browser.console_errors().join("\n");
    for error in ["on purpose", "404", "Content Security Policy"] {
        assert!(errors.contains(error), "{error} is not in\n{errors}");
    }
    browser.open(&site.page("/good", "", ""));
    assert_eq!(browser.console_errors().join("\n"), errors, "nothing is forgotten, nothing is told twice");
}
