//! A web site of another origin: some pages on a port of their own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Pages by their path.
type Pages = Arc<Mutex<HashMap<String, String>>>;

/// A site on a loopback port, for as long as the tests run.
pub struct Site {
    port: u16,
    pages: Pages,
}

impl Site {
    /// Opens the site, with no page yet.
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
        let port = listener.local_addr().expect("an address").port();
        let pages = Pages::default();
        let served = Arc::clone(&pages);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let pages = Arc::clone(&served);
                // Each on its own: a browser opens connections that it may never use.
                std::thread::spawn(move || answer(&stream, &pages));
            }
        });
        Self { port, pages }
    }
    /// Its origin, as a browser names it.
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    /// Puts a page that has this in its head and this in its body; gives its address.
    pub fn page(&self, path: &str, head: &str, body: &str) -> String {
        let html = format!(
            "<!doctype html><html lang=en><head><meta charset=utf-8><title>Site</title><link rel=icon href=data:,>\n\
             {head}\n</head><body>{body}</body></html>"
        );
        self.pages.lock().expect("the pages").insert(path.to_owned(), html);
        format!("{}{path}", self.origin())
    }
}

/// Answers one request, whatever its method.
fn answer(mut stream: &TcpStream, pages: &Pages) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let Some(request) = lines.next() else { return };
    lines.for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = pages.lock().expect("the pages").get(path).cloned();
    let (status, body) = page.map_or(("404 Not Found", String::new()), |page| ("200 OK", page));
    let kind = "content-type: text/html; charset=utf-8\r\nconnection: close";
    let whole = format!("HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // The browser may have gone.
    let _ = stream.write_all(whole.as_bytes());
}
