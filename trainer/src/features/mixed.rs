//! Image tokens of several data sets, each from its own cache or encoder.

use super::ImageTokens;
use crate::error::Result;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// One data set's images: what stands before their names, and where their tokens are.
type Part = (String, Box<dyn ImageTokens>);

/// The images of several data sets.
pub struct Mixed {
    main: Box<dyn ImageTokens>,
    parts: Vec<Part>,
}

impl Mixed {
    /// Of `main`, whose images have their own names, and of `parts`.
    pub fn new(main: Box<dyn ImageTokens>, parts: Vec<Part>) -> Self {
        Self { main, parts }
    }

    /// The source of an image and its name there.
    fn source<'a>(&self, name: &'a str) -> (usize, &'a str) {
        let place = |(at, (prefix, _)): (usize, &Part)| Some((at + 1, name.strip_prefix(prefix.as_str())?));
        self.parts.iter().enumerate().find_map(place).unwrap_or((0, name))
    }

    fn at(&self, source: usize) -> &dyn ImageTokens {
        match source.checked_sub(1).and_then(|at| self.parts.get(at)) {
            Some((_, tokens)) => &**tokens,
            None => &*self.main,
        }
    }

    /// What `read` gives for the rows of each source, in the order of `rows`.
    fn gathered<const D: usize>(
        &self,
        rows: &[usize],
        device: &Device,
        read: impl Fn(&dyn ImageTokens, &[usize]) -> Result<Tensor<D>>,
    ) -> Result<Tensor<D>> {
        let sources = self.parts.len() + 1;
        let (mut order, mut found) = (vec![0_i32; rows.len()], Vec::new());
        let mut next = 0;
        for source in 0..sources {
            let of = |row: &&usize| **row % sources == source;
            let own: Vec<usize> = rows.iter().filter(of).map(|row| row / sources).collect();
            if own.is_empty() {
                continue;
            }
            for (place, _) in order.iter_mut().zip(rows).filter(|(_, row)| of(row)) {
                *place = next;
                next += 1;
            }
            found.push(read(self.at(source), &own)?);
        }
        let order = Tensor::<1, Int>::from_data(TensorData::new(order, [rows.len()]), device);
        Ok(Tensor::cat(found, 0).select(0, order))
    }
}

impl ImageTokens for Mixed {
    fn row(&self, name: &str) -> Result<usize> {
        let (source, own) = self.source(name);
        // Rows of the sources alternate, so that each number tells its own.
        Ok(self.at(source).row(own)? * (self.parts.len() + 1) + source)
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        self.gathered(rows, device, |tokens, own| tokens.tokens(own, device))
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        self.gathered(rows, device, |tokens, own| tokens.pixels(own, device))
    }

    fn left_out(&self, name: &str) -> bool {
        let (source, own) = self.source(name);
        self.at(source).left_out(own)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Tokens that hold the number of their source and of their row.
    struct Numbered(f32);

    impl ImageTokens for Numbered {
        fn row(&self, name: &str) -> Result<usize> {
            Ok(name.parse().unwrap())
        }
        fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
            let values: Vec<f32> = rows.iter().flat_map(|row| [self.0, *row as f32]).collect();
            Ok(Tensor::from_data(TensorData::new(values, [rows.len(), 1, 2]), device))
        }
        fn left_out(&self, name: &str) -> bool {
            self.0 == 2.0 && name == "9"
        }
    }

    #[test]
    fn each_image_comes_from_its_own_data_set() {
        let part = |name: &str, at: f32| (format!("{name}/"), Box::new(Numbered(at)) as Box<dyn ImageTokens>);
        let mixed = Mixed::new(Box::new(Numbered(0.0)), vec![part("one", 1.0), part("two", 2.0)]);
        let names = ["two/3", "5", "one/4", "two/0", "5", "one/0"];
        let rows: Vec<usize> = names.iter().map(|name| mixed.row(name).unwrap()).collect();
        let device = Device::flex();
        let read: Vec<f32> = mixed.tokens(&rows, &device).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(read, [2.0, 3.0, 0.0, 5.0, 1.0, 4.0, 2.0, 0.0, 0.0, 5.0, 1.0, 0.0]);
        assert!(mixed.left_out("two/9") && !mixed.left_out("one/9") && !mixed.left_out("9"));
        assert!(mixed.pixels(&rows, &device).unwrap_err().to_string().contains("--features on-the-fly"));
    }
}
