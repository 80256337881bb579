//! Titles from file names, and tables that people write.

use super::*;

#[test]
fn titles_come_from_file_names() {
    for (name, title) in [
        ("red-dress_02.jpg", "Red dress 02"),
        ("ärmel.png", "Ärmel"),
        ("---.png", "---"),
        ("IMG  1.2.webp", "IMG 1 2"),
        ("shoes/5f4dcc3b5aa765d61d8327deb882cf99.jpg", "Shoes"),
        ("a/summer_dresses/550e8400-e29b-41d4-a716-446655440000.jpg", "Summer dresses"),
        ("550E8400-E29B-41D4-A716-446655440000.jpg", "Photo"),
        ("red-hat.3f2a9c0b12345678.jpg", "Red hat"),
        ("4006381333931123.jpg", "4006381333931123"),
        ("deadbeefcafe.jpg", "Deadbeefcafe"),
    ] {
        assert_eq!(titles::from_path(Path::new(name)), title, "{name}");
    }
    assert_eq!(titles::folders(Path::new("women/summer_dresses/a.jpg")), ["women", "summer dresses"]);
    assert!(titles::folders(Path::new("5f4dcc3b5aa765d61d8327deb882cf99/a.jpg")).is_empty());
}

#[test]
fn tables_of_other_systems_and_columns_that_nobody_reads() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    let mut options = place.options();
    options.csv = Some(place.at("t.csv"));
    let text = "file;price;title;tags;url;Title\r\na.png;3,50;Hat, red;x,y;u;No\r\n\r\nb.png;;;;;\r\n";
    std::fs::write(place.at("t.csv"), text).unwrap();
    let outcome = place.index(&options).unwrap();
    let bundle = Bundle::read(&place.at("out")).unwrap();
    assert_eq!((bundle.metadata[0].title.as_str(), bundle.metadata[0].tags.join("+")), ("Hat, red", "x+y".to_owned()));
    let said: Vec<_> = outcome.complaints.iter().map(ToString::to_string).collect();
    assert!(
        said[0].ends_with("t.csv, line 1: only the columns file, title and tags are read; left out: price, url, Title")
    );
    assert!(said[1].contains("t.csv, line 4: there is no image 'b.png'"), "{said:?}");
}
