//! One request: redirects, the token, and which failures are worth another try.
//!
//! Downloads ask with [`Client::get`]; questions to a server that answers in JSON go with [`Client::post`](super::post).

use super::steady::Steady;
use super::{Patience, pause};
use crate::error::{Result, TrainerError};
use std::io::Read;
use std::time::Duration;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};
use url::Url;

/// Redirects that are followed at most.
pub(super) const MAX_REDIRECTS: usize = 10;
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

    /// What became of a request to `url` that brought no answer.
    pub(super) fn of_call(error: &ureq::Error, url: &Url) -> Self {
        match error {
            // The resolver's own errors have no kind; asking it once more tells them from a broken connection.
            ureq::Error::Io(_) if url.socket_addrs(|| None).is_err() => Self::of(&ureq::Error::HostNotFound),
            error => Self::of(error),
        }
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

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An address that a request can go to.
pub fn http(url: &str) -> Option<Url> {
    Url::parse(url).ok().filter(|url| matches!(url.scheme(), "https" | "http"))
}

/// Where `location`, which may be relative, leads from `base`.
fn join(base: &Url, location: &str) -> Option<Url> {
    base.join(location).ok().filter(|url| matches!(url.scheme(), "https" | "http"))
}

/// Sends requests.
pub struct Client {
    pub(super) agent: Agent,
    hub: Url,
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
        let hub = http(endpoint).ok_or_else(|| {
            TrainerError::settings(
                format!("HF_ENDPOINT={endpoint}"),
                "is not the address of a hub",
                "give it as https://huggingface.co",
            )
        })?;
        Ok(Self::of(hub, token, patience))
    }

    /// A client of the server at `hub`: the token goes there alone.
    pub fn of(hub: Url, token: Option<&str>, patience: Patience) -> Self {
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
        Self { agent, hub, token: token.map(str::to_owned), patience }
    }

    /// The address on the hub whose path ends in `segments`; their own slashes and signs are escaped.
    pub fn address<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.hub.clone();
        // An http address always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Asks for `url`, from byte `from` on, and follows redirects. The token goes to the hub alone.
    pub fn get(&self, url: &str, from: u64) -> Result<Answer, Trouble> {
        let mut url = http(url).ok_or_else(|| Trouble::last("is not an http address"))?;
        let mut linked = None;
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.agent.get(url.as_str()).header("accept-encoding", "identity");
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            if let Some(token) = self.token_for(&url) {
                request = request.header("authorization", token);
            }
            let response = request.call().map_err(|e| Trouble::of_call(&e, &url))?;
            if linked.is_none() {
                linked = text(response.headers(), "x-linked-etag").map(str::to_owned);
            }
            let status = response.status().as_u16();
            match status {
                200 | 206 => return Ok(Answer { response, linked }),
                301 | 302 | 303 | 307 | 308 => url = redirected(&url, response.headers())?,
                _ => return Err(refusal(status, response.headers())),
            }
        }
        Err(too_many_redirects())
    }

    /// The value of the header `authorization` for `url`: the token, where `url` lies on the hub.
    pub(super) fn token_for(&self, url: &Url) -> Option<String> {
        self.token.as_ref().filter(|_| self.is_hub(url)).map(|token| format!("Bearer {token}"))
    }

    /// A short text, tried as often as patience allows, with the address of the next page where there is one.
    pub fn text(&self, url: &Url, note: &mut dyn FnMut(String)) -> Result<(String, Option<Url>), Trouble> {
        let mut tries = Tries::new(self.patience);
        loop {
            let read = self.get(url.as_str(), 0).and_then(|mut answer| {
                let next = answer.header("link").and_then(next_page).and_then(|next| join(url, &next));
                let body = answer.response.body_mut().with_config().limit(MAX_TEXT).reader();
                let mut text = String::new();
                let read = Steady::new(body, self.patience).read_to_string(&mut text);
                read.map(|_| (text, next)).map_err(|e| match e.kind() {
                    std::io::ErrorKind::InvalidData => Trouble::last(format!("the answer is no text ({e})")),
                    _ => Trouble::passing(format!("the connection broke ({e})")),
                })
            });
            match read {
                Ok(found) => return Ok(found),
                Err(trouble) => tries.after(url.as_str(), trouble, false, note)?,
            }
        }
    }

    /// Whether `url` lies on the hub.
    pub fn is_hub(&self, url: &Url) -> bool {
        url.origin() == self.hub.origin()
    }
}

/// Where a redirect from `url` leads.
pub(super) fn redirected(url: &Url, headers: &HeaderMap) -> Result<Url, Trouble> {
    let next = text(headers, "location").and_then(|location| join(url, location));
    let next = next.ok_or_else(|| Trouble::last("its server redirects to nowhere"))?;
    if url.scheme() == "https" && next.scheme() != "https" {
        return Err(Trouble::last("its server redirects from https to an address that is not safe"));
    }
    Ok(next)
}

pub(super) fn too_many_redirects() -> Trouble {
    Trouble::last(format!("its server redirects more than {MAX_REDIRECTS} times"))
}

