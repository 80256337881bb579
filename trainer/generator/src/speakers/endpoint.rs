//! An OpenAI-compatible endpoint: `POST BASE/chat/completions`, as OpenAI, llama.cpp, vLLM and others serve it.
//!
//! The key goes to the endpoint's own address alone, and is blotted out of everything that comes back.

use super::pace::Pace;
use super::{Chat, Question, Said, Silence};
use crate::synthesis::journal::Usage;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fetch::Patience;
use thisbut_trainer::fetch::http::{Advice, Client, Tries, Trouble, http};
use thisbut_trainer::fetch::post::Posted;
use thisbut_trainer::images::inline::{base64, jpeg};
use url::Url;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 4 << 20;
/// A server may ask for a longer pause, up to this; beyond, the run ends.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Characters of what a server says that are told to people.
const SAID: usize = 200;
/// Quality of the JPEGs that are sent.
const QUALITY: u8 = 85;

/// Where to ask, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base address, such as `https://api.openai.com/v1`.
    pub base: String,
    /// The model's name there.
    pub model: String,
    /// The key, and the environment variable that it came from.
    pub key: Option<(String, String)>,
    /// How long to wait, and how often to try.
    pub patience: Patience,
    /// Requests a minute at most.
    pub minute: Option<u32>,
    /// Requests at the same time.
    pub parallel: usize,
    /// Longest side of the images that are sent, in pixels.
    pub side: u32,
    /// Further fields of every request; `null` takes one away.
    pub fields: Map<String, Value>,
}

/// Takes a line for a person.
pub type Note = Box<dyn Fn(String) + Sync>;

/// The endpoint.
pub struct Endpoint {
    settings: Settings,
    client: Client,
    address: Url,
    pace: Pace,
    requests: AtomicU64,
    note: Note,
}

impl Endpoint {
    /// An endpoint; `note` hears of tries that failed.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when the base is no address, or has a password in it.
    pub fn new(settings: Settings, note: Note) -> Result<Self> {
        let base = http(&settings.base).filter(|url| url.username().is_empty() && url.password().is_none());
        let base = base.ok_or_else(|| {
            let mend = "give an address such as https://api.openai.com/v1, and the key in an environment variable";
            TrainerError::settings("--endpoint", "is not an http address, or has a password in it", mend)
        })?;
        let key = settings.key.as_ref().map(|(key, _)| key.as_str());
        let client = Client::of(base, key, settings.patience);
        let (address, pace) = (client.address(["chat", "completions"]), Pace::new(settings.minute));
        Ok(Self { settings, client, address, pace, requests: AtomicU64::new(0), note })
    }

