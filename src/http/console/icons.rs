//! Small drawings: 20 by 20, drawn in the colour of the text around them.

/// What is inside the drawing of that name; nothing of an unknown one.
pub(super) fn drawing(name: &str) -> &'static str {
    match name {
        "home" => r#"<path d="M3.5 9 10 3.5 16.5 9v7a.8.8 0 0 1-.8.8H12v-4.6H8v4.6H4.300a.8.8 0 0 1-.8-.8z"/>"#,
        "pulse" => r#"<path d="M3 10.5h3l2-6 4 11.5 2-5.5h3"/>"#,
        "plug" => r#"<path d="M7.5 3v4M12.5 3v4M5.5 7h9v2.500a4.5 4.5 0 0 1-9 0zM10 14v3"/>"#,
        "layers" => r#"<path d="m10 3 7 3.6-7 3.6-7-3.600zM3.5 10l6.5 3.400L16.5 10M3.5 13.300l6.5 3.4 6.5-3.4"/>"#,
        "chart" => r#"<path d="M3.5 16.500h13M5.5 13.500V10M10 13.500V4.500M14.5 13.500V7.5"/>"#,
        "person" => r#"<circle cx="10" cy="6.8" r="3"/><path d="M4 16.500c.6-3 3-4.6 6-4.600s5.4 1.6 6 4.6"/>"#,
        "people" => {
            r#"<circle cx="7.5" cy="7" r="2.7"/><path d="M2.5 15.800c.5-2.7 2.5-4 5-4s4.5 1.3 5 4M13 4.600a2.7 2.7 0 0 1 0 4.900M14.5 12.200c1.6.5 2.7 1.7 3 3.6"/>"#
        }
        "boxes" => {
            r#"<rect x="3.5" y="3.5" width="5.5" height="5.5" rx="1"/><rect x="11" y="3.5" width="5.5" height="5.5" rx="1"/><rect x="3.5" y="11" width="5.5" height="5.5" rx="1"/><rect x="11" y="11" width="5.5" height="5.5" rx="1"/>"#
        }
        "key" => r#"<circle cx="7" cy="13" r="3.2"/><path d="m9.3 10.7 6.7-6.700M13 7l2.3 2.3"/>"#,
        "list" => r#"<path d="M7.5 5.500h9M7.5 10h9M7.5 14.500h9M3.8 5.500h.01M3.8 10h.01M3.8 14.500h.01"/>"#,
        "check" => r#"<path d="m4.5 10.5 3.8 3.8 7.2-8.3"/>"#,
        "plus" => r#"<path d="M10 4v12M4 10h12"/>"#,
        "dots" => r#"<path d="M10 4.500h.01M10 10h.01M10 15.500h.01" stroke-width="2.4"/>"#,
        "down" => r#"<path d="m5.5 8 4.5 4.500L14.5 8"/>"#,
        "search" => r#"<circle cx="9" cy="9" r="4.8"/><path d="m12.6 12.6 4 4"/>"#,
        "close" => r#"<path d="m5 5 10 10M15 5 5 15"/>"#,
        "out" => r#"<path d="M8 3.500H4.500v13H8M8.5 10h8M13.5 7l3 3-3 3"/>"#,
        "copy" => {
            r#"<rect x="7" y="7" width="9.5" height="9.5" rx="1.5"/><path d="M13 4.500A1 1 0 0 0 12 3.500H4.500a1 1 0 0 0-1 1V12a1 1 0 0 0 1 1"/>"#
        }
        "warning" => r#"<path d="M10 3.5 17.5 16.500h-15zM10 8.500v3.500M10 14.300h.01"/>"#,
        "mail" => r#"<rect x="3" y="4.5" width="14" height="11" rx="1.5"/><path d="m3.5 6 6.5 5 6.5-5"/>"#,
        "back" => r#"<path d="M12.5 4.5 7 10l5.5 5.5"/>"#,
        "next" => r#"<path d="M7.5 4.5 13 10l-5.5 5.5"/>"#,
        "gear" => {
            r#"<circle cx="10" cy="10" r="2.5"/><path d="M10 3v2.200M10 14.800V17M3 10h2.200M14.8 10H17M5.1 5.100l1.5 1.500M13.4 13.400l1.5 1.500M14.9 5.100l-1.5 1.500M6.6 13.400l-1.5 1.5"/>"#
        }
        "shield" => r#"<path d="M10 3 4 5.200v4.300c0 3.6 2.5 6.3 6 7.5 3.5-1.2 6-3.9 6-7.500V5.200z"/>"#,
        "trash" => r#"<path d="M4 5.500h12M8 5.500v-2h4v2M5.5 5.500l.8 11h7.400l.8-11"/>"#,
        "edit" => r#"<path d="m4 13.5 8.8-8.8 2.5 2.5-8.8 8.8-3 .5z"/>"#,
        "download" => r#"<path d="M10 3.500v9M6.5 9.5 10 13l3.5-3.500M4 16.500h12"/>"#,
        "upload" => r#"<path d="M10 13V4M6.5 7.5 10 4l3.5 3.500M4 16.500h12"/>"#,
        _ => "",
    }
}
