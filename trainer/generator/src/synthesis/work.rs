//! Questions about many items, a few at a time: asked once, checked, asked again where the answer is of no use, and kept.

use super::clean::same;
use super::journal::{Journal, Key, Try};
use super::prompts::{Prompt, REFERENCE, TARGET};
use super::tries::{Limits, Rejected, Stand, stand};
use crate::speakers::{Chat, Question, Said, Silence};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// Useless answers in a row after which a run ends: the address or the model is wrong.
pub const HOPELESS: usize = 12;
/// What a repeated question is asked at, at least: the likeliest answer would be the same.
const WARM: f32 = 0.7;
/// Of a question whose image is no file that can be read.
pub const UNREADABLE: &str = "unreadable-image";
/// Of a pair whose images have the same list: nothing differs, as far as the model sees.
pub const EQUAL_LISTS: &str = "equal-lists";
/// Of a request that the server will not take.
pub const REFUSED: &str = "refused-request";

/// What is asked about: an image or a pair.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// Texts for the prompts' slots.
    pub values: BTreeMap<String, String>,
    /// The images of each prompt, by the prompt's place.
    pub images: Vec<Vec<PathBuf>>,
    /// The slots whose texts the last prompt's answer must not repeat; none for captions.
    pub sources: &'static [&'static str],
}

/// What came of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The texts of each prompt, in order.
    Texts(Vec<Vec<String>>),
    /// The prompt of this place got no usable answer.
    Rejected(usize, Rejected),
}

/// How to ask.
pub struct Work<'a> {
    chat: &'a dyn Chat,
    prompts: &'a [Prompt],
    journal: &'a Journal,
    limits: Limits,
    /// Digests of image files, made once.
    digests: Mutex<BTreeMap<PathBuf, Result<String, String>>>,
    /// Questions that a thread is asking.
    busy: (Mutex<BTreeSet<Key>>, Condvar),
    /// Useless answers in a row.
    useless: Mutex<Vec<(Key, u32)>>,
    /// The faults of questions that are settled.
    faults: Mutex<BTreeMap<Key, Vec<String>>>,
    /// Questions whose answer's JSON was mended.
    mended: Mutex<BTreeSet<Key>>,
}

/// An item on its way.
struct Going<'a> {
    item: &'a Item,
    values: BTreeMap<String, String>,
    texts: Vec<Vec<String>>,
    rejected: Option<Rejected>,
}

/// Takes how many items are settled.
pub type Tell<'a> = &'a (dyn Fn(usize) + Sync);

/// Questions to be asked, each with the number of its try.
type Asked = BTreeMap<Key, (u32, Question)>;

