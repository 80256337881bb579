//! The visitor's own images: indexed in this worker or another one of the same bundle, searched with the gallery.

use crate::error::{WebError, WebResult};
use crate::now;
use crate::protocol::{Add, Counted, Encode, Indexed, Publish, Published, PublishedFile};
use crate::session::{Session, read};
use serde_bytes::ByteBuf;
use std::rc::Rc;
use thisbut_model::engine::Engine;
use thisbut_model::gallery::Chunk;
use thisbut_model::own::MOST_OWN;

impl Session {
    /// Reads an image for the own gallery. Nothing of it is kept here.
    ///
    /// # Errors
    /// As [`Session::encode`].
    pub async fn index(&self, image: Encode) -> WebResult<Indexed> {
        let (began, engine) = (now(), self.engine());
        let encoded = read(&engine, &image)?;
        let row = ByteBuf::from(engine.index(&encoded).await?);
        Ok(Indexed { row, ms: now() - began })
    }

    /// Searches these own images too, from the next query on. All are taken, or none.
    ///
    /// # Errors
    /// Kind `format` for rows of another bundle, `query` where there are too many, or not one row an image.
    pub fn add(&self, Add { items, rows }: Add) -> WebResult<Counted> {
        let refuse = |problem: String| Err(WebError::new("query", problem, "add fewer images"));
        if items.len() != rows.len() || self.own.borrow().len() + items.len() > MOST_OWN {
            return refuse(format!("{} images with {} rows cannot be added", items.len(), rows.len()));
        }
        let mut engine = Engine::clone(&self.engine());
        for row in &rows {
            let chunk = Chunk::parse(row)?;
            if chunk.count() != 1 {
                return refuse(format!("a row holds {} images", chunk.count()));
            }
            engine.add_own(chunk)?;
        }
        self.own.borrow_mut().extend(items);
        self.renew(engine)
    }

    /// Lets go of all own images.
    ///
    /// # Errors
    /// None of its own; those of looking for the kept references again.
    pub fn forget(&self) -> WebResult<Counted> {
        let mut engine = Engine::clone(&self.engine());
        engine.forget_own();
        self.own.borrow_mut().clear();
        self.renew(engine)
    }

    /// From now on this engine answers; the images that are kept are looked for in its gallery.
    fn renew(&self, engine: Engine) -> WebResult<Counted> {
        for (_, reference) in self.kept.borrow_mut().iter_mut() {
            *reference = Rc::new(engine.again(reference)?);
        }
        let counted = Counted { count: engine.gallery().len(), own: self.own.borrow().len() };
        *self.engine.borrow_mut() = Rc::new(engine);
        Ok(counted)
    }

    /// The own images as a bundle that a site can show.
    ///
    /// # Errors
    /// Kind `query` where these are not all of the own images; `format` for names that a bundle cannot have.
    pub async fn publish(&self, own: Publish) -> WebResult<Published> {
        let bundle = self.engine().own_bundle(&self.manifest, &own.images, &own.title).await?;
        let file = |(path, bytes)| PublishedFile { path, bytes: ByteBuf::from(bytes) };
        let weights = self.manifest.weights.iter().map(|entry| entry.file.path.clone());
        let shipped = weights.chain([self.manifest.vocab.file.path.clone()]).collect();
        Ok(Published { manifest: bundle.manifest, files: bundle.files.into_iter().map(file).collect(), shipped })
    }
}
