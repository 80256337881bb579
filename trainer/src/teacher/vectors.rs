//! The teacher's vectors of a run's images: where each lies among texts, read from the files of `thisbut features --teacher`.

use super::WIDTH;
use crate::data::table::{ImageEntry, Table};
use crate::error::{Result, TrainerError};
use crate::features::Features;
use crate::fsx;
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The file's name in a data set's folder.
pub const FILE: &str = "teacher.features";
/// What makes the file anew.
const MEND: &str = "run `thisbut features --teacher` on this data set, or name its own file";

/// A data set's file of vectors.
pub struct Source {
    path: PathBuf,
    /// What stands before the names of its images in a run's table: nothing for the first data set's.
    prefix: String,
    file: Features,
}

impl Source {
    /// Opens the file of the data set whose images' names begin with `prefix`, made by the teacher of this fingerprint. Without
    /// one nobody can say whose it is.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when it is another file, or another teacher's.
    pub fn open(path: &Path, prefix: &str, fingerprint: Option<&str>) -> Result<Self> {
        let place = path.display().to_string();
        if !path.exists() {
            return Err(TrainerError::checkpoint(place, "the teacher's vectors are not there", MEND));
        }
        let file = Features::open(path)?;
        if file.shape() != (1, WIDTH) {
            let (tokens, width) = file.shape();
            let problem = format!("an image of it has {tokens} x {width} numbers, a teacher's vector has 1 x {WIDTH}");
            return Err(TrainerError::checkpoint(place, problem, MEND));
        }
        if fingerprint.is_some_and(|fingerprint| fingerprint != file.encoder()) {
            let problem = "it was made with another classifier, sentence encoder or other class names";
            return Err(TrainerError::checkpoint(place, problem, MEND));
        }
        Ok(Self { path: path.to_path_buf(), prefix: prefix.to_owned(), file })
    }

    /// The row of an image that the table calls `name`.
    fn row(&self, name: &str) -> Option<usize> {
        self.file.row(name.strip_prefix(&self.prefix)?).ok()
    }

    /// Whether the file of an image is no longer what it was when its vector, in `row`, was made.
    fn changed(&self, image: &ImageEntry, row: usize) -> bool {
        let now = std::fs::metadata(&image.path).map(|found| found.len()).ok();
        matches!((self.file.size(row), now), (Some(then), Some(now)) if then != now)
    }

    /// Refuses `images`, each the table's entry and, where the file has the image, its row.
    fn check(&self, images: &[(&ImageEntry, Option<usize>)]) -> Result<()> {
        let refused = |of: &[&ImageEntry], what: &str| {
            let first = of.first().map_or("", |image| &image.name);
            let own = first.strip_prefix(&self.prefix).unwrap_or(first);
            let why = self.file.left_out().get(own).map(|why| format!(" ({why})")).unwrap_or_default();
            let (count, all) = (of.len(), images.len());
            let problem =
                format!("{what} of {count} of the {all} images to train on, the first of them '{first}'{why}");
            Err(TrainerError::data(self.path.display().to_string(), problem, MEND))
        };
        let without: Vec<&ImageEntry> =
            images.iter().filter(|(_, row)| row.is_none()).map(|(image, _)| *image).collect();
        if !without.is_empty() {
            return refused(&without, "has no vector");
        }
        let changed = |(image, row): &&(&ImageEntry, Option<usize>)| row.is_some_and(|row| self.changed(image, row));
        let changed: Vec<&ImageEntry> = images.iter().filter(changed).map(|(image, _)| *image).collect();
        if !changed.is_empty() {
            return refused(&changed, "has the vectors of other pictures in the place");
        }
        Ok(())
    }
}

/// The vectors of the images that a run's rows look for.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// The place of each image's vector, by the image's index in the table.
    places: HashMap<u32, usize>,
    values: Vec<f32>,
    width: usize,
}

