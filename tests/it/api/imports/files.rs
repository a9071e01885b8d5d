//! What a file may look like, and how each mistake in one is told.

use serde_json::{Value, json};

use super::{bad, came_to, import, rules};
use crate::support::{property, shared};

#[test]
fn a_byte_order_mark_and_either_line_end_are_fine() {
    let system = shared().add_system(&rules());
    let files: [&[u8]; 4] = [
        b"email,Seats\nann,1\nbob,2\n",
        b"email,Seats\r\nann,1\r\nbob,2",
        b"\xEF\xBB\xBFemail,Seats\nann,1\nbob,2\n",
        b"\xEF\xBB\xBF\"email\",\"Seats\"\r\n\"ann\",\"1\"\r\n\"bob\",2\r\n",
    ];
    for file in files {
        let done = import(&system, "", file.to_vec());
        came_to(&done, "done", [2, 2, 0]);
        assert_eq!(done["bytes"], file.len());
        assert_eq!(system.attributes("bob")["upload"], json!({ "Seats": 2 }));
    }
}

#[test]
fn quoted_cells_hold_commas_quotes_and_line_breaks() {
    let system = shared().add_system(&rules());
    let file = "email,Type,Seats\n\"a,b\",\"say \"\"hi\"\"\r\nto ü\",1\nbob,\"\",x\n";
    let done = import(&system, "?on_error=skip", file);
    came_to(&done, "done", [2, 1, 1]);
    assert_eq!(system.attributes("a,b")["upload"]["Customer_Type"], "say \"hi\"\r\nto ü");
    assert_eq!(bad(&done), ["3 Seats not_a_number"], "a line break in a cell begins no row");
}

#[test]
fn empty_rows_are_no_rows_and_yet_are_counted_as_a_spreadsheet_does() {
    let system = shared().add_system(&rules());
    let done = import(&system, "?on_error=skip", "email,Seats\n\nann,1\n,\n\nbob,x\n,,,,\n");
    came_to(&done, "done", [2, 1, 1]);
    assert_eq!(bad(&done), ["6 Seats not_a_number"]);
}

#[test]
fn each_bad_row_is_told_with_its_place() {
    let system = shared().add_system(&rules());
    let long = "x".repeat(1025);
    let file = [
        "email,Type,Seats,Signup",
        "a,paying,1",                         // 2
        "b,paying,1,2024-01-01,more",         // 3
        ",paying,1,2024-01-01",               // 4
        "c,,,",                               // 5
        "d,5\" pipe,1,",                      // 6
        &format!("e,{long},1,"),              // 7
        "f\u{7},x,1,",                        // 8
        "g,x,9007199254740993,01/02/2024",    // 9
        &format!("{},x,1,", "i".repeat(257)), // 10
        "good,x,1,2024-01-01T10:00:00Z",
    ]
    .join("\n");
    let done = import(&system, "?on_error=skip", file);
    came_to(&done, "done", [10, 1, 9]);
    let expected = [
        "2 - ragged",
        "3 - ragged",
        "4 email identifier_missing",
        "5 - no_other_field",
        "6 Type quote",
        "7 Type string_too_long",
        "8 email identifier",
        "9 Seats integer_too_large",
        "9 Signup not_a_date",
        "10 email identifier",
    ];
    assert_eq!(bad(&done), expected);
    assert_eq!(system.attributes("good")["upload"]["Signup"], "2024-01-01");
}

#[test]
fn bytes_that_are_no_utf_8_are_told_with_their_row() {
    let system = shared().add_system(&rules());
    let done = import(&system, "?on_error=skip", b"email,Type\nann,M\xFCller\nbob,ok\n".to_vec());
    came_to(&done, "done", [2, 1, 1]);
    assert_eq!(bad(&done), ["2 - not_utf8"]);
    let utf_16: Vec<u8> = "\u{FEFF}email,Type\nann,x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let failed = import(&system, "?on_error=skip", utf_16);
    came_to(&failed, "failed", [0, 0, 0]);
    assert_eq!(bad(&failed), ["1 - not_utf8"]);
    assert!(failed["detail"].as_str().unwrap().contains("UTF-16"), "{failed}");
}

