//! One request: redirects, the token, and which failures are worth another try.

use super::Patience;
use crate::error::{Result, TrainerError};
use std::net::ToSocketAddrs;
use std::time::Duration;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

/// Redirects that are followed at most.
const MAX_REDIRECTS: usize = 10;
/// A server may ask for a longer pause, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest answer that is read as text.
const MAX_TEXT: u64 = 32 << 20;

/// Why a request brought nothing.
#[derive(Debug)]
pub struct Trouble {
    /// Half a sentence for a person.
    pub problem: String,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// What to do about it.
    pub advice: Advice,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It may, after at least this pause.
    Again(Duration),
    /// There is no way to the server: another try makes sense only if there was one before.
    Unreachable,
    /// It will not.
    Stop,
}

impl Trouble {
    /// One that will not pass.
    pub fn last(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), status: None, advice: Advice::Stop }
    }

    /// One that may pass at once.
    pub fn passing(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), status: None, advice: Advice::Again(Duration::ZERO) }
    }

    fn of(error: &ureq::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let (advice, problem) = match error {
            ureq::Error::HostNotFound => (Advice::Unreachable, "its server is not known to this network".to_owned()),
            ureq::Error::Io(e)
                if matches!(e.kind(), Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable) =>
            {
                (Advice::Unreachable, format!("its server cannot be reached ({e})"))
            }
            ureq::Error::ConnectionFailed => (Advice::Unreachable, "its server cannot be reached".to_owned()),
            ureq::Error::Timeout(which) => {
                (Advice::Again(Duration::ZERO), format!("its server does not answer ({which})"))
            }
            ureq::Error::Io(e) => (Advice::Again(Duration::ZERO), format!("the connection broke ({e})")),
            ureq::Error::Protocol(e) => (Advice::Again(Duration::ZERO), format!("the answer is no HTTP ({e})")),
            other => (Advice::Stop, format!("the request failed ({other})")),
        };
        Self { problem, status: None, advice }
    }
}

/// An answer of status 200 or 206.
pub struct Answer {
    /// Its body and headers.
    pub response: Response<Body>,
    /// `X-Linked-Etag` of the first answer, which a hub gives before it redirects to the storage.
    pub linked: Option<String>,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        text(self.response.headers(), name)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Scheme, host and port.
type Origin = (String, String, u16);

fn origin(url: &str) -> Option<Origin> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let usual = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some((scheme, uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual)))
}

/// Where `location`, which may be relative, leads from `base`.
pub fn join(base: &str, location: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let joined = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let path = rest.split(['?', '#']).next()?.rsplit_once('/').map_or(host, |(folder, _)| folder);
        format!("{scheme}://{path}/{location}")
    };
    origin(&joined).map(|_| joined)
}

/// Sends requests.
pub struct Client {
    agent: Agent,
    /// The hub, without a slash at its end.
    pub endpoint: String,
    hub: Origin,
    token: Option<String>,
    /// How long to wait.
    pub patience: Patience,
}

impl Client {
    /// A client of the hub at `endpoint`.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when `endpoint` is no address.
    pub fn new(endpoint: &str, token: Option<&str>, patience: Patience) -> Result<Self> {
        let hub = origin(endpoint).ok_or_else(|| {
            TrainerError::settings(
                format!("HF_ENDPOINT={endpoint}"),
                "is not the address of a hub",
                "give it as https://huggingface.co",
            )
        })?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.stall))
            .timeout_per_read(Some(patience.stall))
            .timeout_per_write(Some(patience.stall))
            .user_agent(concat!("thisbut/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, endpoint: endpoint.to_owned(), hub, token: token.map(str::to_owned), patience })
    }

    /// Asks for `url`, from byte `from` on, and follows redirects. The token goes to the hub alone.
    pub fn get(&self, url: &str, from: u64) -> Result<Answer, Trouble> {
        let (mut url, mut linked) = (url.to_owned(), None);
        for _ in 0..MAX_REDIRECTS {
            let here = origin(&url).ok_or_else(|| Trouble::last("is not an http address"))?;
            let mut request = self.agent.get(&url).header("accept-encoding", "identity");
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            if let Some(token) = self.token.as_ref().filter(|_| here == self.hub) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|e| match e {
                // The resolver's own errors have no kind; asking it once more tells them from a broken connection.
                ureq::Error::Io(_) if (here.1.as_str(), here.2).to_socket_addrs().is_err() => {
                    Trouble::of(&ureq::Error::HostNotFound)
                }
                e => Trouble::of(&e),
            })?;
            if linked.is_none() {
                linked = text(response.headers(), "x-linked-etag").map(str::to_owned);
            }
            let status = response.status().as_u16();
            match status {
                200 | 206 => return Ok(Answer { response, linked }),
                301 | 302 | 303 | 307 | 308 => {
                    let next = text(response.headers(), "location").and_then(|location| join(&url, location));
                    let next = next.ok_or_else(|| Trouble::last("its server redirects to nowhere"))?;
                    if here.0 == "https" && !next.starts_with("https://") {
                        return Err(Trouble::last("its server redirects from https to an address that is not safe"));
                    }
                    url = next;
                }
                _ => return Err(refusal(status, response.headers())),
            }
        }
        Err(Trouble::last(format!("its server redirects more than {MAX_REDIRECTS} times")))
    }

    /// A short text, tried as often as patience allows, with the address of the next page where there is one.
    pub fn text(&self, url: &str, note: &mut dyn FnMut(String)) -> Result<(String, Option<String>), Trouble> {
        let mut tries = Tries::new(self.patience);
        loop {
            let read = self.get(url, 0).and_then(|mut answer| {
                let next = answer.header("link").and_then(next_page).and_then(|next| join(url, &next));
                let body = answer.response.body_mut().with_config().limit(MAX_TEXT).read_to_string();
                body.map(|body| (body, next)).map_err(|e| Trouble::of(&e))
            });
            match read {
                Ok(found) => return Ok(found),
                Err(trouble) => tries.after(url, trouble, false, note)?,
            }
        }
    }

    /// Whether `url` lies on the hub.
    pub fn is_hub(&self, url: &str) -> bool {
        origin(url).is_some_and(|origin| origin == self.hub)
    }
}

