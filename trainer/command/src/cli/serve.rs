//! `thisbut serve`: a look at a bundle or a site in a browser, as a host would show it.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::serve::Serving;
use thisbut_trainer::serve::site::Site;
use thisbut_trainer::terminal::line;

/// Show a bundle or a site on this machine, with the headers that a host should send
///
/// A folder with index.html is served as it is. A bundle gets a page of its own, from the page's files as `scripts/build-web` and
/// `scripts/stage-site dist` make them. Hidden files, and links that lead out of the folder, are not served.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut serve my-gallery
  thisbut serve my-site --port 3000")]
pub struct Args {
    /// A bundle's folder, or a site's.
    folder: PathBuf,
    /// The port; 0 is any free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address to listen at; 0.0.0.0 lets other devices in, such as a phone.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// The folder of the page's files, for a bundle.
    ///
    /// The folder of the page's files, for a bundle. `scripts/build-web && scripts/stage-site dist` make it in the checkout of
    /// thisbut; from another folder it is CHECKOUT/dist.
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    page: PathBuf,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let site = Site::of(&self.folder, &self.page)?;
        let serving = Serving::listen(site, (&self.host, self.port))?;
        super::print(format_args!("{} is at http://{}/  (Ctrl-C stops it)", self.folder.display(), serving.address))?;
        serving.run(|status, path| super::note(format_args!("{status} {}", line(path))));
        Ok(())
    }
}
