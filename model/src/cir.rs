//! cir