impl Vectors {
    /// Of the first right target of each of the rows of `table`, each from the file of its data set: the last of `sources` whose
    /// prefix its name has.
    ///
    /// # Errors
    /// [`TrainerError::Data`] when a file lacks an image, or has the vector of an earlier picture of that name.
    pub fn read(table: &Table, sources: &[Source]) -> Result<Self> {
        let mut images: Vec<u32> =
            table.triplets.iter().filter_map(|triplet| triplet.targets.first().copied()).collect();
        images.sort_unstable();
        images.dedup();
        let mut found = Self { places: HashMap::new(), values: Vec::with_capacity(images.len() * WIDTH), width: WIDTH };
        let of = |image: &u32| {
            let name = table.image_name(*image);
            sources.iter().rposition(|source| name.starts_with(&source.prefix))
        };
        for (at, source) in sources.iter().enumerate() {
            let own: Vec<u32> = images.iter().copied().filter(|image| of(image) == Some(at)).collect();
            let entry = |image: &u32| &table.images[*image as usize];
            let rows: Vec<(&ImageEntry, Option<usize>)> =
                own.iter().map(|image| (entry(image), source.row(&entry(image).name))).collect();
            source.check(&rows)?;
            for (image, row) in own.iter().zip(rows.iter().filter_map(|(_, row)| *row)) {
                let mut vector = vec![0.0; WIDTH];
                source.file.read(row, &mut vector);
                found.add(*image, &vector);
            }
        }
        Ok(found)
    }

    /// Of given values, `width` an image: `values` has those of the images 0, 1 and so on, in their order.
    pub fn of_first(values: &[f32], width: usize) -> Self {
        let mut found = Self { places: HashMap::new(), values: Vec::new(), width };
        for (image, vector) in (0..).zip(values.chunks_exact(width.max(1))) {
            found.add(image, vector);
        }
        found
    }

    fn add(&mut self, image: u32, vector: &[f32]) {
        self.places.insert(image, self.values.len() / self.width.max(1));
        self.values.extend(vector);
    }

    /// The vectors of some images, `[images, WIDTH]`, on `device`.
    ///
    /// # Errors
    /// When one of them is not among these.
    pub fn of(&self, images: &[u32], device: &Device) -> Result<Tensor<2>> {
        let mut values: Vec<f32> = Vec::with_capacity(images.len() * self.width);
        for image in images {
            let Some(at) = self.places.get(image) else {
                let problem = format!("lack the image of number {image}");
                return Err(TrainerError::checkpoint("the teacher's vectors", problem, "report this"));
            };
            values.extend(&self.values[at * self.width..(at + 1) * self.width]);
        }
        Ok(Tensor::from_data(TensorData::new(values, [images.len(), self.width]), device))
    }

