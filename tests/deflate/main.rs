//! Engines beside the programs whose streams they make.

mod go;
