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
fn tables_of_other_systems_and_their_other_columns() {
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
    assert!(said[0].ends_with("t.csv, line 1: columns that are left out: a second 'Title'"), "{said:?}");
    let extra: Vec<_> = bundle.metadata[0].extra.iter().collect();
    assert_eq!((extra, outcome.extra.join("+")), (vec![("price", "3,50"), ("url", "u")], "price+url".to_owned()));
    assert!(said[1].contains("t.csv, line 4: there is no picture 'b.png'"), "{said:?}");
}

#[test]
fn what_a_table_says_too_much_of_is_left_out_and_named() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    let mut options = place.options();
    options.csv = Some(place.at("t.csv"));
    let many: Vec<String> = (0..26).map(|at| format!("c{at}")).collect();
    let values: Vec<String> = (0..26).map(|at| at.to_string()).collect();
    let (long, name) = ("x".repeat(2001), "n".repeat(65));
    let text = format!("file,link,,{name},{}\na.png,{long},y,z,{}\n", many.join(","), values.join(","));
    std::fs::write(place.at("t.csv"), text).unwrap();
    let outcome = place.index(&options).unwrap();
    let said: Vec<_> = outcome.complaints.iter().map(ToString::to_string).collect();
    for words in ["column 3 has no name", "name of column 4 has more than 64 bytes", "'c23' (at most 24 are kept)"] {
        assert!(said[0].contains(words), "{said:?}");
    }
    assert!(said[1].contains("line 2, column 'link': the value is left out: it has 2001 bytes"), "{said:?}");
    let image = &Bundle::read(&place.at("out")).unwrap().metadata[0];
    assert_eq!((image.extra.iter().count(), image.extra.get("c22")), (23, Some("22")));
}

#[test]
fn a_table_without_other_columns_changes_nothing() {
    let place = Place::new();
    photo(&place.at("photos/a.png"), 8, 8, [9, 9, 9, 255]);
    place.index(&place.options()).unwrap();
    let read = || std::fs::read(place.at("out/bundle.json")).unwrap();
    let before = read();
    let mut options = place.options();
    options.csv = Some(place.at("t.csv"));
    for (table, same) in
        [("file,title,tags\na.png,A,\n", true), ("file,price\na.png,\n", true), ("file,price\na.png,3\n", false)]
    {
        std::fs::write(place.at("t.csv"), table).unwrap();
        place.index(&options).unwrap();
        assert_eq!(read() == before, same, "{table}");
    }
}

#[test]
fn a_catalogues_table_is_a_table_of_titles() {
    let place = Place::new();
    for name in ["hats/a.png", "hats/b.png"] {
        photo(&place.at("photos").join(name), 8, 8, [9, 9, 9, 255]);
    }
    let mut options = place.options();
    options.csv = Some(place.at("t.csv"));
    let text =
        "Image,name,Neck\nline,price\nb.png,Blue hat,round,3\n.\\hats\\a.png,Red hat,,4\nb.png,Blue hat,round,3\n";
    std::fs::write(place.at("t.csv"), text.replace("Neck\nline", "\"Neck\nline\"")).unwrap();
    let outcome = place.index(&options).unwrap();
    let images = Bundle::read(&place.at("out")).unwrap().metadata;
    let titles: Vec<_> = images.iter().map(|image| image.title.as_str()).collect();
    assert_eq!((titles, outcome.extra.join("+")), (vec!["Red hat", "Blue hat"], "Neck line+price".to_owned()));
    assert_eq!(images[1].extra.get("Neck line"), Some("round"));
    let said: Vec<_> = outcome.complaints.iter().map(ToString::to_string).collect();
    assert!(
        said[0].ends_with("t.csv, line 5: 'b.png' already stands in line 3 with the same fields; the line is left out"),
        "{said:?}"
    );
    // As a spreadsheet saves "Unicode text".
    let units = text.replace(',', "\t").replace("Neck\nline", "Neckline");
    let bytes: Vec<u8> = [0xFEFFu16].into_iter().chain(units.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(place.at("t.csv"), bytes).unwrap();
    assert_eq!(place.index(&options).unwrap().extra.join("+"), "Neckline+price");
}