/// What a status other than success says.
fn refusal(status: u16, headers: &HeaderMap) -> Trouble {
    let asked = pause::asked(headers).unwrap_or_default();
    let again = Advice::Again(asked.min(LONGEST_PAUSE));
    let (seconds, most) = (asked.as_secs(), LONGEST_PAUSE.as_secs());
    let long = if asked > LONGEST_PAUSE {
        format!(", asks for a pause of {seconds} s, and gets {most}")
    } else {
        String::new()
    };
    let (advice, problem) = match status {
        401 | 403 => (Advice::Stop, format!("its server refuses access (status {status})")),
        404 | 410 => (Advice::Stop, format!("its server has no such file (status {status})")),
        416 => (Advice::Stop, "its server has no bytes beyond those that are here (status 416)".to_owned()),
        408 | 425 | 429 | 500..=599 => (again, format!("its server is not able to answer now (status {status}){long}")),
        _ => (Advice::Stop, format!("its server answers with status {status}")),
    };
    Trouble { problem, status: Some(status), advice }
}

/// The address of `rel="next"` in a `Link` header.
fn next_page(link: &str) -> Option<String> {
    let mut rest = link;
    // An address may hold commas itself, so that only its brackets end it.
    while let Some((address, after)) = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        let (parameters, next) = after.split_once(",").map_or((after, ""), |(parameters, next)| (parameters, next));
        if parameters.split(';').any(|parameter| parameter.trim() == "rel=\"next\"") {
            return Some(address.to_owned());
        }
        rest = next;
    }
    None
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
        let base = http("https://hub.example:8443/a/b/c?x=1").unwrap();
        let joined = |location| join(&base, location).map(String::from);
        assert_eq!(joined("/d?y").as_deref(), Some("https://hub.example:8443/d?y"));
        assert_eq!(joined("d").as_deref(), Some("https://hub.example:8443/a/b/d"));
        assert_eq!(joined("//cdn.example/d").as_deref(), Some("https://cdn.example/d"));
        assert_eq!(joined("http://cdn.example/d").as_deref(), Some("http://cdn.example/d"));
        assert_eq!(joined("file:///etc/passwd"), None);
        // An address inside a query is a part of the query.
        let inside = [
            ("/login?next=https://other.example/x", "https://hub.example:8443/login?next=https://other.example/x"),
            ("d?to=//other.example", "https://hub.example:8443/a/b/d?to=//other.example"),
            ("?to=http://other.example/", "https://hub.example:8443/a/b/c?to=http://other.example/"),
            ("/d#https://other.example", "https://hub.example:8443/d#https://other.example"),
            ("https://cdn.example/d?from=https://hub.example/x", "https://cdn.example/d?from=https://hub.example/x"),
        ];
        for (location, expected) in inside {
            assert_eq!(joined(location).as_deref(), Some(expected));
        }
        let asked = http("https://hub.example/a?from=https://other.example/x/y").unwrap();
        assert_eq!(join(&asked, "z").map(String::from).as_deref(), Some("https://hub.example/z"));
        let link = r#"<https://h/p>; rel="first", <https://h/q?cursor=a>; rel="next""#;
        assert_eq!(next_page(link).as_deref(), Some("https://h/q?cursor=a"));
        assert_eq!(next_page(r#"<https://h/p>; rel="last""#), None);
        let commas = r#"<https://h/p?a=1,2>; rel="prev", <https://h/q?to=https://x/y,z;w>; rel="next"; title="x""#;
        assert_eq!(next_page(commas).as_deref(), Some("https://h/q?to=https://x/y,z;w"));
        assert_eq!(next_page("<"), None);
    }

    #[test]
    fn an_absurd_pause_is_cut_and_told() {
        let refused = |wait: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", ureq::http::HeaderValue::from_static(wait));
            refusal(503, &headers)
        };
        for (wait, told) in [
            ("7200", "asks for a pause of 7200 s, and gets 60"),
            ("Fri, 31 Dec 9999 23:59:59 GMT", "s, and gets 60"),
            ("99999999999999999999999", "s, and gets 60"),
        ] {
            let Trouble { problem, advice, .. } = refused(wait);
            assert!(advice == Advice::Again(LONGEST_PAUSE) && problem.contains(told), "{wait}: {problem}");
        }
        let Trouble { problem, advice, .. } = refused("60");
        assert!(advice == Advice::Again(LONGEST_PAUSE) && !problem.contains("asks"), "{problem}");
    }

    #[test]
    fn the_hub_is_told_from_other_servers_and_paths_are_escaped() {
        let client = Client::new("https://hub.example/mirror/", None, Patience::default()).unwrap();
        for (url, ours) in [
            ("HTTPS://Hub.Example:443/x", true),
            ("http://hub.example/x", false),
            ("https://hub.example:444/x", false),
            ("https://hub.example.evil/x", false),
        ] {
            assert_eq!(client.is_hub(&http(url).unwrap()), ours, "{url}");
        }
        let address = client.address(["refs/pr/1", "a b", "é#.txt"]);
        assert_eq!(address.as_str(), "https://hub.example/mirror/refs%2Fpr%2F1/a%20b/%C3%A9%23.txt");
        assert!(Client::new("hub.example", None, Patience::default()).is_err());
        assert!(Client::new("ftp://hub.example", None, Patience::default()).is_err());
    }
}
