//! Whether live data still points into a patch.
