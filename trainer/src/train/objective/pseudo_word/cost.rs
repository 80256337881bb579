//! What the passes of a step cost: matrix products, two operations a multiplication, and the values that their graph keeps.

use super::{Losses, PseudoWordSettings};
use crate::train::estimate::{Cost, DROPOUT, Load, NORM, SOFTMAX};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{FamilyConfig, PseudoWordConfig};

/// Texts of a step and their tokens.
#[derive(Clone, Copy)]
struct Texts {
    rows: usize,
    words: usize,
}

/// Of a step over `load.rows` rows of the table, with the unlabelled images that come with so many.
pub(super) fn of(
    settings: &PseudoWordSettings,
    (config, method): (&RetrievalConfig, &PseudoWordConfig),
    load: Load,
    fused: bool,
) -> Cost {
    let model = Model { config, method, trains: settings.losses == Losses::Contrast, fused };
    let (labelled, held) = (model.labelled(settings.losses, load), model.alone(load.images_held));
    let pairs = load.rows * if matches!(settings.losses, Losses::Triplet | Losses::Hybrid) { 2 } else { 1 };
    // Graphs of whole streams are held at once. One that is computed in pieces holds a piece, after those before it are gone.
    let height = |of: &dyn Fn(Texts, usize) -> usize| {
        let (one, other) = (of(labelled, pairs), of(held, held.rows));
        if load.images_held < load.images { one.max(other) } else { one + other }
    };
    // Of the unlabelled images as many as come with so many rows.
    let share = load.rows as f64 / load.share.max(1) as f64;
    let sum = |of: &dyn Fn(Texts) -> f64| of(labelled) + share * of(model.alone(load.images));
    let graph = sum(&|texts| model.graph(texts));
    let pools = config.image_tokens() > 1;
    Cost {
        graph,
        // The first pass of pieces is a whole one; its way back is not.
        plain: if load.rows < load.share { sum(&|texts| model.forward(texts)) - graph } else { 0.0 },
        comparison: 2.0 * config.projection as f64,
        images: if pools { 0 } else { height(&|_, images| images) },
        activations: height(&|texts, images| model.activations(texts, images)),
        softmax: if fused { 0 } else { height(&|texts, _| model.softmax(texts)) },
        representation: 2 * config.projection,
        similarity: 8,
        banked: None,
        pooled: if pools { config.image_width() } else { 0 },
    }
}

struct Model<'a> {
    config: &'a RetrievalConfig,
    method: &'a PseudoWordConfig,
    /// Whether the towers train.
    trains: bool,
    fused: bool,
}