#[test]
fn a_header_that_does_not_fit_fails_the_import_and_names_what_is_wrong() {
    let system = shared().add_system(&rules());
    for (header, place, parts) in [
        ("mail,Type", "1 email identifier_column_missing", &["`email`", "`mail`, `Type`", "`Seats`"][..]),
        ("Email,Type", "1 email identifier_column_missing", &["capitals"]),
        ("email;Type", "1 email identifier_column_missing", &["semicolons"]),
        ("email,Type,Type", "1 Type duplicate_column", &["`Type`"]),
        ("email,x,x", "1 x duplicate_column", &["`x`"]),
        ("email", "1 - no_other_column", &["`email`"]),
        ("", "1 - header_missing", &["name the columns"]),
        ("email,\"Type", "1 - quote_not_closed", &["never closed"]),
    ] {
        for query in ["", "?on_error=skip"] {
            let failed = import(&system, query, format!("{header}\nann,x\n"));
            came_to(&failed, "failed", [0, 0, 0]);
            assert_eq!(bad(&failed), [place], "{header}");
            let detail = failed["detail"].as_str().unwrap();
            assert!(parts.iter().all(|part| detail.contains(part)), "{header}: {detail}");
        }
    }
    came_to(&import(&system, "", ""), "failed", [0, 0, 0]);
    came_to(&import(&system, "", "email,Seats\n"), "done", [0, 0, 0]);
    assert_eq!(system.attributes("ann"), Value::Null);
}

#[test]
fn columns_that_are_not_declared_are_ignored_and_named() {
    let system = shared().add_system(&rules());
    let done = import(&system, "", "x,Seats,,email,\n1,2,3,ann,4\n");
    came_to(&done, "done", [1, 1, 0]);
    assert_eq!(done["columns"], json!({ "stored": ["Seats"], "missing": ["Type", "Signup"], "ignored": ["x"] }));
    assert_eq!(system.attributes("ann"), json!({ "upload": { "Seats": 2 } }));
}

#[test]
fn a_quote_that_is_never_closed_stores_nothing_of_what_it_swallows() {
    let system = shared().add_system(&rules());
    let failed = import(&system, "?on_error=skip", "email,Type\nann,x\nbob,\"y\neve,z\n");
    came_to(&failed, "failed", [1, 0, 0]);
    assert_eq!(bad(&failed), ["3 - quote_not_closed"]);
    assert_eq!(system.attributes("ann"), Value::Null);
}

#[test]
fn a_row_too_long_to_be_one_takes_no_memory_and_is_rejected() {
    let system = shared().add_system(&rules());
    let file = format!("email,Type\nann,{}\nbob,\"{}\"\neve,z\n", "x".repeat(40 << 20), "y\n".repeat(2 << 20));
    let done = import(&system, "?on_error=skip", file);
    came_to(&done, "done", [3, 1, 2]);
    assert_eq!(bad(&done), ["2 - row_too_long", "3 - row_too_long"]);
}

#[test]
fn all_bad_places_are_a_csv_file_that_is_safe_to_open() {
    let text =
        format!("kind = \"csv\"\nuser_identifier = \"email\"\n{}", property("=HYPERLINK(\\\"a\\\")", "X", "number"));
    let system = shared().add_system(&[("integrations/upload.toml", text)]);
    let rows: String = (0..250).map(|n| format!("u{n},secret-{n}\n")).collect();
    let failed = import(&system, "", format!("email,\"=HYPERLINK(\"\"a\"\")\"\n{rows}"));
    came_to(&failed, "failed", [250, 0, 250]);
    assert_eq!(failed["errors"].as_array().unwrap().len(), 100, "the first 100");
    let reply = system.client.get(&format!("/admin/v1/imports/{}/errors.csv", failed["id"].as_str().unwrap()));
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("text/csv"), "{:?}", reply.headers);
    let lines: Vec<&str> = reply.body.lines().collect();
    assert_eq!((lines.len(), lines[0]), (251, "row,column,code,detail"));
    assert!(lines[250].starts_with("251,\"'=HYPERLINK(\"\"a\"\")\",not_a_number,\""), "{}", lines[250]);
    // What was in a cell may be all that is known of an end user who is deleted meanwhile.
    assert!(!reply.body.contains("secret") && !failed.to_string().contains("secret"));
    let done = import(&system, "", "email,x\nann,1\n");
    let reply = system.client.get(&format!("/admin/v1/imports/{}/errors.csv", done["id"].as_str().unwrap()));
    assert_eq!(reply.body.trim(), "row,column,code,detail", "none");
}
