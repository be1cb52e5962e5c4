//! One request and its reply on a kept-alive connection: as much HTTP/1.1 as a customer needs.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A reply may be so long, head included.
const REPLY_BYTES_MAX: usize = 1 << 20;

/// A server's reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Whether the connection may be used again.
    stays: bool,
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The connection was lost, or never made, before one octet came.
    Unheard,
    /// A reply that began is not whole, or none at all.
    Cut,
}

/// How a body ends.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

/// Connections that wait for their next request.
#[derive(Default)]
pub(crate) struct Pool(Vec<TcpStream>);

impl Pool {
    /// An idle one, the last used first.
    pub(crate) fn take(&mut self) -> Option<TcpStream> {
        self.0.pop()
    }

    /// Keeps it for the next request, if it can have one.
    pub(crate) fn keep(&mut self, stream: TcpStream, reply: &Reply) {
        if reply.stays {
            self.0.push(stream);
        }
    }
}

/// A new connection.
pub(crate) async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and reads the reply.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str) -> Result<Reply, Lost> {
    let mut input = Vec::with_capacity(1024);
    if stream.write_all(request.as_bytes()).await.is_err() || read(stream, &mut input).await.is_err() {
        return Err(Lost::Unheard);
    }
    reply(stream, input).await.map_err(|_| Lost::Cut)
}

/// Reads the reply that begins so.
async fn reply(stream: &mut TcpStream, mut input: Vec<u8>) -> io::Result<Reply> {
    let (status, head_bytes, framing, stays) = loop {
        if let Some(head) = parse_head(&input)? {
            break head;
        }
        read(stream, &mut input).await?;
    };
    let mut body = input.split_off(head_bytes);
    match framing {
        Framing::Length(length) => {
            while body.len() < length {
                read(stream, &mut body).await?;
            }
            // More than a reply is none: its bytes would be taken for the next one.
            let stays = stays && body.len() == length;
            body.truncate(length);
            Ok(Reply { status, body, stays })
        }
        Framing::Chunked => loop {
            if let Some(whole) = unchunk(&body)? {
                return Ok(Reply { status, body: whole, stays });
            }
            read(stream, &mut body).await?;
        },
        Framing::Close => {
            while stream.read_buf(&mut body).await? > 0 && body.len() <= REPLY_BYTES_MAX {}
            Ok(Reply { status, body, stays: false })
        }
    }
}

async fn read(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<()> {
    if input.len() > REPLY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    match stream.read_buf(input).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn parse_head(input: &[u8]) -> io::Result<Option<(u16, usize, Framing, bool)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = response.parse(input).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or(0);
    let mut framing = Framing::Close;
    let mut stays = response.version == Some(1);
    for field in response.headers.iter() {
        let value = std::str::from_utf8(field.value).unwrap_or("").trim();
        if field.name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.parse().map_err(io::Error::other)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        } else if field.name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            stays = false;
        }
    }
    Ok(Some((status, head_bytes, framing, stays)))
}

/// A chunked body put together; none while it is not whole. Trailers are not read: our servers send none.
fn unchunk(mut input: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size =
            httparse::parse_chunk_size(input).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let httparse::Status::Complete((start, length)) = size else { return Ok(None) };
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let Some(rest) = input.get(start..) else { return Ok(None) };
        if length > REPLY_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (Some(chunk), Some(next)) = (rest.get(..length), rest.get(length + 2..)) else { return Ok(None) };
        if length == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        input = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together_once_they_are_there() {
        let whole = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(unchunk(whole).unwrap().as_deref(), Some(&b"abcde"[..]));
        for length in 0..whole.len() {
            assert_eq!(unchunk(&whole[..length]).unwrap(), None, "{length}");
        }
        assert!(unchunk(b"zz\r\n").is_err());
    }

    #[test]
    fn a_reply_that_was_cut_off_is_told_from_silence() {
        let whole = "HTTP/1.1 404 X\r\nContent-Length: 3\r\n\r\nabc";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            for bytes in 0..=whole.len() {
                let mut customer = connect(listener.local_addr().unwrap()).await.unwrap();
                let (mut server, _) = listener.accept().await.unwrap();
                let serve = async {
                    let mut request = [0; 3];
                    server.read_exact(&mut request).await.unwrap();
                    server.write_all(&whole.as_bytes()[..bytes]).await.unwrap();
                    drop(server);
                };
                let (found, ()) = tokio::join!(ask(&mut customer, "ask"), serve);
                match found {
                    Ok(reply) => {
                        assert_eq!((reply.status, &*reply.body, bytes), (404, &b"abc"[..], whole.len()));
                    }
                    Err(Lost::Unheard) => assert_eq!(bytes, 0),
                    Err(Lost::Cut) => assert!((1..whole.len()).contains(&bytes), "{bytes}"),
                }
            }
        });
    }

    #[test]
    fn heads_say_how_the_body_ends() {
        for (head, length, stays) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some(5), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\n", Some(5), false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n", Some(5), false),
            ("HTTP/1.1 200 OK\r\n\r\n", None, true),
        ] {
            let (status, bytes, framing, found_stays) = parse_head(head.as_bytes()).unwrap().unwrap();
            let found = if let Framing::Length(length) = framing { Some(length) } else { None };
            assert_eq!((status, bytes, found, found_stays), (200, head.len(), length, stays), "{head}");
        }
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-").unwrap().is_none());
        assert!(parse_head(b"nonsense\r\n\r\n").is_err());
    }
}
