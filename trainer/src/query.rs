//! `thisbut query`: one question to a bundle on disk, answered by the same engine as in the browser.

use crate::bundle_io::Bundle;
use crate::error::{Result, TrainerError};
use crate::{images, why};
use burn::tensor::Device;
use pollster::block_on;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use thisbut_model::ModelError;
use thisbut_model::ask::{Ask, EVEN};
use thisbut_model::bundle::Best;
use thisbut_model::engine::Engine;
use thisbut_model::gallery::{Extra, Hit, ImageMeta, facets, having};
use thisbut_model::image::Rgba;
use thisbut_model::retrieval::EncodedImages;
use thisbut_model::text::{MAX_TEXT, max_words};
use thisbut_model::why::Explanation;

/// What the query starts from.
#[derive(Clone, Copy, Debug)]
pub enum Reference<'a> {
    /// An image file.
    File(&'a Path),
    /// A gallery image by its id; it is not among the answers.
    Gallery(&'a str),
}

/// A question in all its parts; what they mean: [`thisbut_model::ask`].
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The images that it starts from.
    pub references: Vec<Reference<'a>>,
    /// What should be different.
    pub text: Option<&'a str>,
    /// What is not wanted.
    pub without: Vec<String>,
    /// Between the image (0) and the words (1).
    pub balance: f32,
    /// Only images whose title and tags have all of these words.
    pub only: Vec<String>,
}