impl Model<'_> {
    /// Tokens of the prompt with its marks and the pseudo-words.
    fn prompt(&self) -> usize {
        let slots = self.method.mapping.as_ref().map_or(0, |mapping| mapping.tokens);
        2 + self.method.prompt.split_whitespace().count() + slots
    }

    /// Texts of images alone: the prompt.
    fn alone(&self, rows: usize) -> Texts {
        Texts { rows, words: rows * self.prompt() }
    }

    /// Texts of the table's rows.
    fn labelled(&self, losses: Losses, Load { rows, words, .. }: Load) -> Texts {
        match losses {
            Losses::Contrast => Texts { rows, words },
            Losses::Pic2word => self.alone(rows),
            // The prompt's marks are the text's own, and a comma stands between.
            Losses::Triplet | Losses::Hybrid => {
                let most = rows * self.config.text.length();
                Texts { rows, words: (words + rows * (self.prompt() - 1)).min(most) }
            }
        }
    }

    fn mapping(&self, rows: usize) -> f64 {
        self.method.mapping.as_ref().filter(|_| !self.trains).map_or(0.0, |m| {
            let d = self.method.text_tower.width();
            2.0 * (rows * m.hidden * (self.config.projection + m.hidden + m.tokens * d)) as f64
        })
    }

    fn tower(&self, Texts { rows, words }: Texts) -> f64 {
        2.0 * self.method.text_tower.work(words.div_ceil(rows.max(1))) as f64 * rows as f64
    }

    /// Operations of a forward pass.
    fn forward(&self, texts: Texts) -> f64 {
        self.tower(texts) + self.mapping(texts.rows)
    }

    /// A third of the operations of a forward and a backward pass. Through a tower that stays leads one way back instead of two.
    fn graph(&self, texts: Texts) -> f64 {
        self.tower(texts) * if self.trains { 1.0 } else { 2.0 / 3.0 } + self.mapping(texts.rows)
    }

    /// Values that the graph keeps of texts and of the images that come with them.
    fn activations(&self, Texts { rows, words }: Texts, images: usize) -> usize {
        let tower = &self.method.text_tower;
        let (d, f) = (tower.width(), tower.intermediate());
        let dropped = usize::from(self.method.dropout() > 0.0 && self.trains);
        let (norm, dropout) = if self.fused { (0, dropped) } else { (NORM, DROPOUT * dropped) };
        // Queries, keys, values, attended, the norm's input and output; the feed-forward network's two layers.
        let block = (6 + norm + dropout) * d + 2 * f + (2 + norm + dropout) * d;
        let embedding = (3 + norm + dropout) * d;
        let mapping = self.method.mapping.as_ref().filter(|_| !self.trains);
        let mapping = rows * mapping.map_or(0, |m| 6 * m.hidden + m.tokens * d);
        let head = self.method.image_head.as_ref().and_then(|head| head.hidden).filter(|_| self.trains);
        let image = self.config.image_width() + head.map_or(0, |hidden| 2 * hidden);
        words * (embedding + tower.layers() * block) + mapping + images * image
    }

    fn softmax(&self, Texts { rows, words }: Texts) -> usize {
        let length = words.div_ceil(rows.max(1));
        SOFTMAX * rows * self.method.text_tower.heads() * length * length * self.method.text_tower.layers()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::train::estimate::flops;
    use crate::train::objective::ObjectiveSettings;
    use crate::train::settings::Settings;
    use thisbut_model::config::{Composition, MappingConfig};

    #[test]
    fn arithmetic_hangs_on_the_batches_and_not_on_how_they_are_cut() {
        let mut config = RetrievalConfig::preset("tiny-dual").unwrap();
        let own = config.pseudo_word_mut().unwrap();
        own.mapping = Some(MappingConfig::default());
        own.composition = Composition::PseudoWords;
        let step = |devices: usize, sub_batch: usize, image_batch: usize| {
            let own = PseudoWordSettings { image_batch, ..PseudoWordSettings::hycir() };
            let objective = ObjectiveSettings::PseudoWord(own);
            let settings = Settings { batch: 32, devices, sub_batch, objective, ..Settings::sprc() };
            flops::step(&settings, &config, Load::longest(&settings, &config)).unwrap()
        };
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        let whole = step(1, 0, 96);
        near(step(2, 0, 96), whole);
        near(step(1, 0, 192) - whole, whole - step(1, 0, 0));
        // The towers stay: forward and back once. The mapping network trains: back twice.
        let model = Model { config: &config, method: config.pseudo_word().unwrap(), trains: false, fused: true };
        let texts = model.labelled(Losses::Hybrid, Load::longest(&Settings { batch: 32, ..Settings::sprc() }, &config));
        let (tower, mapping) = [texts, model.alone(96)]
            .into_iter()
            .fold((0.0, 0.0), |(a, b), texts| (a + model.tower(texts), b + model.mapping(texts.rows)));
        let compared = 3.0 * 32.0 * 32.0 * 2.0 * config.projection as f64;
        near(whole, 2.0 * tower + 3.0 * mapping + compared);
        // Pieces are encoded once more.
        near(step(1, 8, 96) - whole, tower + mapping + compared / 3.0);
    }
}
