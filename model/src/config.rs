//! config
/// x
pub struct CirConfig;
