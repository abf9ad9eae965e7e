//! Images made on the spot.
