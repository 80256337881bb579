//! The query engine in a browser worker.
