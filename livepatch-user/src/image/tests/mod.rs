//! Images of programs that run.

mod child;
mod files;
mod hostile;
mod layout;
mod linkage;
mod scope;
mod tls;