/// Every holder makes one whole change, so a panic of one spoils nothing.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Work<'a> {
    /// Work that has not begun: `prompts` are asked in order, and an answer fills a slot of those after it.
    pub fn new(chat: &'a dyn Chat, prompts: &'a [Prompt], journal: &'a Journal, limits: Limits) -> Self {
        let limits = Limits { tries: limits.tries.max(1), ..limits };
        Self {
            chat,
            prompts,
            journal,
            limits,
            digests: Mutex::default(),
            busy: (Mutex::default(), Condvar::new()),
            useless: Mutex::default(),
            faults: Mutex::default(),
            mended: Mutex::default(),
        }
    }

    /// How often each fault was met, over all tries of all questions.
    pub fn faults(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        held(&self.faults).values().flatten().for_each(|fault| *counts.entry(fault.clone()).or_default() += 1);
        counts
    }

    /// Questions whose answer's JSON was broken, and mended.
    pub fn mended(&self) -> usize {
        held(&self.mended).len()
    }

    /// What comes of each item. Every answer is in the journal as soon as it is here.
    ///
    /// # Errors
    /// When the model stops answering at all, and when the journal cannot be written. What was answered until then is in it.
    pub fn run(&self, items: &[Item], tell: Tell) -> Result<Vec<Outcome>> {
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; items.len()]);
        let (next, settled) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (stopped, error) = (AtomicBool::new(false), Mutex::new(None));
        let size = self.chat.batch().max(1);
        let work = || {
            while !stopped.load(Ordering::SeqCst) {
                let from = next.fetch_add(size, Ordering::SeqCst);
                let Some(group) = items.get(from..(from + size).min(items.len())).filter(|group| !group.is_empty())
                else {
                    return;
                };
                match self.group(group, &stopped) {
                    Ok(found) => {
                        let places = from..from + group.len();
                        held(&outcomes)[places].iter_mut().zip(found).for_each(|(place, found)| *place = found);
                        tell(settled.fetch_add(group.len(), Ordering::SeqCst) + group.len());
                    }
                    Err(e) => {
                        stopped.store(true, Ordering::SeqCst);
                        held(&error).get_or_insert(e);
                    }
                }
            }
        };
        std::thread::scope(|scope| (0..self.chat.parallel().max(1)).for_each(|_| drop(scope.spawn(work))));
        match held(&error).take() {
            Some(e) => Err(e),
            None => Ok(held(&outcomes).drain(..).map(settled_one).collect()),
        }
    }

    /// What comes of a few items that are asked about together; `None` for all when the run stops.
    fn group(&self, items: &[Item], stopped: &AtomicBool) -> Result<Vec<Option<Outcome>>> {
        let mut all: Vec<Going> = items
            .iter()
            .map(|item| Going { item, values: item.values.clone(), texts: Vec::new(), rejected: None })
            .collect();
        for step in 0..self.prompts.len() {
            loop {
                let open = |going: &Going| going.rejected.is_none() && going.texts.len() == step;
                let mut open: Vec<&mut Going> = all.iter_mut().filter(|going| open(going)).collect();
                if open.is_empty() {
                    break;
                }
                if stopped.load(Ordering::SeqCst) {
                    return Ok(vec![None; items.len()]);
                }
                self.round(step, &mut open)?;
            }
        }
        Ok(all.into_iter().map(|going| Some(going.outcome())).collect())
    }

    /// Takes open items a try further: from the journal, or by asking.
    fn round(&self, step: usize, open: &mut [&mut Going]) -> Result<()> {
        let mut asked = Asked::new();
        for going in open {
            match self.question(step, going) {
                Err(said) => going.rejected = Some(Rejected { reason: UNREADABLE.into(), said, tries: 0 }),
                // One question is asked once, whoever has it.
                Ok((key, _)) if asked.contains_key(&key) => {}
                Ok((key, question)) => self.settle(step, going, (key, question), &mut asked),
            }
        }
        let done = self.ask(&asked);
        let mut busy = held(&self.busy.0);
        for key in asked.keys() {
            busy.remove(key);
        }
        self.busy.1.notify_all();
        done
    }

    /// Gives an item what the journal has for its question, or adds the question to those that are asked now.
    fn settle(&self, step: usize, going: &mut Going, (key, question): (Key, Question), asked: &mut Asked) {
        let mut busy = held(&self.busy.0);
        while busy.contains(&key) {
            if !asked.is_empty() {
                // Whoever waits must have nothing that another waits for: the next round comes back to it.
                return;
            }
            busy = self.busy.1.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        let prompt = &self.prompts[step];
        let last = step + 1 == self.prompts.len();
        let sources = going.item.sources.iter().filter(|_| last);
        let sources: Vec<&str> = sources.filter_map(|slot| going.values.get(*slot).map(String::as_str)).collect();
        let (stand, faults) = stand(self.journal, &key, self.limits, (prompt, &sources));
        match stand {
            Stand::Ask(number, wrong) => {
                busy.insert(key.clone());
                let warm = if number > 0 { question.temperature.max(WARM) } else { question.temperature };
                let user = wrong.map_or(question.user.clone(), |wrong| told(&question.user, &wrong));
                let question = Question { user, temperature: warm, seed: seed(&key, number), ..question };
                asked.insert(key, (number, question));
                return;
            }
            Stand::Done(answer) => {
                let text = answer.texts.join("\n");
                let unlike = |own: &String| prompt.name != TARGET || !same(own, &text);
                if !going.values.get(REFERENCE).is_none_or(unlike) {
                    going.rejected = Some(Rejected { reason: EQUAL_LISTS.into(), said: text, tries: 0 });
                } else {
                    going.values.insert(prompt.name.clone(), text);
                    going.texts.push(answer.texts);
                }
                if answer.mended {
                    held(&self.mended).insert(key.clone());
                }
            }
            Stand::Rejected(rejected) => going.rejected = Some(rejected),
        }
        held(&self.faults).insert(key, faults);
    }

    /// Asks, and writes down what came back.
    fn ask(&self, asked: &Asked) -> Result<()> {
        if asked.is_empty() {
            return Ok(());
        }
        if self.chat.elsewhere() {
            for (key, (number, _)) in asked {
                self.journal.add(key, *number, Try::Sent)?;
            }
        }
        let questions: Vec<Question> = asked.values().map(|(_, question)| question.clone()).collect();
        let answers = self.chat.ask(&questions);
        assert_eq!(answers.len(), questions.len(), "every question has one answer");
        let mut stop = None;
        for ((key, (number, _)), answer) in asked.iter().zip(answers) {
            let was = match answer {
                Ok(Said { text, cut, usage }) => {
                    held(&self.useless).clear();
                    Try::Text { text, cut, usage }
                }
                Err(Silence::Useless { kind, said, again, usage }) => {
                    // A question that cannot even be sent says nothing of the server.
                    if again || kind == REFUSED {
                        held(&self.useless).push((key.clone(), *number));
                    }
                    Try::Useless { kind: kind.to_owned(), said, last: !again, usage }
                }
                Err(Silence::Stop(e)) => {
                    stop = stop.or(Some(e));
                    Try::Back
                }
            };
            self.journal.add(key, *number, was)?;
        }
        stop.map_or_else(|| self.check_use(), Err)
    }

    /// An error after too many useless answers in a row, which then count as not asked.
    fn check_use(&self) -> Result<()> {
        let mut useless = held(&self.useless);
        if useless.len() < HOPELESS {
            return Ok(());
        }
        let last = useless.last().and_then(|(key, number)| self.journal.get(key, *number));
        let said = match last {
            Some(Try::Useless { kind, said, .. }) => format!("{kind}: {said}"),
            _ => "nothing was said".to_owned(),
        };
        let problem = format!("{} answers in a row are of no use ({said})", useless.len());
        for (key, number) in useless.drain(..) {
            self.journal.add(&key, number, Try::Back)?;
        }
        let mend = "check --endpoint and --model-name; everything so far is kept, and the same command goes on";
        Err(TrainerError::data(self.chat.place(), problem, mend))
    }

    /// A question of an item, and its key, which changes with all that the answer depends on.
    ///
    /// # Errors
    /// A sentence, when an image cannot be read.
    fn question(&self, step: usize, going: &Going) -> Result<(Key, Question), String> {
        let prompt = &self.prompts[step];
        let filled = prompt.filled(&going.values);
        let images = going.item.images.get(step).cloned().unwrap_or_default();
        let mut about = vec![self.chat.name(), filled.system.clone().unwrap_or_default(), filled.user.clone()];
        about.push(format!("{} {} {}", prompt.tokens, prompt.temperature, prompt.plain));
        for path in &images {
            about.push(self.digest(path)?);
        }
        let about: String = about.iter().map(|part| format!("{} {part}\n", part.len())).collect();
        let key = fsx::sha256_hex(about.as_bytes()).chars().take(32).collect();
        let (tokens, temperature, plain) = (prompt.tokens, prompt.temperature, prompt.plain);
        Ok((key, Question { system: filled.system, user: filled.user, images, tokens, temperature, plain, seed: 0 }))
    }

    fn digest(&self, path: &PathBuf) -> Result<String, String> {
        if let Some(digest) = held(&self.digests).get(path) {
            return digest.clone();
        }
        let digest = fsx::sha256_of(path).map_err(|e| e.to_string());
        held(&self.digests).insert(path.clone(), digest.clone());
        digest
    }
}

impl Going<'_> {
    fn outcome(self) -> Outcome {
        let step = self.texts.len();
        self.rejected.map_or(Outcome::Texts(self.texts), |rejected| Outcome::Rejected(step, rejected))
    }
}

fn settled_one(outcome: Option<Outcome>) -> Outcome {
    outcome.unwrap_or_else(|| unreachable!("a run that does not stop settles every item"))
}

/// A question with what was wrong with its last answer.
fn told(question: &str, wrong: &str) -> String {
    format!("{question}\n\nYour last answer cannot be read: {wrong}. Answer again with the JSON alone.")
}

/// What a try's draws depend on: 31 bits, which every server takes.
fn seed(key: &Key, number: u32) -> u64 {
    let digest = fsx::sha256_hex(format!("{key} {number}").as_bytes());
    let bits = digest.get(..8).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    bits.unwrap_or_else(|| unreachable!("a SHA-256 is 64 hexadecimal digits")) >> 1
}
