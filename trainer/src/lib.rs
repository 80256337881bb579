//! The thisbut trainer as a library: everything that the command line calls.
#![allow(missing_docs)]
