//! What a site owner's table says of an image beside title and tags: names and values, in the table's order.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most values of one image.
pub const MAX_EXTRA: usize = 24;

/// Most bytes of a value's name.
pub const MAX_EXTRA_NAME: usize = 64;

/// Most bytes of a value: an address with its query fits.
pub const MAX_EXTRA_VALUE: usize = 2000;

/// Most bytes of all names and values of one image. `bundle.json` repeats those of its first view.
pub const MAX_EXTRA_BYTES: usize = 4096;

/// Names with their values, each name once; in JSON an object. Empty values are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra(Vec<(String, String)>);

impl Extra {
    /// Adds a value behind the others. An empty one is left out.
    ///
    /// # Errors
    /// A sentence's end that says which bound it exceeds, or that the name is there already; it is not added then.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Ok(());
        }
        let bytes: usize = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if name.is_empty() || name.len() > MAX_EXTRA_NAME {
            return Err(format!("its name has {} bytes, not 1 to {MAX_EXTRA_NAME}", name.len()));
        }
        if value.len() > MAX_EXTRA_VALUE {
            return Err(format!("it has {} bytes, more than {MAX_EXTRA_VALUE}", value.len()));
        }
        if self.0.len() == MAX_EXTRA {
            return Err(format!("there are more than {MAX_EXTRA} values"));
        }
        if bytes + name.len() + value.len() > MAX_EXTRA_BYTES {
            return Err(format!("all values together have more than {MAX_EXTRA_BYTES} bytes"));
        }
        if self.get(name).is_some() {
            return Err("there are two of this name".into());
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Extra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Extra;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extra, A::Error> {
                let mut extra = Extra::default();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    extra.push(&name, &value).map_err(|problem| {
                        let name: String = name.chars().take(MAX_EXTRA_NAME).collect();
                        A::Error::custom(format!("extra, {name:?}: {problem}"))
                    })?;
                }
                Ok(extra)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_order_and_empty_values_are_left_out() {
        let mut extra = Extra::default();
        for (name, value) in [("price", "3,50 €"), ("link", "https://x/?a=1"), ("note", ""), ("id", "07")] {
            extra.push(name, value).unwrap();
        }
        let json = serde_json::to_string(&extra).unwrap();
        assert_eq!(json, r#"{"price":"3,50 €","link":"https://x/?a=1","id":"07"}"#);
        assert_eq!(serde_json::from_str::<Extra>(&json).unwrap(), extra);
        assert_eq!((extra.get("id"), extra.get("note")), (Some("07"), None));
    }

    #[test]
    fn sizes_and_counts_are_bounded() {
        let mut extra = Extra::default();
        assert!(extra.push("", "x").unwrap_err().contains("0 bytes"));
        assert!(extra.push(&"n".repeat(MAX_EXTRA_NAME + 1), "x").unwrap_err().contains("not 1 to 64"));
        assert!(extra.push("a", &"x".repeat(MAX_EXTRA_VALUE + 1)).unwrap_err().contains("2001 bytes"));
        extra.push("a", &"x".repeat(MAX_EXTRA_VALUE)).unwrap();
        assert!(extra.push("a", "y").unwrap_err().contains("two of this name"));
        extra.push("b", &"x".repeat(MAX_EXTRA_VALUE)).unwrap();
        assert!(extra.push("c", &"x".repeat(96)).unwrap_err().contains("together"));
        let mut many = Extra::default();
        (0..MAX_EXTRA).for_each(|at| many.push(&at.to_string(), "x").unwrap());
        assert!(many.push("more", "x").unwrap_err().contains("more than 24"));
        for wrong in [r#"{"a":1}"#, r#"{"a":"x","a":"y"}"#, r#"["a"]"#, "null", r#"{"":"x"}"#] {
            assert!(serde_json::from_str::<Extra>(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..=MAX_EXTRA).map(|at| format!("\"{at}\":\"x\"")).collect();
        assert!(serde_json::from_str::<Extra>(&format!("{{{}}}", many.join(","))).is_err());
    }
}