    /// A short text that changes with any value.
    pub fn fingerprint(&self) -> String {
        fsx::hex(&Sha256::digest(bytemuck::cast_slice::<f32, u8>(&self.values))[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::Triplet;
    use crate::features::{Job, Store, build};
    use crate::train::checkpoint::Header;
    use crate::train::settings::Settings;
    use crate::train::start;
    use thisbut_model::RetrievalConfig;
    use thisbut_model::number::NumberFormat;

    /// Pictures of the names `names` in `root`, each with a vector that begins with its number and `first`.
    fn made(root: &Path, names: &[&str], (width, first): (usize, f32)) -> PathBuf {
        let config = RetrievalConfig::preset("tiny").unwrap();
        let picture = |(at, name): (usize, &&str)| {
            let path = root.join(format!("{name}.png"));
            let noise = |x: u32, y: u32| image::Rgb([(x * x * 37 + y * 91) as u8, ((x * 113) ^ (y * y * 57)) as u8, 9]);
            let picture = image::RgbImage::from_fn(8 + 8 * at as u32, 8, noise);
            if *name != "broken" {
                picture.save(&path).unwrap();
            }
            ((*name).to_owned(), path)
        };
        let images: Vec<(String, PathBuf)> = names.iter().enumerate().map(picture).collect();
        let job = Job {
            images: &images,
            preprocess: &config.preprocess,
            shape: (1, width),
            store: Store::try_from(NumberFormat::F32).unwrap(),
            fingerprint: "this teacher".into(),
            computing: String::new(),
            sizes: true,
        };
        let encode = |_: Vec<f32>, count: usize| -> Result<Vec<f32>> {
            Ok((0..count).flat_map(|at| [at as f32, first].into_iter().chain(vec![0.5; width - 2])).collect())
        };
        let out = root.join(FILE);
        build(&out, &job, &encode, &mut |_, _| (), &mut |_| ()).unwrap();
        out
    }

    /// Rows that look for each of these images, the second one twice; names and folders of their pictures.
    fn table(images: &[(&str, &Path)]) -> Table {
        let entry = |(name, root): &(&str, &Path)| {
            let file = name.rsplit('/').next().unwrap();
            ImageEntry { name: (*name).into(), path: root.join(format!("{file}.png")) }
        };
        let row = |image: u32| Triplet { targets: vec![image, 0], ..Triplet::default() };
        let triplets = (0..images.len() as u32).chain([1]).map(row).collect();
        Table { images: images.iter().map(entry).collect(), triplets, ..Table::default() }
    }

    fn open(path: &Path, prefix: &str) -> Result<Source> {
        Source::open(path, prefix, Some("this teacher"))
    }

    fn refused<T>(result: Result<T>) -> String {
        result.err().unwrap().to_string()
    }

    #[test]
    fn each_image_has_the_vector_of_its_own_data_set() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = [made(one.path(), &["a", "b", "c"], (WIDTH, 7.0)), made(other.path(), &["b", "a"], (WIDTH, 9.0))];
        let sources = [open(&files[0], "").unwrap(), open(&files[1], "shop/").unwrap()];
        let wanted = [("a", one.path()), ("c", one.path()), ("shop/a", other.path()), ("shop/b", other.path())];
        let vectors = Vectors::read(&table(&wanted), &sources).unwrap();
        let of = |images: &[u32]| vectors.of(images, &Device::flex()).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let begin = |at: usize, values: &[f32]| [values[at * WIDTH], values[at * WIDTH + 1]];
        let values = of(&[3, 0, 2, 1]);
        assert_eq!(values.len(), 4 * WIDTH);
        assert_eq!([0, 1, 2, 3].map(|at| begin(at, &values)), [[0.0, 9.0], [0.0, 7.0], [1.0, 9.0], [2.0, 7.0]]);
        assert!(refused(vectors.of(&[4], &Device::flex())).contains("lack the image of number 4"));
        // Another value is another run.
        let mut changed = vectors.clone();
        changed.values[5] += 1.0;
        let [one, other] = [&vectors, &changed].map(|vectors| {
            let config = RetrievalConfig::preset("tiny").unwrap();
            Header::new(Settings::sprc(), config, "data".into()).with_teacher(Some(vectors))
        });
        start::same_run(Path::new("x"), &one, &one, PartialEq::eq).unwrap();
        let said = refused(start::same_run(Path::new("x"), &one, &other, PartialEq::eq));
        assert!(said.contains("the teacher's vectors are others"), "{said}");
    }

    #[test]
    fn a_file_of_other_images_widths_and_teachers_is_refused() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = made(root.path(), &["a", "b", "broken"], (WIDTH, 1.0));
        let source = || [open(&file, "").unwrap()];
        let own = root.path();
        Vectors::read(&table(&[("a", own), ("b", own)]), &source()).unwrap();
        let said = refused(Vectors::read(&table(&[("a", own), ("x", own), ("y", own)]), &source()));
        let named =
            "teacher.features: has no vector of 2 of the 3 images to train on, the first of them 'x'; run `thisbut";
        assert!(said.contains(named), "{said}");
        let said = refused(Vectors::read(&table(&[("a", own), ("broken", own)]), &source()));
        assert!(said.contains("'broken' (") && said.contains("broken.png"), "{said}");
        // The same names, other pictures.
        made(other.path(), &["b", "c", "d", "e", "f", "a"], (WIDTH, 1.0));
        let said = refused(Vectors::read(&table(&[("a", other.path()), ("b", own)]), &source()));
        assert!(said.contains("other pictures in the place of 1 of the 2 images") && said.contains("'a'"), "{said}");
        assert!(refused(Source::open(&file, "", Some("another"))).contains("another classifier, sentence encoder"));
        Source::open(&file, "", None).unwrap();
        assert!(refused(open(&other.path().join("no.features"), "")).contains("are not there; run `thisbut features"));
        let narrow = made(other.path(), &["a"], (48, 1.0));
        assert!(refused(open(&narrow, "")).contains("1 x 48 numbers, a teacher's vector has 1 x 384"));
        std::fs::write(&narrow, "nothing").unwrap();
        assert!(refused(open(&narrow, "")).contains("it is not a feature cache"));
    }
}
