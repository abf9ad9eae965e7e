//! As much HTTP as a front needs: a request read whole, an answer written whole, and the way to the
//! registry behind it. One request for each connection.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long either side may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    query: String,
    headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, each time that it is there.
    pub(super) fn parameters(&self, name: &str) -> Vec<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    pub(super) fn parameter(&self, name: &str) -> String {
        self.parameters(name).into_iter().next().unwrap_or_default()
    }

    /// The same question about the head alone.
    pub(super) fn asking(&self, method: &str, path: &str) -> Self {
        let mut headers = self.headers.clone();
        // Without it, the registry does not know what it has.
        headers.insert("accept".to_owned(), sealift::model::manifest::media::MANIFESTS.join(", "));
        let (method, path, query) = (method.into(), path.into(), String::new());
        Self { method, path, query, headers, body: Vec::new() }
    }

    /// Reads one; `None` where the peer has none.
    pub(super) fn read(stream: &TcpStream) -> io::Result<Option<Self>> {
        stream.set_read_timeout(Some(SILENCE))?;
        let mut reader = BufReader::new(stream);
        let Some((line, headers)) = head(&mut reader)? else { return Ok(None) };
        let mut words = line.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let (path, query) = words
            .next()
            .map(|target| target.split_once('?').unwrap_or((target, "")))
            .unwrap_or_default();
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut request = Self { method, path, query, headers, body: Vec::new() };
        if request.header("expect").eq_ignore_ascii_case("100-continue") {
            (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.header("transfer-encoding") == "chunked" {
            request.body = chunks(&mut reader)?;
        } else {
            let length = request.header("content-length").parse().unwrap_or(0);
            reader.take(length).read_to_end(&mut request.body)?;
        }
        Ok(Some(request))
    }

    /// Has the registry at `port` answer it.
    pub(super) fn forward(&self, port: u16) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mark = if self.query.is_empty() { "" } else { "?" };
        // The older version has no chunks, and ends with the connection.
        let mut head = format!("{} {}{mark}{} HTTP/1.0\r\n", self.method, self.path, self.query);
        let ours = ["authorization", "connection", "transfer-encoding", "content-length", "expect"];
        for (name, value) in self.headers.iter().filter(|(name, _)| !ours.contains(&name.as_str()))
        {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\n\r\n", self.body.len()).unwrap();
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)?;
        let mut reader = BufReader::new(stream);
        let (line, headers) = self::head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(502);
        let mut body = Vec::new();
        if self.method != "HEAD" {
            reader.read_to_end(&mut body)?;
        }
        let headers = headers.into_iter().filter(|(name, _)| name != "connection").collect();
        Ok(Answer { status, headers, body })
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn of(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        let answer = Self { body: body.to_string().into_bytes(), ..Self::of(status) };
        answer.with("content-type", "application/json; charset=utf-8")
    }

    /// As Harbor says no.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::json(status, &errors)
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn write(&self, mut stream: &TcpStream, method: &str) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            if name != "content-length" {
                write!(head, "{name}: {value}\r\n").unwrap();
            }
        }
        // What a HEAD is told is the length of what a GET would get.
        match self.header("content-length") {
            length if method == "HEAD" && !length.is_empty() => {
                write!(head, "content-length: {length}\r\n\r\n").unwrap();
            }
            _ => write!(head, "content-length: {}\r\n\r\n", self.body.len()).unwrap(),
        }
        stream.write_all(head.as_bytes())?;
        if method != "HEAD" {
            stream.write_all(&self.body)?;
        }
        stream.flush()
    }
}

type Head = (String, HashMap<String, String>);

fn head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some((first.trim().to_owned(), headers)))
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = line.trim().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        reader.by_ref().take(size).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}