impl<'a> Question<'a> {
    /// An image, a text, or both.
    pub fn new(reference: Option<Reference<'a>>, text: Option<&'a str>) -> Self {
        Self { references: reference.into_iter().collect(), text, without: Vec::new(), balance: EVEN, only: Vec::new() }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Answer {
    /// From 1.
    pub rank: usize,
    /// Cosine of the query and the image's best token.
    pub score: f32,
    /// The image's name in the gallery.
    pub id: String,
    /// A line for people.
    pub title: String,
    /// Its thumbnail, relative to the bundle.
    pub thumb: String,
    /// What the site owner's table says of it.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// Answers as CSV: rank, score, id, title, thumb, and what tables say of the images, under a line with these names.
pub fn as_csv(answers: &[Answer]) -> Result<Vec<u8>> {
    let failed = |problem: String| TrainerError::data("the answers", problem, "leave --csv out");
    let mut rows = csv::Writer::from_writer(Vec::new());
    let mut extra: Vec<&str> = Vec::new();
    for (name, _) in answers.iter().flat_map(|answer| answer.extra.iter()) {
        if !extra.contains(&name) {
            extra.push(name);
        }
    }
    let names = ["rank", "score", "id", "title", "thumb"].into_iter().chain(extra.iter().copied());
    rows.write_record(names).map_err(|e| failed(e.to_string()))?;
    for Answer { rank, score, id, title, thumb, extra: own } in answers {
        let (rank, score) = (rank.to_string(), score.to_string());
        let fields = [rank.as_str(), score.as_str(), id.as_str(), title.as_str(), thumb.as_str()].into_iter();
        let own = extra.iter().map(|name| own.get(name).unwrap_or_default());
        rows.write_record(fields.chain(own)).map_err(|e| failed(e.to_string()))?;
    }
    rows.into_inner().map_err(|e| failed(e.to_string()))
}

/// A bundle that is ready to answer.
pub struct Asker {
    bundle: Bundle,
    engine: Engine,
}

impl Asker {
    /// Reads the bundle in `root`, checks every file, and runs its self-test on `device`.
    pub fn open(root: &Path, device: &Device) -> Result<Self> {
        let bundle = Bundle::read(root)?;
        let engine = bundle.engine(device)?;
        block_on(engine.self_test(&bundle.manifest)).map_err(|e| match e {
            // A page has other devices to turn to.
            ModelError::Device { problem, .. } => {
                let mend = "copy the bundle again, or export or index it again";
                TrainerError::data(root.display().to_string(), format!("its self-test fails: {problem}"), mend)
            }
            other => other.into(),
        })?;
        Ok(Self { bundle, engine })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The `k` best images. Without a text: images like the reference; without a reference: what the text says. With both,
    /// the reference itself is not an answer, wherever the gallery has it.
    ///
    /// Fails when there is neither, when the text has no words, and when the reference cannot be used.
    pub fn ask(&self, reference: Option<Reference>, text: Option<&str>, k: usize) -> Result<Vec<Answer>> {
        self.answer(&Question::new(reference, text), k)
    }

    /// The `k` best images of a question.
    ///
    /// Fails as [`Asker::ask`] does, when a text that is not wanted has no words, and when no image has the words of `only`.
    pub fn answer(&self, question: &Question, k: usize) -> Result<Vec<Answer>> {
        let texts = question.text.into_iter().map(|text| ("the text", text));
        let unwanted = question.without.iter().map(|text| ("what is not wanted", text.as_str()));
        let silent = |text: &str| self.engine.retrieval().texts().tokens(text).is_empty();
        if let Some((what, _)) = texts.chain(unwanted).find(|(_, text)| silent(text)) {
            return Err(TrainerError::settings(
                what,
                "has no words",
                "say what should be different, or leave the text out to find similar images",
            ));
        }
        let among = (!question.only.is_empty()).then(|| having(&self.bundle.metadata, &question.only));
        if among.as_ref().is_some_and(HashSet::is_empty) {
            let words = question.only.join(", ");
            let mend = format!("the most common words are: {}", self.words());
            return Err(TrainerError::settings(format!("--only {words}"), "no image of the gallery has it", mend));
        }
        // An empty text is none: the image alone asks.
        let text = question.text.unwrap_or_default();
        let (mut shown, mut exclude) = (Vec::new(), Vec::new());
        for reference in &question.references {
            let (encoded, chosen) = self.reference(*reference)?;
            let found = block_on(self.engine.reference(encoded))?;
            exclude.extend(self.engine.excluded(Some(&found), chosen, text));
            shown.push(found);
        }
        let references: Vec<_> = shown.iter().collect();
        let (without, balance) = (question.without.as_slice(), question.balance);
        let ask = Ask { references: &references, text, without, balance, among: among.as_ref() };
        let hits = block_on(self.engine.ask(&ask, k, &exclude))?;
        let answer = |(rank, hit): (usize, Hit)| {
            // The bundle's reader has counted: each image of the gallery has its metadata.
            let meta = &self.bundle.metadata[hit.index as usize];
            let (id, title, thumb) = (meta.id.clone(), meta.title.clone(), self.thumb(meta));
            Answer { rank, score: hit.score, id, title, thumb, extra: meta.extra.clone() }
        };
        Ok((1..).zip(hits).map(answer).collect())
    }

    /// Which words of a text, and which part of a reference, counted in their query.
    ///
    /// Fails as [`Asker::ask`] does, and for a model whose family has no attention to tell.
    pub fn explain(&self, reference: Reference, text: &str) -> Result<Explanation> {
        let size = self.size(reference)?;
        why::explain(self.engine.retrieval(), &self.reference(reference)?.0, size, text)
    }

    /// A reference's picture: the file, or the gallery's small one.
    pub fn picture(&self, reference: Reference) -> Result<PathBuf> {
        Ok(match reference {
            Reference::File(path) => path.to_path_buf(),
            Reference::Gallery(id) => self.bundle.root.join(self.thumb(self.find(id)?.1)),
        })
    }

    fn size(&self, reference: Reference) -> Result<(u32, u32)> {
        let picture = images::decode_file(&self.picture(reference)?)?;
        Ok((picture.width, picture.height))
    }

    /// A reference's image, and its number where it is one of the gallery.
    fn reference(&self, reference: Reference) -> Result<(EncodedImages, Option<u32>)> {
        let id = match reference {
            Reference::File(path) => return Ok((self.encode(path)?, None)),
            Reference::Gallery(id) => id,
        };
        let (at, meta) = self.find(id)?;
        let encoded = match &meta.reference {
            Some(file) if !self.engine.retrieval().has_encoder() => {
                self.engine.retrieval().reference(&self.bundle.reference(file)?)?
            }
            _ => self.encode(&self.bundle.root.join(self.thumb(meta)))?,
        };
        Ok((encoded, Some(at)))
    }

    /// Words that part the gallery, for people.
    fn words(&self) -> String {
        let words = facets(&self.bundle.metadata, 12).into_iter().map(|(word, count)| format!("{word} ({count})"));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Whether nothing is close to a question of one image, as far as the bundle's figures say.
    pub fn is_far(&self, question: &Question, answers: &[Answer]) -> Result<bool> {
        let (Some(closeness), [reference]) = (self.bundle.manifest.closeness, question.references.as_slice()) else {
            return Ok(false);
        };
        let (encoded, chosen) = self.reference(*reference)?;
        let plain = question.without.is_empty() && question.only.is_empty() && question.balance == EVEN;
        let composed = answers.first().filter(|_| plain && question.text.is_some()).map(|answer| answer.score);
        let nearest = block_on(self.engine.reference(encoded))?.nearest();
        Ok(closeness.is_far(Best { composed, image: nearest.filter(|_| chosen.is_none()) }))
    }

    fn encode(&self, path: &Path) -> Result<EncodedImages> {
        if !self.engine.retrieval().has_encoder() {
            return Err(TrainerError::settings(
                self.bundle.root.display().to_string(),
                "this bundle has no image encoder (form gallery-reference), so it cannot read an image file",
                "start from an image of its gallery with --like ID",
            ));
        }
        let picture = images::decode_file(path)?;
        let rgba = Rgba::new(picture.width, picture.height, &picture.data)?;
        self.engine.retrieval().encode_image(&rgba).map_err(|e| TrainerError::Image {
            place: path.display().to_string(),
            problem: e.to_string(),
            mend: "try another image".to_owned(),
        })
    }

    fn thumb(&self, meta: &ImageMeta) -> String {
        format!("{}{}", self.bundle.manifest.gallery.thumbnails, meta.thumb)
    }

    /// A remark on a text of which only the beginning counts.
    pub fn remark(&self, text: &str) -> Option<String> {
        let most = max_words(self.engine.retrieval().config().text.length());
        let (words, characters) = (text.split_whitespace().count(), text.chars().count());
        (words > most || characters > MAX_TEXT).then(|| {
            format!("the text has {words} words and {characters} characters; only its beginning counts (at most {most} words)")
        })
    }

    fn find(&self, id: &str) -> Result<(u32, &ImageMeta)> {
        (0..).zip(&self.bundle.metadata).find(|(_, meta)| meta.id == id).ok_or_else(|| {
            TrainerError::settings(
                format!("image '{id}'"),
                format!("is not in the gallery of {}", self.bundle.root.display()),
                "give the id that a query prints",
            )
        })
    }
}
