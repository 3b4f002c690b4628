//! The console over loopback, with invented data.

mod browser;
mod door;
mod invented;
mod pages;
mod served;
