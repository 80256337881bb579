//! `thisbut serve`: a bundle or a site on this machine, with the headers that a host should send.

pub mod answer;
pub mod site;

use crate::error::{Result, TrainerError};
use answer::{Answer, Asked, Body};
use site::Site;
use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use tiny_http::{Header, Request, Response, Server, StatusCode};

/// Requests that are answered at a time: browsers hold six connections.
const THREADS: usize = 8;

/// A server that listens.
pub struct Serving {
    server: Arc<Server>,
    site: Arc<Site>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Serving {
    /// Listens at `host`; port 0 is any free one.
    ///
    /// # Errors
    /// When the address is no one of this machine, or the port is taken.
    pub fn listen(site: Site, (host, port): (&str, u16)) -> Result<Self> {
        let refuse = |problem: String, mend: &str| TrainerError::settings(format!("{host}:{port}"), problem, mend);
        let server = Server::http((host, port)).map_err(|e| {
            let kind = e.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            match kind {
                Some(std::io::ErrorKind::AddrInUse) => {
                    refuse("the port is taken".into(), "give another one with --port")
                }
                Some(std::io::ErrorKind::PermissionDenied) => {
                    refuse("the system does not give this port".into(), "give one from 1024 on with --port")
                }
                _ => refuse(format!("cannot listen there ({e})"), "give an address of this machine with --host"),
            }
        })?;
        let address = server.server_addr().to_ip();
        let address = address.ok_or_else(|| refuse("is no address of the internet".into(), "give another --host"))?;
        Ok(Self { server: Arc::new(server), site: Arc::new(site), address })
    }

    /// Answers until the process ends. `report` is told of what was not answered with a file: the status, and the path.
    pub fn run(self, report: impl Fn(u16, &str) + Send + Sync) {
        let (server, site, report) = (&self.server, &self.site, &report);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(move || {
                    // An error is a connection that broke before it asked.
                    for request in server.incoming_requests() {
                        respond(site, request, report);
                    }
                });
            }
        });
    }
}

fn respond(site: &Site, request: Request, report: &impl Fn(u16, &str)) {
    let field = |name: &'static str| {
        let found = request.headers().iter().find(|header| header.field.equiv(name));
        found.map(|header| header.value.as_str().to_owned())
    };
    let asked = Asked {
        method: request.method().as_str().to_owned(),
        target: request.url().to_owned(),
        range: field("Range"),
        known: field("If-None-Match"),
        gzip: field("Accept-Encoding").is_some_and(|accepts| accepts.contains("gzip")),
    };
    let Answer { status, headers, body } = answer::answer(site, &asked);
    if status >= 400 {
        report(status, &asked.target);
    }
    let headers = headers.iter().filter_map(|(name, value)| Header::from_bytes(name.as_bytes(), value.as_bytes()).ok());
    let (length, reader): (u64, Box<dyn Read + Send>) = match body {
        Body::Bytes(bytes) => (bytes.len() as u64, Box::new(Cursor::new(bytes))),
        Body::File { file, length } => (length, Box::new(file.take(length))),
    };
    let length = usize::try_from(length).ok();
    let response = Response::new(StatusCode(status), headers.collect(), reader, length, None);
    // Whole lengths are always said: pages count what comes. A visitor who went away is no news.
    let _ = request.respond(response.with_chunked_threshold(usize::MAX));
}