    /// Requests that went out.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn body(&self, question: &Question) -> Result<Vec<u8>, Silence> {
        let content = match question.images.as_slice() {
            [] => json!(question.user),
            images => {
                let images = images.iter().map(|path| self.image(path)).collect::<Result<Vec<_>, _>>()?;
                Value::from([images, vec![json!({"type": "text", "text": question.user})]].concat())
            }
        };
        let system = question.system.as_ref().map(|system| json!({"role": "system", "content": system}));
        let messages: Vec<Value> = system.into_iter().chain([json!({"role": "user", "content": content})]).collect();
        let mut body = json!({
            "model": self.settings.model,
            "messages": messages,
            "max_tokens": question.tokens,
            // As it was written: 0.7 and not the f32 next to it.
            "temperature": (f64::from(question.temperature) * 1e4).round() / 1e4,
            "seed": question.seed,
        });
        if let Some(fields) = body.as_object_mut() {
            for (name, value) in &self.settings.fields {
                match value {
                    Value::Null => fields.remove(name),
                    value => fields.insert(name.clone(), value.clone()),
                };
            }
        }
        serde_json::to_vec(&body).map_err(|e| Silence::hopeless("request", e.to_string()))
    }

    fn image(&self, path: &Path) -> Result<Value, Silence> {
        let bytes = jpeg(path, self.settings.side, QUALITY);
        let bytes = bytes.map_err(|e| Silence::hopeless("unreadable-image", e.to_string()))?;
        let url = format!("data:image/jpeg;base64,{}", base64(&bytes));
        Ok(json!({"type": "image_url", "image_url": {"url": url}}))
    }

    fn one(&self, question: &Question) -> Result<Said, Silence> {
        let body = self.body(question)?;
        let mut tries = Tries::new(self.settings.patience);
        loop {
            self.pace.wait();
            self.requests.fetch_add(1, Ordering::Relaxed);
            let trouble = match self.client.post(&self.address, &body, MAX_ANSWER) {
                Err(trouble) => trouble,
                Ok(posted) => match self.passing(&posted)? {
                    Some(trouble) => trouble,
                    None => return self.read(&posted),
                },
            };
            if let Advice::Again(pause) = trouble.advice {
                self.pace.hold(pause);
            }
            let mut note = |line: String| (self.note)(self.blotted(line));
            tries
                .after(self.address.as_str(), trouble, false, &mut note)
                .map_err(|trouble| self.stop(&trouble.problem))?;
        }
    }

    /// The trouble of an answer whose status says to come again; `None` when there is something to read.
    fn passing(&self, posted: &Posted) -> Result<Option<Trouble>, Silence> {
        let (status, said) = (posted.status, self.reason(posted));
        let with = |problem: &str| {
            format!("{problem} (status {status}{})", said.as_ref().map_or(String::new(), |s| format!(": {s}")))
        };
        match status {
            200 => Ok(None),
            402 | 429 | 403 if status == 402 || out_of_quota(posted) => {
                let mend = "everything so far is kept; raise the limit, then run the same command again to go on";
                Err(Silence::Stop(self.error(with("its quota is used up"), mend)))
            }
            401 | 403 => {
                let key = match &self.settings.key {
                    Some((_, variable)) => format!("check the key in {variable}"),
                    None => "name the environment variable that holds the key with --key-from".to_owned(),
                };
                let mend = format!("everything so far is kept; {key}, then run the same command again to go on");
                Err(Silence::Stop(self.error(with("its server refuses the key"), &mend)))
            }
            404 | 405 | 410 => {
                let mend = "check --endpoint (its end is often /v1) and --model-name; everything so far is kept";
                Err(Silence::Stop(self.error(with("its server has no such address or model"), mend)))
            }
            408 | 425 | 429 | 500..=599 => match posted.retry_after.unwrap_or_default() {
                pause if pause > LONGEST_PAUSE => {
                    let problem = with(&format!("its server asks for a pause of {} s", pause.as_secs()));
                    let mend = "everything so far is kept; run the same command again after that time to go on";
                    Err(Silence::Stop(self.error(problem, mend)))
                }
                pause => Ok(Some(Trouble {
                    problem: with("its server is not able to answer now"),
                    status: Some(status),
                    advice: Advice::Again(pause),
                })),
            },
            _ => Err(Silence::hopeless("refused-request", with("the request is refused"))),
        }
    }

    /// The answer in a response of status 200.
    fn read(&self, posted: &Posted) -> Result<Said, Silence> {
        let begin = || self.excerpt(&String::from_utf8_lossy(&posted.body));
        if !posted.whole {
            return Err(Silence::useless("huge-answer", format!("more than {MAX_ANSWER} bytes: {}", begin())));
        }
        if !posted.content_type.to_lowercase().contains("json") {
            let kind = if posted.content_type.is_empty() { "no content type" } else { &posted.content_type };
            return Err(Silence::useless("no-json", format!("{kind}: {}", begin())));
        }
        let value: Value = serde_json::from_slice(&posted.body)
            .map_err(|e| Silence::useless("broken-json", format!("{e}: {}", begin())))?;
        let count = |name: &str| value["usage"][name].as_u64().unwrap_or(0);
        let usage = Usage { prompt: count("prompt_tokens"), answer: count("completion_tokens") };
        let Some(choice) = value["choices"].get(0) else {
            return Err(Silence::useless("no-choice", begin()).that_took(usage));
        };
        let finish = choice["finish_reason"].as_str().unwrap_or_default();
        if finish == "content_filter" {
            return Err(Silence::hopeless("content-filter", begin()).that_took(usage));
        }
        let text = match &choice["message"]["content"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => return Err(Silence::useless("no-text", begin()).that_took(usage)),
        };
        Ok(Said { text: self.blotted(text), cut: finish == "length", usage })
    }

    /// What a response with another status says of itself.
    fn reason(&self, posted: &Posted) -> Option<String> {
        let value: Value = serde_json::from_slice(&posted.body).ok()?;
        let message = [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]];
        message.into_iter().find_map(Value::as_str).map(|text| self.excerpt(text))
    }

    fn excerpt(&self, text: &str) -> String {
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = self.blotted(line);
        match line.char_indices().nth(SAID) {
            Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
            None => line,
        }
    }

    /// A server may send the key back.
    fn blotted(&self, text: String) -> String {
        match &self.settings.key {
            Some((key, _)) if !key.is_empty() && text.contains(key.as_str()) => text.replace(key.as_str(), "…"),
            _ => text,
        }
    }

    fn stop(&self, problem: &str) -> Silence {
        let mend = "everything so far is kept; see to the server, then run the same command again to go on";
        Silence::Stop(self.error(problem.to_owned(), mend))
    }

    fn error(&self, problem: String, mend: &str) -> TrainerError {
        TrainerError::data(self.address.as_str(), self.blotted(problem), mend)
    }
}

/// Whether a refusal says that there is no money or quota left, rather than that it is too soon.
fn out_of_quota(posted: &Posted) -> bool {
    let value: Value = serde_json::from_slice(&posted.body).unwrap_or_default();
    let codes = [&value["error"]["code"], &value["error"]["type"], &value["code"]];
    codes.into_iter().filter_map(Value::as_str).any(|code| {
        [
            "insufficient_quota",
            "quota_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_balance",
        ]
        .contains(&code)
    })
}

impl Chat for Endpoint {
    fn name(&self) -> String {
        format!("endpoint {}", self.settings.model)
    }

    fn place(&self) -> String {
        format!("{} at {}", self.settings.model, self.address)
    }

    fn elsewhere(&self) -> bool {
        true
    }

    fn batch(&self) -> usize {
        1
    }

    fn parallel(&self) -> usize {
        self.settings.parallel.max(1)
    }

    fn ask(&self, questions: &[Question]) -> Vec<Result<Said, Silence>> {
        questions.iter().map(|question| self.one(question)).collect()
    }
}