/// What a status other than success says.
fn refusal(status: u16, headers: &HeaderMap) -> Trouble {
    let asked = text(headers, "retry-after").and_then(|v| v.trim().parse().ok()).map(Duration::from_secs);
    let again = Advice::Again(asked.unwrap_or_default().min(LONGEST_PAUSE));
    let (advice, problem) = match status {
        401 | 403 => (Advice::Stop, format!("its server refuses access (status {status})")),
        404 | 410 => (Advice::Stop, format!("its server has no such file (status {status})")),
        416 => (Advice::Stop, "its server has no bytes beyond those that are here (status 416)".to_owned()),
        408 | 425 | 429 | 500..=599 => (again, format!("its server is not able to answer now (status {status})")),
        _ => (Advice::Stop, format!("its server answers with status {status}")),
    };
    Trouble { problem, status: Some(status), advice }
}

/// The address of `rel="next"` in a `Link` header.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, rest) = part.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| address.to_owned())
    })
}

/// Counts tries in a row that bring nothing new, with longer and longer pauses.
pub struct Tries {
    patience: Patience,
    failed: u32,
    /// Whether the server was ever reached.
    reached: bool,
}

impl Tries {
    /// None so far.
    pub fn new(patience: Patience) -> Self {
        Self { patience, failed: 0, reached: false }
    }

    /// Waits before the next try, which `note` is told of, or gives `trouble` back when there should be none. `progress`: the
    /// last try brought something.
    pub fn after(
        &mut self,
        url: &str,
        trouble: Trouble,
        progress: bool,
        note: &mut dyn FnMut(String),
    ) -> Result<(), Trouble> {
        if progress {
            (self.failed, self.reached) = (0, true);
        }
        self.failed += 1;
        let asked = match trouble.advice {
            Advice::Again(asked) => asked,
            Advice::Unreachable if self.reached => Duration::ZERO,
            Advice::Unreachable | Advice::Stop => return Err(trouble),
        };
        if self.failed >= self.patience.attempts {
            return Err(Trouble { problem: format!("{}, {} times in a row", trouble.problem, self.failed), ..trouble });
        }
        let pause = self.patience.pause.saturating_mul(1 << (self.failed - 1).min(16)).min(LONGEST_PAUSE);
        let pause = pause.max(asked);
        note(format!("{url}: {}; trying again in {} s", trouble.problem, pause.as_secs_f32()));
        std::thread::sleep(pause);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_join_and_pages_are_found() {
        let base = "https://hub.example:8443/a/b/c?x=1";
        assert_eq!(join(base, "/d?y").as_deref(), Some("https://hub.example:8443/d?y"));
        assert_eq!(join(base, "d").as_deref(), Some("https://hub.example:8443/a/b/d"));
        assert_eq!(join(base, "//cdn.example/d").as_deref(), Some("https://cdn.example/d"));
        assert_eq!(join(base, "http://cdn.example/d").as_deref(), Some("http://cdn.example/d"));
        assert_eq!(join(base, "file:///etc/passwd"), None);
        let link = r#"<https://h/p>; rel="first", <https://h/q?cursor=a>; rel="next""#;
        assert_eq!(next_page(link).as_deref(), Some("https://h/q?cursor=a"));
        assert_eq!(next_page(r#"<https://h/p>; rel="last""#), None);
        assert_eq!(origin("HTTPS://Hub.Example/x"), origin("https://hub.example:443/"));
        assert_ne!(origin("https://hub.example/x"), origin("http://hub.example/x"));
    }
}
