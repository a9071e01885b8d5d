//! One keep-alive connection: the least of HTTP/1.1 that a load generator needs.
//!
//! Owns bytes on a socket: requests come ready-made, of an answer only the status and the body are told apart. Knows no
//! address of the API. It shares the machine with the server that it measures, so it does little: one write and one read
//! an exchange, and no allocation.
//!
//! Invariant: an exchange is finished before the next begins (no pipelining), and what it can't read (chunked bodies) is
//! an error, never a wrong figure.

use std::fs::File;
use std::io::{self, Read as _};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::BenchError;

/// Room for an answer; a larger one makes the buffer grow once.
const BUFFER: usize = 16 * 1024;
/// Bytes of a file sent at once.
const PIECE: usize = 256 * 1024;
/// How much of a body an error shows.
const SHOWN: usize = 500;

/// An answer; the body lives in the connection's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    /// The status code.
    pub(super) status: u16,
    /// The body.
    pub(super) body: &'a [u8],
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to `host:port`.
    pub(super) async fn open(authority: &str) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Connection { request: format!("connecting to {authority}"), source };
        let stream = TcpStream::connect(authority).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends one request and reads its answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, BenchError> {
        match self.try_exchange(request).await {
            Ok(head) => {
                let body = self.buffer.get(head.length..head.length + head.body).unwrap_or_default();
                Ok(Answer { status: head.status, body })
            }
            Err(source) => Err(BenchError::Connection { request: request_line(request), source }),
        }
    }

    /// [`Self::exchange`], where any other status than 200 is an error.
    pub(super) async fn expect_ok(&mut self, request: &[u8]) -> Result<&[u8], BenchError> {
        self.expect(request, 200).await
    }

    /// [`Self::exchange`], where any other status than this is an error.
    pub(super) async fn expect(&mut self, request: &[u8], status: u16) -> Result<&[u8], BenchError> {
        let Answer { status: found, body } = self.exchange(request).await?;
        if found == status { Ok(body) } else { Err(refused(request, found, body)) }
    }

    /// The cookie that the last answer sets, as `name=value`.
    pub(super) fn cookie(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.buffer);
        let (head, _) = text.split_once("\r\n\r\n")?;
        let cookie = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        Some(cookie?.1.split(';').next()?.trim().to_owned())
    }

    /// Sends a request whose body is a file, and reads its answer, which has to have that status.
    pub(super) async fn upload(&mut self, head: &[u8], mut body: File, status: u16) -> Result<&[u8], BenchError> {
        let sent = async {
            self.stream.write_all(head).await?;
            let mut piece = vec![0; PIECE];
            loop {
                // The file was just written: reading it does not wait for a disk.
                match body.read(&mut piece)? {
                    0 => return self.answer().await,
                    length => self.stream.write_all(piece.get(..length).unwrap_or_default()).await?,
                }
            }
        };
        let parsed = sent.await.map_err(|source| BenchError::Connection { request: request_line(head), source })?;
        let body = self.buffer.get(parsed.length..parsed.length + parsed.body).unwrap_or_default();
        if parsed.status == status {
            return Ok(body);
        }
        Err(refused(head, parsed.status, body))
    }

    async fn try_exchange(&mut self, request: &[u8]) -> io::Result<Head> {
        self.stream.write_all(request).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> io::Result<Head> {
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        let whole = head.length + head.body;
        self.buffer.reserve(whole.saturating_sub(self.buffer.len()));
        while self.buffer.len() < whole {
            self.read_more().await?;
        }
        if self.buffer.len() > whole {
            return Err(io::Error::other("the answer is longer than its Content-Length"));
        }
        Ok(head)
    }

    async fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

fn refused(request: &[u8], status: u16, body: &[u8]) -> BenchError {
    let body = String::from_utf8_lossy(body.get(..SHOWN).unwrap_or(body)).into_owned();
    BenchError::Status { request: request_line(request), status, body }
}

/// The request's first line, for messages.
fn request_line(request: &[u8]) -> String {
    let line = request.split(|&b| b == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line.strip_suffix(b" HTTP/1.1").unwrap_or(line)).into_owned()
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the head, with the empty line.
    length: usize,
    /// Bytes of the body.
    body: usize,
}

impl Head {
    /// Reads a head; `None` while it is not complete.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = bytes.windows(END.len()).position(|window| window == END) else { return Ok(None) };
        let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default())
            .map_err(|_| io::Error::other("the answer's head is no text"))?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|line| line.get(..3))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| io::Error::other("the answer does not begin like HTTP/1.1"))?;
        let mut body = 0;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().map_err(|_| io::Error::other("Content-Length is no number"))?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(io::Error::other("the answer has no Content-Length"));
            }
        }
        Ok(Some(Self { status, length: end + END.len(), body }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        for cut in 0..whole.len() - 2 {
            assert_eq!(Head::parse(&whole[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(Head::parse(whole).unwrap(), Some(Head { status: 200, length: whole.len() - 2, body: 2 }));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(Head::parse(empty).unwrap(), Some(Head { status: 204, length: empty.len(), body: 0 }));
    }

    #[test]
    fn what_it_cannot_read_is_an_error() {
        for bad in [
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert!(Head::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    /// A server that answers each of its `answers` in turn, byte by byte, and closes.
    fn server(answers: &'static [&'static [u8]]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            for answer in answers {
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).unwrap() > 0);
                for byte in *answer {
                    stream.write_all(&[*byte]).unwrap();
                }
            }
        });
        authority
    }

    #[tokio::test]
    async fn answers_come_whole_and_in_turn_over_one_connection() {
        let authority = server(&[
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        ]);
        let mut connection = Connection::open(&authority).await.unwrap();
        let request = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(connection.exchange(request).await.unwrap(), Answer { status: 200, body: b"first" });
        let error = connection.expect_ok(request).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /a: answered 404: no");
        let error = connection.expect_ok(request).await.unwrap_err();
        assert_eq!(format!("{:#}", anyhow::Error::from(error)), "GET /a: the server closed the connection");
    }
}
