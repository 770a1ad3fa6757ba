//! DICOM: series that are written here, real ones beside other converters, and files that lie.

mod hostile;
mod made;
mod real;
mod writer;
