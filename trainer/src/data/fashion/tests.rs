//! Both layouts as they are published, what is wrong with copies of them, and what is said of their images.

use super::super::{DataSet, Format, pictures};
use super::*;

/// The layouts of both releases, a few images each, in folders of one folder.
struct World(tempfile::TempDir);

const DRESS: &str = "women/dresses/casual_and_day_dresses";

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for (item, views) in [("51727804", 3), ("56037632", 1)] {
            for view in 0..views {
                world.write(&format!("fashion200k/{DRESS}/{item}/{item}_{view}.jpeg"), "x");
            }
        }
        world.write("fashion200k/women/tops/blouses/1/1_0.jpeg", "x");
        world.write(
            "fashion200k/labels/dress_train_detect_all.txt",
            &format!(
                "{DRESS}/51727804/51727804_0.jpeg\t-1.78\tgreen linen-blend a-line dress\n\
                 {DRESS}/51727804/51727804_1.jpeg\t0.5\tgreen linen-blend a-line dress\n\
                 {DRESS}/56037632/56037632_0.jpeg\t0.9\tblack lace dress\n"
            ),
        );
        world.write("fashion200k/labels/dress_test_detect_all.txt", "");
        world.write(
            "fashion200k/labels/top_test_detect_all.txt",
            "women/tops/blouses/1/1_0.jpeg\t1.0\twhite silk blouse\n",
        );
        for name in ["WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg", "MEN-Denim-id_00000080-01_7_additional.jpg"] {
            world.write(&format!("deepfashion/images/{name}"), "x");
        }
        world.write(
            "deepfashion/captions.json",
            r#"{"WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg": "The shirt has\n long sleeves."}"#,
        );
        world.write(
            "deepfashion/labels/shape/shape_anno_all.txt",
            "WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg 3 4 0 0 0 0 0 0 1 4 2 1\n",
        );
        world.write(
            "deepfashion/labels/texture/fabric_ann.txt",
            "WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg 5 7 7\n",
        );
        world.write(
            "deepfashion/labels/texture/pattern_ann.txt",
            "WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg 3 7 7\n",
        );
        world.write("deepfashion/segm/WOMEN-Blouses_Shirts-id_00000001-02_1_front_segm.png", "x");
        world
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn load(&self, split: Split) -> (Table, String) {
        let (table, complaints) = load(self.root(), split, &LoadOptions::default()).unwrap();
        (table, complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}

fn names(table: &Table) -> Vec<&str> {
    table.images.iter().map(|image| image.name.as_str()).collect()
}

#[test]
fn both_layouts_are_read_alone_and_together() {
    let world = World::new();
    let data = DataSet::open(world.root(), None).unwrap();
    assert_eq!((data.format, data.splits()), (Format::Fashion, vec![Split::Train, Split::Test]));
    let (train, complaints) = world.load(Split::Train);
    assert_eq!(
        names(&train),
        [
            "deepfashion/images/MEN-Denim-id_00000080-01_7_additional.jpg",
            "deepfashion/images/WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg",
            &format!("fashion200k/{DRESS}/51727804/51727804_0.jpeg"),
            &format!("fashion200k/{DRESS}/51727804/51727804_1.jpeg"),
            &format!("fashion200k/{DRESS}/56037632/56037632_0.jpeg"),
        ],
        "{complaints}"
    );
    assert!(train.triplets.iter().all(|t| t.targets == [t.reference] && t.text.is_empty()));
    assert!(complaints.contains("1 of 2 images have no description; kept without it"), "{complaints}");
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    assert_eq!(names(&world.load(Split::Test).0), ["fashion200k/women/tops/blouses/1/1_0.jpeg"]);
    let (all, _) = pictures::load(world.root(), None, None).unwrap();
    assert_eq!(all.len(), 6);
    let alone = DataSet::open(&world.root().join("fashion200k"), None).unwrap();
    let (table, _) = alone.load(Split::Train, &LoadOptions::default()).unwrap();
    assert_eq!(table.images[0].name, format!("{DRESS}/51727804/51727804_0.jpeg"));
    let none = load(world.root(), Split::Val, &LoadOptions::default()).unwrap_err().to_string();
    assert!(none.contains("has no images of the split val") && none.contains("detect_all.txt"), "{none}");
    // Triplets over these images lie beside them, and say more.
    let row = format!(
        "{{\"reference\": \"{}\", \"target\": \"{}\", \"modifier_generated\": \"x\", \"target_caption\": \"y\"}}\n",
        names(&train)[2],
        names(&train)[4]
    );
    world.write("train.jsonl", &row);
    let data = DataSet::open(world.root(), None).unwrap();
    let (table, _) = data.load(Split::Train, &LoadOptions::default()).unwrap();
    assert_eq!((data.format, table.triplets[0].caption.as_deref()), (Format::Triplets, Some("y")));
    assert_eq!(DataSet::open(world.root(), Some(Format::Fashion)).unwrap().splits().len(), 2);
}

#[test]
fn what_is_known_of_an_image_is_what_its_files_say() {
    let world = World::new();
    let known = known(world.root(), None).unwrap();
    let says = |name: &str, field: &str| known[name].get(field).map(String::as_str);
    let dress = format!("fashion200k/{DRESS}/51727804/51727804_1.jpeg");
    assert_eq!(says(&dress, "category"), Some("dress"));
    assert_eq!(says(&dress, "source"), Some("fashion200k"));
    assert_eq!(says(&dress, "product"), Some(&*format!("fashion200k/{DRESS}/51727804")));
    assert_eq!(says(&dress, "description"), Some("green linen-blend a-line dress"));
    assert_eq!(says(&dress, "attributes"), Some("casual and day dresses"));
    let shirt = "deepfashion/images/WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg";
    assert_eq!(says(shirt, "category"), Some("women's blouses, shirts"));
    assert_eq!(says(shirt, "product"), Some("deepfashion/WOMEN-Blouses_Shirts-id_00000001"));
    assert_eq!(says(shirt, "description"), Some("The shirt has long sleeves."));
    assert_eq!(
        says(shirt, "attributes"),
        Some(
            "sleeves: long, waist: belt, neckline: lapel, covers the navel: yes, upper fabric: chiffon, \
             upper pattern: pure colour"
        )
    );
    let jeans = "deepfashion/images/MEN-Denim-id_00000080-01_7_additional.jpg";
    assert_eq!((says(jeans, "category"), says(jeans, "description")), (Some("men's denim"), None));
    assert_eq!(says(jeans, "source"), Some("deepfashion-multimodal"));
}

#[test]
fn faults_of_a_copy_are_named_and_cost_what_they_must() {
    let world = World::new();
    world.write(
        "fashion200k/labels/dress_train_detect_all.txt",
        &format!(
            "\u{feff}{DRESS}/51727804/51727804_0.jpeg\t-1.78\tgreen dress\r\n\n\t0.5\tno image\n\
             {DRESS}/51727804/51727804_1.jpeg\n{DRESS}/gone/gone_0.jpeg\t1\tgone\n../secret.jpeg\t1\tout\n\
             {DRESS}/51727804/51727804_0.jpeg\t1\tagain\nloose.jpeg\t1\tloose\n"
        ),
    );
    world.write("fashion200k/loose.jpeg", "x");
    world.write(
        "deepfashion/labels/shape/shape_anno_all.txt",
        "MEN-Denim-id_00000080-01_7_additional.jpg 9 4 x 0 0 0 0 0 1 4 2 1\nMEN-Denim-id_00000080-01_7_additional.jpg 1\n",
    );
    world.write("deepfashion/images/photo.png", "x");
    world.write("deepfashion/captions.json", r#"{"photo.png": 3}"#);
    let (train, complaints) = world.load(Split::Train);
    for words in [
        "dress_train_detect_all.txt, line 3: has no image",
        "line 4: image 'women/dresses/casual_and_day_dresses/51727804/51727804_1.jpeg' has no description; kept",
        "line 5: image 'fashion200k/women/dresses/casual_and_day_dresses/gone/gone_0.jpeg': there is no file",
        "line 6: image 'fashion200k/../secret.jpeg': its path leads out",
        "line 7: image 'fashion200k/women/dresses/casual_and_day_dresses/51727804/51727804_0.jpeg' stands there again",
        "shape_anno_all.txt, line 1: '9' is no number of sleeves, from 0 to 5",
        "shape_anno_all.txt, line 1: 'x' is no number of socks, from 0 to 3",
        "line 2: has 1 numbers for 'MEN-Denim-id_00000080-01_7_additional.jpg', not 12",
        "the description of 'photo.png' is no text",
        "the name 'photo.png' is not GENDER-CATEGORY-id_ITEM-VIEW; kept without them",
        "captions.json: 3 of 3 images have no description",
    ] {
        assert!(complaints.contains(words), "{words} in {complaints}");
    }
    assert_eq!(complaints.lines().count(), 11, "{complaints}");
    assert_eq!(train.images.len(), 6, "{:?}", names(&train));
    assert_eq!(train.missing.images, 2);
    let known = known(world.root(), Some(Split::Train)).unwrap();
    assert_eq!(known["fashion200k/loose.jpeg"]["product"], "fashion200k/loose.jpeg", "an item of its own");
    assert!(!known["deepfashion/images/photo.png"].contains_key("category"));
    let strict = LoadOptions { strict: true, ..LoadOptions::default() };
    assert!(load(world.root(), Split::Train, &strict).is_err());
    world.write("deepfashion/captions.json", "{\"a\": \n");
    let broken = load(world.root(), Split::Train, &LoadOptions::default()).unwrap_err().to_string();
    assert!(broken.contains("captions.json, line 2") && broken.contains("broken JSON"), "{broken}");
}

#[cfg(unix)]
#[test]
fn sources_may_be_links_and_a_folder_of_labels_without_images_is_refused() {
    use std::os::unix::fs::symlink;
    let world = World::new();
    let other = tempfile::tempdir().unwrap();
    symlink(world.root().join("fashion200k"), other.path().join("f")).unwrap();
    symlink(other.path(), other.path().join("circle")).unwrap();
    symlink(other.path().join("nowhere"), other.path().join("broken")).unwrap();
    let (table, _) = load(other.path(), Split::Test, &LoadOptions::default()).unwrap();
    assert_eq!(names(&table), ["f/women/tops/blouses/1/1_0.jpeg"]);
    let empty = tempfile::tempdir().unwrap();
    let file = empty.path().join("labels/top_train_detect_all.txt");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "women/a/b/1/1_0.jpeg\t1\tx\n").unwrap();
    let said = load(empty.path(), Split::Train, &LoadOptions::default()).unwrap_err().to_string();
    assert!(said.contains("no usable image") && said.contains("there is no file"), "{said}");
    let lax = LoadOptions { images_required: false, strict: false };
    assert_eq!(load(empty.path(), Split::Train, &lax).unwrap().0.images.len(), 1);
}
