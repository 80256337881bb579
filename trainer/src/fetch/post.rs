//! A question to a server: JSON goes there, and what comes back is read whole, up to a bound.
//!
//! Waiting, dripping servers, redirects and the token follow the rules of downloads ([`mod@super::http`]).

use super::http::{Client, MAX_REDIRECTS, Trouble, redirected, text, too_many_redirects};
use super::pause;
use super::steady::Steady;
use std::io::Read;
use std::time::Duration;
use url::Url;

/// An answer of any status that is no redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its status.
    pub status: u16,
    /// What its content is said to be; empty where nothing is said.
    pub content_type: String,
    /// The pause that is asked for, in seconds or until a date.
    pub retry_after: Option<Duration>,
    /// Its content: at most as many bytes as were asked for.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Client {
    /// Sends `json` to `url`, once, and reads at most `most` bytes of the answer. Redirects are followed where they keep what
    /// was sent (307 and 308). The token goes to the hub alone.
    ///
    /// # Errors
    /// [`Trouble`] when there is no whole answer: the connection fails or breaks, the server says nothing, or drips.
    pub fn post(&self, url: &Url, json: &[u8], most: u64) -> Result<Posted, Trouble> {
        let mut url = url.clone();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.agent.post(url.as_str()).header("content-type", "application/json");
            request = request.header("accept", "application/json").header("accept-encoding", "identity");
            if let Some(token) = self.token_for(&url) {
                request = request.header("authorization", token);
            }
            let mut response = request.send(json).map_err(|e| Trouble::of_call(&e, &url))?;
            match response.status().as_u16() {
                307 | 308 => url = redirected(&url, response.headers())?,
                status @ 300..=399 => {
                    let problem = format!("its server redirects elsewhere (status {status}), without what was sent");
                    return Err(Trouble::last(problem));
                }
                status => {
                    let said = |name| text(response.headers(), name).unwrap_or_default().trim().to_owned();
                    let (content_type, retry_after) = (said("content-type"), pause::asked(response.headers()));
                    let reader = response.body_mut().with_config().limit(u64::MAX).reader();
                    let mut body = Vec::new();
                    let read = Steady::new(reader, self.patience).take(most.saturating_add(1)).read_to_end(&mut body);
                    read.map_err(|e| Trouble::passing(format!("the connection broke ({e})")))?;
                    let whole = body.len() as u64 <= most;
                    body.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                    return Ok(Posted { status, content_type, retry_after, body, whole });
                }
            }
        }
        Err(too_many_redirects())
    }
}
