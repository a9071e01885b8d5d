//! Rule files from strings, and the ways in which tools change them on disk.

use std::fs;
use std::path::Path;

/// One `[[properties]]` table; an empty `name` leaves the default.
pub fn property(field: &str, name: &str, kind: &str) -> String {
    let name = if name.is_empty() { String::new() } else { format!("name = \"{name}\"\n") };
    format!("[[properties]]\nfield = \"{field}\"\n{name}type = \"{kind}\"\n")
}

/// The text of an enabled `api` integration.
pub fn integration(user_identifier: &str, properties: &[(&str, &str, &str)]) -> String {
    let properties: String = properties.iter().map(|(field, name, kind)| property(field, name, kind)).collect();
    format!("name = \"Test\"\nkind = \"api\"\nuser_identifier = \"{user_identifier}\"\n{properties}")
}

/// The integration that most tests use: `Email`; `Customer_Type`, `Customer_Status`, `Seats`, `Signup`.
pub fn crm() -> String {
    integration(
        "Email",
        &[
            ("Type", "Customer_Type", "string"),
            ("Status", "Customer_Status", "string"),
            ("Seats", "", "number"),
            ("Signup", "", "date"),
        ],
    )
}

/// The text of a segment: its name as the first comment, then the rule.
pub fn segment(rule: &str) -> String {
    format!("// Test\n{rule}\n")
}

/// Writes the files below `root`, each whole by a rename within its folder.
pub fn write_tree<P: AsRef<str>, T: AsRef<str>>(root: &Path, files: &[(P, T)]) {
    for (path, text) in files {
        let path = root.join(path.as_ref());
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).expect("make the folder");
        let name = path.file_name().expect("a file has a name").to_string_lossy();
        let draft = folder.join(format!(".{name}.draft"));
        fs::write(&draft, text.as_ref()).expect("write the draft");
        fs::rename(&draft, &path).expect("rename it over");
    }
}

/// Points the link `link` at `target` in one step, as Kubernetes swaps `..data`.
pub fn swap_link(link: &Path, target: &str) {
    let draft = link.with_file_name("..data_tmp");
    std::os::unix::fs::symlink(target, &draft).expect("make the new link");
    fs::rename(&draft, link).expect("swap it in");
}
